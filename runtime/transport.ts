/** HTTP to the API server: JSON in and out, a limit on requests in flight, retries of what is safe to send again. */
import type http from 'node:http'
import type { KubeConfig } from '@kubernetes/client-node'
import { guarded, listenOnce } from './callbacks.ts'
import { createConcurrencyLimit } from './concurrency-limit.ts'
import { createConnections } from './connection.ts'
import { ApiError, ConnectionError, SilenceError } from './errors.ts'
import { apiRequestOf } from './request.ts'
import { type Answer, chunksOf, exchange, isConnectionFailure, isSuccess, readAll, type RequestOptions } from './exchange.ts'
import { sleep } from './sleep.ts'

export interface TransportOptions {
  /** Read again after a 401, so that a rotated token is picked up. */
  readonly loadConfig: () => KubeConfig
  readonly userAgent: string
  /** Requests in flight, watches apart (default 8). */
  readonly concurrency?: number
  /** A request that hears nothing for so long has failed, be it while connecting or in the middle of a long answer (default 30,000 ms). */
  readonly timeoutMs?: number
  /** Called when a request is dispatched, not when it is queued; throws to stop it (leader election). `write` is false for GET. */
  readonly beforeSend?: (write: boolean) => void
  /** Sees every finished request, for metrics; `code` is the HTTP status, or `<error>` when no answer came. */
  readonly observe?: (method: string, code: number | string) => void
}

export interface Transport {
  /** `https://host:port` */
  readonly server: string
  /** The parsed JSON of a 2xx answer, undefined where it is empty. Throws ApiError or ConnectionError, and what `beforeSend` throws. */
  request(options: RequestOptions): Promise<unknown>
  /** An open 2xx answer whose body is read as it comes; ends when `signal` aborts. Throws as `request` does. */
  stream(options: RequestOptions): Promise<http.IncomingMessage>
  close(): void
}

const ATTEMPTS = 4
const CONCURRENCY = 8
const REQUEST_TIMEOUT_MS = 30_000
/** A server that asks for patience (429) is given so many seconds at the most. */
const LONGEST_WAIT_S = 30

/** Throws an Error where the kubeconfig cannot be read or names no cluster. */
export function createTransport(options: TransportOptions): Transport {
  const { timeoutMs = REQUEST_TIMEOUT_MS, concurrency = CONCURRENCY, beforeSend } = options
  const observe = guarded('observer', 'requests', (method: string, code: number | string) => options.observe?.(method, code))
  const connections = createConnections(options.loadConfig, options.userAgent)
  const limited = createConcurrencyLimit(concurrency)

  /** Retries what is safe to send again: everything but POST after a lost connection, everything after 429 and one 401. */
  async function attempt<Result>(request: RequestOptions, watch: boolean, read: (answer: Answer) => Promise<Result>): Promise<Result> {
    const name = `${request.method} ${request.path}`
    const sent = apiRequestOf(request)
    const tries = { count: 0, reloaded: false }
    for (;;) {
      tries.count++
      let failure: Error
      try {
        const connection = await connections.connect()
        const answer = await exchange(request, { connection, watch, limitMs: request.timeoutMs ?? timeoutMs, beforeSend })
        const code = answer.response.statusCode ?? 0
        observe(request.method, code)
        if (isSuccess(answer.response)) return await read(answer)
        failure = new ApiError(name, code, parseBody(await readAll(answer)), { retryAfter: retryAfterOf(answer.response), request: sent })
      } catch (error) {
        if (request.signal?.aborted === true) throw error
        if (!(error instanceof Error) || !isConnectionFailure(error)) throw error
        observe(request.method, '<error>')
        if (error instanceof SilenceError) connections.dropIdle()
        failure = new ConnectionError(name, error, sent)
      }
      if (tries.count >= ATTEMPTS || !(await mayRetry(failure, request, tries))) throw failure
    }
  }

  async function mayRetry(failure: Error, request: RequestOptions, tries: { readonly count: number; reloaded: boolean }): Promise<boolean> {
    if (failure instanceof ConnectionError) {
      // a kept-alive socket that the server closed meanwhile; one fresh try, then it is the caller's to back off
      return tries.count === 1 && request.method !== 'POST' && failure.code === 'ECONNRESET'
    }
    if (!(failure instanceof ApiError)) return false
    if (failure.code === 401 && !tries.reloaded) {
      tries.reloaded = true
      connections.reload()
      return true
    }
    if (failure.code !== 429) return false
    await sleep(Math.min(failure.retryAfter ?? 1, LONGEST_WAIT_S) * 1000, request.signal)
    return request.signal?.aborted !== true
  }

  return {
    server: connections.server,
    request: (request) =>
      limited(() =>
        attempt(request, false, async (answer) =>
          request.read === undefined ? parseBody(await readAll(answer)) : await request.read(chunksOf(answer)),
        ),
      ),
    stream: (request) =>
      attempt(request, true, ({ response }) => {
        listenOnce(response, 'error', 'open answer', (error: Error) => {
          if (error instanceof SilenceError) connections.dropIdle()
        })
        return Promise.resolve(response)
      }),
    close: () => connections.close(),
  }
}

/** Text where the server sent no JSON. */
function parseBody(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function retryAfterOf(response: http.IncomingMessage): number | undefined {
  const seconds = Number(response.headers['retry-after'])
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined
}
