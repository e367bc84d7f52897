/**
 * A proxy in front of the real API server that does to its traffic what networks, load balancers and API servers do on bad days.
 * Two layers on one port: TCP links that can be reset or left half-open, and behind them HTTPS (with the API server's own
 * certificate) where single requests can be refused, delayed, slowed down or counted.
 */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterAccess } from '../../local-cluster/access.ts'

/** One request as it came to the proxy. */
export interface Exchange {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string
  readonly userAgent: string
  /** `performance.now()`. */
  readonly at: number
  /** When it was over for the client; undefined while it is open. */
  endedAt: number | undefined
  /** What the client was told. */
  status: number | undefined
}

export type Match = (exchange: Exchange) => boolean

export interface Fault {
  /** Wait so long before anything else, milliseconds. */
  readonly delayMs?: number
  /** Answer with this HTTP status instead of asking the API server. */
  readonly answer?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Body of `answer`; a `Status` of its code when absent. */
  readonly body?: unknown
  /** Reset the connection (RST) instead of answering. */
  readonly reset?: boolean
  /** From here on no byte comes and nothing is closed: before the answer, or between its headers and its body. */
  readonly stall?: 'headers' | 'body'
  /** Text before the API server's body. */
  readonly prepend?: string
  readonly bytesPerSecond?: number
}

/**
 * Sees writes (all but GET): before they go to the API server, and after it has answered. What it waits for holds the request up;
 * when it throws the connection is reset.
 */
export interface Interceptor {
  readonly before?: (exchange: Exchange) => void | Promise<void>
  readonly after?: (exchange: Exchange, status: number, body: string) => void | Promise<void>
}

export interface FaultProxy extends AsyncDisposable {
  readonly server: string
  /** As the cluster's, but its server is the proxy. */
  readonly kubeconfigFor: ClusterAccess['kubeconfigFor']
  readonly exchanges: readonly Exchange[]
  /** When connections were reset or became half-open (`performance.now()`): what was under way then may be lost. */
  readonly disturbedAt: readonly number[]
  /** The next `times` requests that match suffer `fault`; of several faults the first that fits. */
  readonly inject: (match: Match, fault: Fault, times?: number) => void
  readonly intercept: (interceptor: Interceptor) => void
  /** Takes all faults away; links that are half-open stay so. */
  readonly heal: () => void
  /** Writes a line into each open watch that matches. Returns how many there are. */
  readonly tell: (match: Match, line: string) => number
  /** Resets every open connection. */
  readonly cut: () => void
  /** Every connection that is open now becomes half-open: it takes bytes and gives none. */
  readonly stall: () => void
  /** Refuses connections and resets those that are open, until `up`. */
  readonly down: () => Promise<void>
  readonly up: () => Promise<void>
  /** Open connections. */
  readonly connections: () => number
}

export const isWatch: Match = ({ query }) => query.get('watch') === 'true'
export const isList: Match = ({ method, path, query }) =>
  method === 'GET' && query.get('watch') === null && query.has('limit') && path !== ''
export const isWrite: Match = ({ method }) => method !== 'GET'

interface Link {
  readonly client: Socket
  readonly inner: Socket
}

/** Starts it on a free port of the loopback address. */
export async function startFaultProxy(cluster: Pick<ClusterAccess, 'server' | 'caFile' | 'kubeconfigFor'>): Promise<FaultProxy> {
  const exchanges: Exchange[] = []
  const disturbedAt: number[] = []
  let faults: { match: Match; fault: Fault; left: number }[] = []
  let interceptor: Interceptor = {}
  const watches = new Map<Exchange, ServerResponse>()
  /** Every connection of a client, also one that does not lead to the HTTPS layer yet. */
  const open = new Set<Link>()
  /** By the port with which it comes to the HTTPS layer. */
  const links = new Map<number, Link>()
  const upstream = new https.Agent({ keepAlive: true, ca: readFileSync(cluster.caFile), maxCachedSessions: 0 })

  const inner = https.createServer({
    cert: readFileSync(cluster.caFile),
    key: readFileSync(join(dirname(cluster.caFile), 'apiserver.key')),
    keepAliveTimeout: 0,
    requestTimeout: 0,
  })
  inner.on('request', (request, response) => {
    handle(request, response).catch(() => reset(request))
  })
  inner.listen(0, '127.0.0.1')
  await once(inner, 'listening')
  const innerPort = (inner.address() as AddressInfo).port

  const front: Server = createServer((client) => {
    const behind = connect(innerPort, '127.0.0.1')
    const link = { client, inner: behind }
    open.add(link)
    client.once('close', () => open.delete(link))
    behind.once('connect', () => {
      const key = behind.localPort!
      links.set(key, link)
      behind.once('close', () => links.delete(key))
    })
    for (const [from, to] of [
      [client, behind],
      [behind, client],
    ] as const) {
      from.setNoDelay(true)
      from.on('error', () => {})
      from.pipe(to)
      from.once('close', () => to.destroy())
    }
  })
  const listen = async (port: number): Promise<void> => {
    front.listen(port, '127.0.0.1')
    await once(front, 'listening')
  }
  await listen(0)
  const { port } = front.address() as AddressInfo
  const server = `https://127.0.0.1:${port}`

  function reset({ socket }: IncomingMessage): void {
    const link = links.get(socket.remotePort ?? 0)
    if (link !== undefined) resetLink(link)
  }

  /** Bytes are taken and lead nowhere. */
  function stallLink({ client, inner: behind }: Link): void {
    client.unpipe()
    behind.unpipe()
    client.resume()
    behind.resume()
  }

  function faultFor(exchange: Exchange): Fault {
    const found = faults.find(({ match, left }) => left > 0 && match(exchange))
    if (found === undefined) return {}
    found.left--
    return found.fault
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', server)
    const exchange: Exchange = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      authorization: request.headers.authorization ?? '',
      userAgent: request.headers['user-agent'] ?? '',
      at: performance.now(),
      endedAt: undefined,
      status: undefined,
    }
    exchanges.push(exchange)
    response.once('close', () => (exchange.endedAt = performance.now()))
    const fault = faultFor(exchange)
    if (fault.delayMs !== undefined) await sleep(fault.delayMs)
    if (fault.reset === true) return reset(request)
    if (fault.stall === 'headers') return stallLink(links.get(request.socket.remotePort ?? 0)!)
    if (fault.answer !== undefined) return answer(request, response, exchange, fault)
    if (isWrite(exchange)) await interceptor.before?.(exchange)
    const answered = await forward(request, response)
    exchange.status = answered.statusCode ?? 0
    if (isWrite(exchange)) {
      const body = await text(answered)
      await interceptor.after?.(exchange, exchange.status, body)
      return void response.writeHead(exchange.status, answered.headers).end(body)
    }
    response.writeHead(exchange.status, answered.headers)
    response.flushHeaders()
    if (fault.stall === 'body') return void setTimeout(() => stallLink(links.get(request.socket.remotePort ?? 0)!), 20)
    if (fault.prepend !== undefined) response.write(fault.prepend)
    if (isWatch(exchange)) watches.set(exchange, response)
    response.once('close', () => watches.delete(exchange))
    if (fault.bytesPerSecond === undefined) await pipeline(answered, response)
    else await pipeline(answered, slowly(fault.bytesPerSecond), response)
  }

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    exchange: Exchange,
    { answer: code = 500, headers, body, stall }: Fault,
  ): Promise<void> {
    request.resume()
    exchange.status = code
    const content = JSON.stringify(body ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: `fault ${code}`, code })
    response.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content), ...headers })
    if (stall === 'body') response.flushHeaders()
    else response.end(content)
  }

  /** Passes the request on; resolves with the API server's answer. */
  async function forward(request: IncomingMessage, response: ServerResponse): Promise<IncomingMessage> {
    const outgoing = https.request(cluster.server + (request.url ?? '/'), {
      method: request.method ?? 'GET',
      headers: request.headers,
      agent: upstream,
    })
    response.once('close', () => outgoing.destroy())
    request.pipe(outgoing)
    const [answered] = (await once(outgoing, 'response')) as [IncomingMessage]
    outgoing.on('error', () => {})
    return answered
  }

  function cut(): void {
    disturbedAt.push(performance.now())
    for (const link of open) resetLink(link)
  }

  async function down(): Promise<void> {
    if (!front.listening) return
    const closed = once(front, 'close')
    front.close()
    cut()
    await closed
  }

  return {
    server,
    kubeconfigFor: (user) => {
      const file = cluster.kubeconfigFor(user)
      writeFileSync(file, readFileSync(file, 'utf8').replaceAll(cluster.server, server))
      return file
    },
    exchanges,
    disturbedAt,
    inject: (match, fault, times = Infinity) => void faults.push({ match, fault, left: times }),
    intercept: (next) => void (interceptor = next),
    heal: () => void (faults = []),
    tell: (match, line) => {
      const told = [...watches].filter(([exchange]) => match(exchange))
      for (const [, response] of told) response.write(`${line}\n`)
      return told.length
    },
    cut,
    stall: () => {
      disturbedAt.push(performance.now())
      for (const link of open) stallLink(link)
    },
    down,
    up: async () => await listen(port),
    connections: () => open.size,
    async [Symbol.asyncDispose]() {
      await down()
      inner.closeAllConnections()
      inner.close()
      upstream.destroy()
    },
  }
}

/** RST; libuv refuses it for a socket that is on its way to be closed, and would leave it open. */
function resetLink({ client, inner }: Link): void {
  if (client.writableEnded) client.destroy()
  else client.resetAndDestroy()
  inner.destroy()
}

/** Lets so many bytes a second through, little by little; whoever sends has to wait. */
function slowly(bytesPerSecond: number): (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer> {
  const size = Math.ceil(bytesPerSecond / 20)
  return async function* (source) {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; at += size) {
        const piece = chunk.subarray(at, at + size)
        await sleep((piece.length / bytesPerSecond) * 1000)
        yield piece
      }
    }
  }
}
