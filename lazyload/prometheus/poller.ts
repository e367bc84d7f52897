/** Asks Prometheus for each fence, in rounds; what one query fails with harms only its fence. Runs where the leader is. */
import { jittered, sleep } from '../../runtime/sleep.ts'
import { messageOf } from '../../runtime/errors.ts'
import type { Answer, PrometheusClient, Sample } from './client.ts'
import type { PrometheusConfig } from './config.ts'
import { hostsOfSamples } from './metric-status.ts'
import { fillQuery, splitByFence } from './query.ts'

/** What one round found for a fence. */
export interface Finding {
  readonly hosts: ReadonlyMap<string, number>
  /** True when every query was answered in full: then a host that is not there was not called. */
  readonly complete: boolean
  /** Why it is not complete; stable text. */
  readonly problem: string | undefined
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface PollerOptions {
  readonly client: PrometheusClient
  readonly config: Pick<PrometheusConfig, 'handlers' | 'intervalMs' | 'concurrency'>
  /** `namespace/name` of the fences to ask for. */
  readonly fences: () => readonly string[]
  readonly isExternal: (host: string) => boolean
  readonly onFinding: (fence: string, finding: Finding) => void
  /** After each query: undefined when it was answered. */
  readonly onQuery?: (error: unknown) => void
  readonly now?: () => number
}

type Result = Answer | Error

export function createPoller(options: PollerOptions) {
  const { client, config, fences, isExternal, onFinding, onQuery = () => {}, now = Date.now } = options
  const own = config.handlers.filter(({ aggregate }) => !aggregate)
  const aggregated = config.handlers.filter(({ aggregate }) => aggregate)
  const urgent = new Set<string>()
  let waiting = new AbortController()
  let lastError: string | undefined

  async function ask(text: string, signal: AbortSignal): Promise<Result> {
    try {
      const answer = await client.query(text, signal)
      lastError = undefined
      onQuery(undefined)
      return answer
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error))
      if (!signal.aborted) {
        lastError = failure.message
        onQuery(failure)
      }
      return failure
    }
  }

  async function round(keys: readonly string[], signal: AbortSignal): Promise<void> {
    // with nobody to ask for, whether Prometheus answers is worth knowing all the same
    if (keys.length === 0) await ask('vector(0)', signal)
    else {
      const shared = await askShared(keys, signal)
      await inParallel(keys, config.concurrency, async (key) => {
        if (!signal.aborted) await askFor(key, shared, signal)
      })
    }
  }

  /** One query per aggregated handler; its samples by fence. */
  async function askShared(keys: readonly string[], signal: AbortSignal): Promise<readonly ((key: string) => Result)[]> {
    return await Promise.all(
      aggregated.map(async ({ query }) => {
        const result = await ask(query, signal)
        if (result instanceof Error) return () => result
        const split = splitByFence(result.samples, keys)
        return (key: string) => ({ samples: split.get(key) ?? [], warnings: result.warnings })
      }),
    )
  }

  async function askFor(key: string, shared: readonly ((key: string) => Result)[], signal: AbortSignal): Promise<void> {
    const [namespace = '', name = ''] = key.split('/')
    const results: Result[] = []
    for (const { query } of own) results.push(await ask(fillQuery(query, namespace, name), signal))
    if (signal.aborted) return
    const all = [...results, ...shared.map((of) => of(key))]
    const samples: readonly Sample[] = all.flatMap((result) => (result instanceof Error ? [] : result.samples))
    const problems = all.flatMap((result) =>
      result instanceof Error ? [messageOf(result)] : result.warnings.map((warning) => `warning: ${warning}`),
    )
    const problem = problems.length === 0 ? undefined : [...new Set(problems)].sort().join('; ')
    onFinding(key, { hosts: hostsOfSamples(samples, namespace, isExternal), complete: problem === undefined, problem, at: now() })
  }

  return {
    /** Asks for this fence soon, outside of the rounds. */
    askSoon(key: string): void {
      urgent.add(key)
      waiting.abort()
    },
    /** Why Prometheus did not answer the last query; undefined when it did, or was not asked yet. */
    problem: () => lastError,
    /** Rounds until `signal` aborts. */
    async run(signal: AbortSignal): Promise<void> {
      let next = performance.now()
      while (!signal.aborted) {
        const due = performance.now() >= next
        const keys = due ? fences() : [...urgent]
        urgent.clear()
        if (due) next = performance.now() + jittered(config.intervalMs)
        if (due || keys.length > 0) await round(keys, signal)
        waiting = new AbortController()
        if (urgent.size === 0) await sleep(Math.max(0, next - performance.now()), AbortSignal.any([signal, waiting.signal]))
      }
    },
  }
}

async function inParallel<Item>(items: readonly Item[], limit: number, work: (item: Item) => Promise<void>): Promise<void> {
  const left = items.values()
  const run = async (): Promise<void> => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, run))
}
