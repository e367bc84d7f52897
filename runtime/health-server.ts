/**
 * /livez, /readyz and /metrics over HTTP, as Kubernetes' own components serve them
 * (https://kubernetes.io/docs/reference/using-api/health-checks/).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { attempt, guarded, listen } from './callbacks.ts'
import { messageOf } from './errors.ts'
import { panicked } from './panics.ts'

/** One thing that must be well. */
export interface Check {
  readonly name: string
  /** What is wrong and what it means; undefined when nothing is. */
  readonly problem: string | undefined
}

export interface Address {
  /** Absent: all addresses, IPv4 and IPv6. */
  readonly host?: string
  /** 0: a free one. */
  readonly port: number
}

export interface HealthServerOptions {
  readonly address: Address
  /** Failing: only a restart helps. That the event loop turns is shown by the answer itself. */
  readonly live: () => readonly Check[]
  /** Failing: send no traffic, do not go on with a rollout. */
  readonly ready: () => readonly Check[]
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** The server failed after it was started. */
  readonly onProblem: (error: Error) => void
  /** /livez and /readyz are also served below this path, as `/modules`. */
  readonly alias?: string
  /** Further paths; asked first. Undefined: not one of them. */
  readonly handle?: (request: IncomingMessage, url: URL) => Promise<Answer | undefined>
}

export interface Answer {
  readonly code: number
  readonly text: string
}

export interface HealthServer {
  readonly port: number
  close(): void
}

/** Resolves when it listens. Throws an Error that says why it cannot. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const { address, live, ready, metrics, onProblem, alias, handle } = options
  const server = createServer(
    guarded('request', 'health server', async (request: IncomingMessage, response: ServerResponse) => {
      try {
        await answer(request, response)
      } catch (error) {
        panicked('request', `${request.method} ${(request.url ?? '').slice(0, 100).replace(/\?.*/, '')}`, error)
        if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' })
        response.end(`${messageOf(error)}\n`)
      }
    }),
  )
  // that a check fails to be made says nothing against the process: its end would not help
  const checkLive = (): readonly Check[] => attempt('request', 'liveness checks', live, [])

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!URL.canParse(request.url ?? '/', 'http://localhost')) return send(response, 400, 'not a path\n')
    const url = new URL(request.url ?? '/', 'http://localhost')
    const answered = await handle?.(request, url)
    if (answered !== undefined) return send(response, answered.code, answered.text)
    const pathname = alias !== undefined && url.pathname.startsWith(`${alias}/`) ? url.pathname.slice(alias.length) : url.pathname
    const verbose = url.searchParams.has('verbose')
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'only GET and HEAD\n')
    if (pathname === '/livez' || pathname === '/healthz') return sendChecks(response, pathname, checkLive(), verbose)
    if (pathname === '/readyz') return sendChecks(response, pathname, ready(), verbose)
    if (pathname !== '/metrics') return send(response, 404, 'not found; there are /livez, /readyz (both with ?verbose) and /metrics\n')
    const { contentType, text } = await metrics()
    send(response, 200, text, contentType)
  }

  const { host, port } = address
  try {
    server.listen(host === undefined ? { port } : { host, port })
    await once(server, 'listening')
  } catch (error) {
    throw new Error(`health server: cannot listen on ${host ?? ''}:${port}: ${explain(error)}`, { cause: error })
  }
  listen(server, 'error', 'health server', onProblem)
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function sendChecks(response: ServerResponse, path: string, checks: readonly Check[], verbose: boolean): void {
  const well = checks.every(({ problem }) => problem === undefined)
  const lines = checks.map(({ name, problem }) => (problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`))
  const text = well && !verbose ? 'ok' : [...lines, `${path.slice(1)} check ${well ? 'passed' : 'failed'}`].join('\n')
  send(response, well ? 200 : 503, `${text}\n`)
}

function send(response: ServerResponse, code: number, text: string, contentType = 'text/plain; charset=utf-8'): void {
  response.writeHead(code, { 'content-type': contentType, 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store' })
  response.end(text)
}

function explain(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') return 'another process has this port'
  if (code === 'EACCES') return 'ports below 1024 need a right that this process lacks'
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'this machine has no such address'
  return messageOf(error)
}
