/** Instant queries on Prometheus' HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries). */
import { messageOf } from '../../runtime/errors.ts'

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  /** As Prometheus writes it: decimal text. */
  readonly value: string
}

export interface Answer {
  readonly samples: readonly Sample[]
  /** The answer may be incomplete: what it lacks proves nothing. */
  readonly warnings: readonly string[]
}

/** What Prometheus, or the network, says against a query. */
export class QueryError extends Error {
  override readonly name = 'QueryError'
  /** True when it is Prometheus that says it: then it is there, and the fault is with this query. */
  readonly answered: boolean
  constructor(message: string, answered: boolean, options?: ErrorOptions) {
    super(message, options)
    this.answered = answered
  }
}

export interface PrometheusClient {
  /** Throws QueryError. */
  query(text: string, signal: AbortSignal): Promise<Answer>
}

export interface PrometheusClientOptions {
  readonly address: URL
  readonly authorization: string | undefined
  readonly timeoutMs: number
}

interface Body {
  readonly status?: string
  readonly error?: string
  readonly errorType?: string
  readonly warnings?: readonly string[]
  readonly data?: { readonly resultType?: string; readonly result?: unknown }
}

interface Series {
  readonly metric?: Readonly<Record<string, string>>
  readonly value?: readonly [number, string]
  readonly values?: readonly (readonly [number, string])[]
}

const MAX_BYTES = 64 * 1024 * 1024

export function createPrometheusClient({ address, authorization, timeoutMs }: PrometheusClientOptions): PrometheusClient {
  const endpoint = new URL(`${address.pathname.replace(/\/$/, '')}/api/v1/query`, address)
  return {
    async query(text, signal) {
      const url = new URL(endpoint)
      url.searchParams.set('query', text)
      const headers = { accept: 'application/json', ...(authorization === undefined ? {} : { authorization }) }
      try {
        const response = await fetch(url, {
          headers,
          redirect: 'follow',
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        })
        return read(await textOf(response), response.status)
      } catch (error) {
        throw new QueryError(`Prometheus at ${address.href}: ${explain(error, timeoutMs)}`, error instanceof QueryError, { cause: error })
      }
    },
  }
}

function read(text: string, code: number): Answer {
  let body: Body
  try {
    body = JSON.parse(text) as Body
  } catch {
    throw new Error(`HTTP ${code} without JSON: ${text.slice(0, 200).trim()}`)
  }
  if (body.status === 'error') throw new QueryError(`${body.errorType ?? 'error'}: ${body.error ?? `HTTP ${code}`}`, true)
  if (body.status !== 'success') throw new Error(`HTTP ${code}, and not as Prometheus answers: ${text.slice(0, 200).trim()}`)
  const { resultType, result } = body.data ?? {}
  if (resultType !== 'vector' && resultType !== 'matrix')
    throw new QueryError(`the query gives a ${String(resultType)}; it must give a vector`, true)
  const samples = ((result ?? []) as readonly Series[]).map(({ metric = {}, value, values }) => ({
    labels: metric,
    value: (value ?? values?.at(-1))?.[1] ?? '0',
  }))
  return { samples, warnings: body.warnings ?? [] }
}

/** The body, which must not fill the memory. */
async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += (chunk as Uint8Array).length
    if (size > MAX_BYTES) throw new Error(`an answer of over ${MAX_BYTES / 1024 / 1024} MiB`)
    chunks.push(chunk as Uint8Array)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function explain(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`
  // fetch says "fetch failed" and keeps the reason to itself
  return error instanceof TypeError && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
}
