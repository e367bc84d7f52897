/** One HTTP request and its answer: sent when its socket can be written to, given up when nothing is heard for too long. */
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { after, listenOnce } from './callbacks.ts'
import type { Connection } from './connection.ts'
import { SilenceError } from './errors.ts'

export interface RequestOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the server's address, as `/api/v1/namespaces`. */
  readonly path: string
  /** Values that are undefined are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  /** Sent as JSON. */
  readonly body?: unknown
  /** Default `application/json`. */
  readonly contentType?: string
  readonly accept?: string
  readonly timeoutMs?: number
  /** Reads the body of a 2xx answer; without it all of it is parsed as JSON at once. */
  readonly read?: (body: AsyncIterable<Buffer>) => Promise<unknown>
  readonly signal?: AbortSignal | undefined
}

export interface Answer {
  readonly response: http.IncomingMessage
  /** Something came: the time that the rest may take begins anew. */
  readonly heard: () => void
}

export interface ExchangeOptions {
  readonly connection: Connection
  /** The answer stays open and may be silent: no time limit once it has begun. */
  readonly watch: boolean
  /** Milliseconds without a sign before the exchange has failed. */
  readonly limitMs: number
  /** Asked before the request, and for a write again when its socket is connected; throws to stop it. */
  readonly beforeSend?: ((write: boolean) => void) | undefined
}

/** Resolves with the head of the answer, whatever its status. Rejects with what the socket, TLS or `beforeSend` reports. */
export async function exchange(request: RequestOptions, { connection, watch, limitMs, beforeSend }: ExchangeOptions): Promise<Answer> {
  const { base, headers, agent, watchAgent } = connection
  const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body))
  beforeSend?.(request.method !== 'GET')
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
    const timer = after(limitMs, 'silent request', () =>
      (incoming ?? outgoing).destroy(new SilenceError(`no answer within ${limitMs / 1000} s`)),
    )
    listenOnce(outgoing, 'response', 'answer', (response: http.IncomingMessage) => {
      incoming = response
      // an open watch may be silent for longer, and has a timer of its own
      if (watch && isSuccess(response)) clearTimeout(timer)
      else listenOnce(response, 'close', 'answer', () => clearTimeout(timer))
      resolve({ response, heard: () => void (response.closed || timer.refresh()) })
    })
    listenOnce(outgoing, 'error', 'request', (error: Error) => {
      clearTimeout(timer)
      reject(error)
    })
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

/** The whole body as text. */
export async function readAll(answer: Answer): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of chunksOf(answer)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** The body as it comes; the time limit counts from each piece of it. */
export async function* chunksOf({ response, heard }: Answer): AsyncGenerator<Buffer> {
  for await (const chunk of response) {
    heard()
    yield chunk as Buffer
  }
}

export function isSuccess({ statusCode = 0 }: http.IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300
}

/** Everything that the socket, TLS or the parser of the answer reports; a bug of ours (TypeError, …) is not one. */
export function isConnectionFailure(error: Error): boolean {
  return 'code' in error || error instanceof SilenceError || error.message === 'aborted' || error.message === 'socket hang up'
}

/** Calls `ready` when the request's socket can be written to: nothing lies between that and the wire. */
function whenConnected(outgoing: http.ClientRequest, ready: () => void): void {
  listenOnce(outgoing, 'socket', 'request', (socket: Socket) => {
    const handshaking = socket instanceof TLSSocket && 'secureConnecting' in socket && socket.secureConnecting === true
    if (socket.connecting || handshaking) listenOnce(socket, socket instanceof TLSSocket ? 'secureConnect' : 'connect', 'request', ready)
    else ready()
  })
}

function queryText(query: RequestOptions['query']): string {
  if (query === undefined) return ''
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) params.set(name, String(value))
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}
