/** Asks Prometheus for each fence, in rounds; a query that fails harms only its fence. Runs where the leader is. */
import { jittered, sleep } from '../../runtime/sleep.ts'
import { type Answer, type PrometheusClient, QueryError, type Sample } from './client.ts'
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
  /** Names that callers in several namespaces have. */
  readonly sharedNames?: () => ReadonlySet<string>
  readonly isExternal: (host: string) => boolean
  readonly onFinding: (fence: string, finding: Finding) => void
  /** After each query: undefined when it was answered. */
  readonly onQuery?: (error: unknown) => void
  readonly now?: () => number
}

type Result = Answer | QueryError

/** After so many queries in a row that nobody answered the rest of a round is not asked: each could take the whole timeout. */
const SILENT = 16

export function createPoller(options: PollerOptions) {
  const { client, config, fences, sharedNames = () => new Set(), isExternal, onFinding, onQuery = () => {}, now = Date.now } = options
  const own = config.handlers.filter(({ aggregate }) => !aggregate)
  const aggregated = config.handlers.filter(({ aggregate }) => aggregate)
  const urgent = new Set<string>()
  let waiting = new AbortController()
  /** Queries in a row that nobody answered, and what was said of the last. */
  let silent = 0
  let silence: QueryError | undefined
  let heardInRound = false
  let problem: string | undefined

  async function ask(text: string, signal: AbortSignal): Promise<Result> {
    try {
      const answer = await client.query(text, signal)
      heard()
      onQuery(undefined)
      return answer
    } catch (error) {
      const failure = error instanceof QueryError ? error : new QueryError(String(error), false, { cause: error })
      if (signal.aborted) return failure
      if (failure.answered) heard()
      else {
        silent++
        silence = failure
      }
      onQuery(failure)
      return failure
    }
  }

  function heard(): void {
    silent = 0
    heardInRound = true
    problem = undefined
  }

  async function round(keys: readonly string[], signal: AbortSignal): Promise<void> {
    silent = 0
    heardInRound = false
    // with nobody to ask for, whether Prometheus answers is worth knowing all the same
    if (keys.length === 0) await ask('vector(0)', signal)
    else {
      const shared = await askShared(keys, signal)
      const names = sharedNames()
      await inParallel(keys, config.concurrency, async (key) => {
        if (!signal.aborted) await askFor(key, names, shared, signal)
      })
    }
  }

  /** One query per aggregated handler; its samples by fence. */
  async function askShared(keys: readonly string[], signal: AbortSignal): Promise<readonly ((key: string) => Result)[]> {
    return await Promise.all(
      aggregated.map(async ({ query }) => {
        const result = await ask(query, signal)
        if (result instanceof QueryError) return () => result
        const split = splitByFence(result.samples, keys)
        return (key: string) => ({ samples: split.get(key) ?? [], warnings: result.warnings })
      }),
    )
  }

  async function askFor(
    key: string,
    names: ReadonlySet<string>,
    shared: readonly ((key: string) => Result)[],
    signal: AbortSignal,
  ): Promise<void> {
    const [namespace = '', name = ''] = key.split('/')
    const results: Result[] = []
    for (const { query } of own) {
      const given = silent >= SILENT ? silence : undefined
      results.push(given ?? (await ask(fillQuery(query, namespace, name, !names.has(name)), signal)))
    }
    if (signal.aborted) return
    const all = [...results, ...shared.map((of) => of(key))]
    const samples: readonly Sample[] = all.flatMap((result) => (result instanceof QueryError ? [] : result.samples))
    const problems = all.flatMap((result) =>
      result instanceof QueryError ? [result.message] : result.warnings.map((warning) => `warning: ${warning}`),
    )
    const said = problems.length === 0 ? undefined : [...new Set(problems)].sort().join('; ')
    onFinding(key, { hosts: hostsOfSamples(samples, namespace, isExternal), complete: said === undefined, problem: said, at: now() })
  }

  return {
    /** Asks for this fence soon, outside of the rounds. */
    askSoon(key: string): void {
      urgent.add(key)
      waiting.abort()
    },
    /** Why nobody answers; undefined when Prometheus answers, be it that a query is wrong, or was not asked yet. */
    problem: () => problem,
    /** Rounds until `signal` aborts. */
    async run(signal: AbortSignal): Promise<void> {
      let next = performance.now()
      while (!signal.aborted) {
        const due = performance.now() >= next
        const keys = due ? fences() : [...urgent]
        urgent.clear()
        if (due) next = performance.now() + jittered(config.intervalMs)
        if (due || keys.length > 0) await round(keys, signal)
        // one fence whose query takes too long is no reason to call Prometheus away
        if (due && !heardInRound) problem = silence?.message
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
