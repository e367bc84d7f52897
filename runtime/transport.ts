/**
 * HTTP to the API server: one pooled keep-alive agent, JSON in and out, credentials from a kubeconfig.
 * @kubernetes/client-node supplies kubeconfig, credentials and TLS; its own calls are not used (docs/decisions/client.md).
 */
import http from 'node:http'
import https from 'node:https'
import { TLSSocket } from 'node:tls'
import type { KubeConfig } from '@kubernetes/client-node'
import { ApiError, ConnectionError } from './errors.ts'
import { sleep } from './sleep.ts'

export interface TransportOptions {
  /** Read again after a 401, so that a rotated token is picked up. */
  readonly loadConfig: () => KubeConfig
  readonly userAgent: string
  /** Requests in flight, watches apart. */
  readonly concurrency?: number
  /** A request that hears nothing for so long has failed, be it while connecting or in the middle of a long answer (default 30,000 ms). */
  readonly timeoutMs?: number
  /** Called when a request is dispatched, not when it is queued; throws to stop it (leader election). `write` is false for GET. */
  readonly beforeSend?: (write: boolean) => void
  /** Sees every finished request, for metrics. */
  readonly observe?: (method: string, code: number | string) => void
}

export interface RequestOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: unknown
  readonly contentType?: string
  readonly accept?: string
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

export interface Transport {
  readonly server: string
  /** The parsed JSON of a 2xx answer. Throws ApiError or ConnectionError. */
  request(options: RequestOptions): Promise<unknown>
  /** An open 2xx answer whose body is read as it comes; ends when `signal` aborts. */
  stream(options: RequestOptions): Promise<http.IncomingMessage>
  close(): void
}

interface Connection {
  readonly base: URL
  readonly headers: Readonly<Record<string, string>>
  readonly agent: http.Agent
  readonly watchAgent: http.Agent
}

interface Answer {
  readonly response: http.IncomingMessage
  /** Something came: the time that the rest may take begins anew. */
  readonly heard: () => void
}

const ATTEMPTS = 4
const REQUEST_TIMEOUT_MS = 30_000
/** Credentials are asked for again after this time; client-node re-reads a token file after 60 s. */
const CREDENTIALS_MS = 30_000

export function createTransport(options: TransportOptions): Transport {
  let config = options.loadConfig()
  let connection: { value: Connection; until: number } | undefined
  let agents: { key: string; agent: http.Agent; watchAgent: http.Agent } | undefined
  const gate = createGate(options.concurrency ?? 8)
  const { timeoutMs = REQUEST_TIMEOUT_MS } = options
  const server = config.getCurrentCluster()?.server
  if (server === undefined) throw new Error('kubeconfig: no current cluster. Set KUBECONFIG or --kubeconfig, or run inside a pod.')

  async function connect(): Promise<Connection> {
    if (connection !== undefined && connection.until > performance.now()) return connection.value
    const tls: https.RequestOptions = {}
    await config.applyToHTTPSOptions(tls)
    const cluster = config.getCurrentCluster()
    const key = JSON.stringify([String(tls.ca ?? ''), String(tls.cert ?? ''), tls.rejectUnauthorized, tls.servername, cluster?.proxyUrl])
    if (agents?.key !== key) {
      agents?.agent.destroy()
      agents = { key, ...createAgents(server!, tls, cluster?.proxyUrl !== undefined) }
    }
    const headers: Record<string, string> = { 'user-agent': options.userAgent }
    for (const [name, value] of Object.entries(tls.headers ?? {})) headers[name.toLowerCase()] = String(value)
    if (typeof tls.auth === 'string') headers['authorization'] = `Basic ${Buffer.from(tls.auth).toString('base64')}`
    const value = { base: new URL(server!), headers, agent: agents.agent, watchAgent: agents.watchAgent }
    connection = { value, until: performance.now() + CREDENTIALS_MS }
    return value
  }

  function reload(): void {
    connection = undefined
    try {
      config = options.loadConfig()
    } catch {
      // half written just now: the old one serves until the next 401
    }
  }

  /** Where one connection has died without a word, those that lie idle beside it have too. */
  function dropIdle(): void {
    for (const socket of Object.values(agents?.agent.freeSockets ?? {}).flat()) socket?.destroy()
  }

  async function send(request: RequestOptions, watch: boolean): Promise<Answer> {
    const { base, headers, agent, watchAgent } = await connect()
    const limitMs = request.timeoutMs ?? timeoutMs
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body))
    options.beforeSend?.(request.method !== 'GET')
    return await new Promise<Answer>((resolve, reject) => {
      const outgoing = (base.protocol === 'http:' ? http : https).request({
        protocol: base.protocol,
        hostname: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port,
        path: base.pathname.replace(/\/$/, '') + request.path + queryText(request.query),
        method: request.method,
        agent: watch ? watchAgent : agent,
        headers: {
          ...headers,
          accept: request.accept ?? 'application/json',
          ...(body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json', 'content-length': body.length }),
        },
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      })
      let incoming: http.IncomingMessage | undefined
      const timer = setTimeout(() => (incoming ?? outgoing).destroy(new Error(`no answer within ${limitMs / 1000} s`)), limitMs)
      outgoing.once('response', (response) => {
        incoming = response
        // an open watch may be silent for longer, and has a timer of its own
        if (watch && isSuccess(response)) clearTimeout(timer)
        else response.once('close', () => clearTimeout(timer))
        resolve({ response, heard: () => void (response.closed || timer.refresh()) })
      })
      outgoing.once('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      const { beforeSend } = options
      if (beforeSend === undefined || request.method === 'GET') outgoing.end(body)
      else {
        // a handshake may take longer than the right to write lasts
        whenConnected(outgoing, () => {
          try {
            beforeSend(true)
            outgoing.end(body)
          } catch (error) {
            outgoing.destroy(error as Error)
          }
        })
      }
    })
  }

  /** Retries what is safe to send again: everything but POST after a lost connection, everything after 429 and one 401. */
  async function attempt<T>(request: RequestOptions, watch: boolean, read: (answer: Answer) => Promise<T>): Promise<T> {
    const name = `${request.method} ${request.path}`
    const tries = { count: 0, reloaded: false }
    for (;;) {
      tries.count++
      let failure: Error
      try {
        const answer = await send(request, watch)
        const code = answer.response.statusCode ?? 0
        options.observe?.(request.method, code)
        if (isSuccess(answer.response)) return await read(answer)
        failure = new ApiError(name, code, parseBody(await readAll(answer)), retryAfterOf(answer.response))
      } catch (error) {
        if (request.signal?.aborted === true) throw error
        if (!(error instanceof Error) || !isConnectionFailure(error)) throw error
        options.observe?.(request.method, '<error>')
        if (error.message.startsWith('no answer within')) dropIdle()
        failure = new ConnectionError(name, error)
      }
      if (tries.count >= ATTEMPTS || !(await mayRetry(failure, request, tries))) throw failure
    }
  }

  async function mayRetry(failure: Error, request: RequestOptions, tries: { readonly count: number; reloaded: boolean }): Promise<boolean> {
    if (failure instanceof ConnectionError) {
      // a kept-alive socket that the server closed meanwhile; one fresh try, then it is the caller's to back off
      if (tries.count > 1 || request.method === 'POST' || failure.code !== 'ECONNRESET') return false
      return true
    }
    if (!(failure instanceof ApiError)) return false
    if (failure.code === 401 && !tries.reloaded) {
      tries.reloaded = true
      reload()
      return true
    }
    if (failure.code !== 429) return false
    await sleep(Math.min(failure.retryAfter ?? 1, 30) * 1000, request.signal)
    return request.signal?.aborted !== true
  }

  return {
    server,
    request: (request) => gate(() => attempt(request, false, async (answer) => parseBody(await readAll(answer)))),
    stream: (request) => attempt(request, true, ({ response }) => Promise.resolve(response)),
    close() {
      agents?.agent.destroy()
      agents?.watchAgent.destroy()
    },
  }
}

function createAgents(server: string, tls: https.RequestOptions, proxied: boolean): { agent: http.Agent; watchAgent: http.Agent } {
  if (proxied && tls.agent instanceof http.Agent) return { agent: tls.agent, watchAgent: tls.agent }
  const { ca, cert, key, rejectUnauthorized, servername, passphrase, pfx } = tls
  const secure = Object.fromEntries(
    Object.entries({ ca, cert, key, rejectUnauthorized, servername, passphrase, pfx }).filter(([, value]) => value !== undefined),
  )
  const create = (): http.Agent =>
    server.startsWith('http:')
      ? new http.Agent({ keepAlive: true, keepAliveMsecs: 15_000, scheduling: 'lifo' })
      : new https.Agent({ keepAlive: true, keepAliveMsecs: 15_000, scheduling: 'lifo', ...secure })
  return { agent: create(), watchAgent: create() }
}

/** Calls `ready` when the request's socket can be written to: nothing lies between that and the wire. */
function whenConnected(outgoing: http.ClientRequest, ready: () => void): void {
  outgoing.once('socket', (socket) => {
    const handshaking = socket instanceof TLSSocket && 'secureConnecting' in socket && socket.secureConnecting === true
    if (socket.connecting || handshaking) socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', ready)
    else ready()
  })
}

/** Runs at most `size` at once, the rest in order of arrival. */
function createGate(size: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = size
  const waiting: (() => void)[] = []
  return async (work) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}

async function readAll({ response, heard }: Answer): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) {
    heard()
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function isSuccess({ statusCode = 0 }: http.IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300
}

function parseBody(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function queryText(query: RequestOptions['query']): string {
  if (query === undefined) return ''
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) params.set(name, String(value))
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

function retryAfterOf(response: http.IncomingMessage): number | undefined {
  const seconds = Number(response.headers['retry-after'])
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined
}

/** Everything that the socket, TLS or the parser of the answer reports; a bug of ours (TypeError, …) is not one. */
function isConnectionFailure(error: Error): boolean {
  return (
    'code' in error || error.message.startsWith('no answer within') || error.message === 'aborted' || error.message === 'socket hang up'
  )
}
