/** Asks Prometheus for each fence, in rounds; a query that fails harms only its fence. Runs where the leader is. */
import { attempt, guarded } from '../../runtime/callbacks.ts'
import { panicked } from '../../runtime/panics.ts'
import { jittered, sleep } from '../../runtime/sleep.ts'
import { type PrometheusClient, QueryError } from './client.ts'
import type { PrometheusConfig } from '../../module/config.ts'
import { type Found, isEvidence, withoutAbsence } from './evidence.ts'
import { type Finding, findingOf, type QueryResult } from './finding.ts'
import type { HostLookup } from './metric-status.ts'
import { type Caller, fillQuery, splitByFence } from './query.ts'

export interface PollerOptions extends HostLookup {
  readonly client: PrometheusClient
  readonly config: Pick<PrometheusConfig, 'handlers' | 'intervalMs' | 'recoveryMs' | 'concurrency'>
  /** The fences to ask for. */
  readonly callers: () => readonly Caller[]
  /** Values of `source_app` that callers in several namespaces have. */
  readonly sharedNames?: () => ReadonlySet<string>
  /** True for a fence `namespace/name` that has learned hosts. */
  readonly knowsHosts: (fence: string) => boolean
  /** As soon as they are found. */
  readonly onHosts: (fence: string, hosts: ReadonlyMap<string, number>) => void
  /** Of a fence that knows hosts at the end of the round, which shows what absence means. */
  readonly onFinding: (fence: string, finding: Finding) => void
  /** After each query: undefined when it was answered. */
  readonly onQuery?: (error: unknown) => void
  readonly now?: () => number
}

/** After so many queries in a row that nobody answered the rest of a round is not asked: each could take the whole timeout. */
const SILENT = 16

export function createPoller(options: PollerOptions) {
  const { client, config, callers, sharedNames = () => new Set(), knowsHosts, now = Date.now } = options
  const onHosts = guarded('round', (key) => key, options.onHosts)
  const onFinding = guarded('round', (key) => key, options.onFinding)
  const onQuery = guarded('observer', 'queries', (error: unknown) => options.onQuery?.(error))
  const own = config.handlers.filter(({ aggregate }) => !aggregate)
  const aggregated = config.handlers.filter(({ aggregate }) => aggregate)
  const urgent = new Set<string>()
  let waiting = new AbortController()
  /** Queries in a row that nobody answered, and what was said of the last. */
  let silent = 0
  let silence: QueryError | undefined
  let heardInRound = false
  let problem: string | undefined
  /** Before that absence does not count. */
  let recoveredAt = -Infinity

  async function ask(text: string, signal: AbortSignal): Promise<QueryResult> {
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

  /** Asks for the callers `asked` among `all`. */
  async function round(asked: readonly Caller[], all: readonly Caller[], signal: AbortSignal): Promise<void> {
    silent = 0
    heardInRound = false
    // with nobody to ask for, whether Prometheus answers is worth knowing all the same
    if (asked.length === 0) {
      const answer = await ask('vector(0)', signal)
      if (answer instanceof QueryError && !signal.aborted) recoveredAt = now() + config.recoveryMs
      return
    }
    const began = now()
    const shared = await askShared(all, signal)
    const names = sharedNames()
    const found: Found[] = []
    await inParallel(asked, config.concurrency, async (caller) => {
      const finding = signal.aborted ? undefined : await findingFor(caller, names, shared, signal)
      if (finding === undefined) return
      const knows = knowsHosts(caller.key)
      found.push({ key: caller.key, finding, knows })
      onHosts(caller.key, finding.hosts)
      if (!knows || !finding.complete) onFinding(caller.key, finding)
    })
    if (signal.aborted || asked.length < all.length) return
    const evidence = isEvidence(found)
    if (!evidence) recoveredAt = now() + config.recoveryMs
    const counts = evidence && began >= recoveredAt
    for (const { key, finding, knows } of found)
      if (knows && finding.complete) onFinding(key, counts ? finding : withoutAbsence(finding, evidence))
  }

  /** One query per aggregated handler; its samples by fence. */
  async function askShared(all: readonly Caller[], signal: AbortSignal): Promise<readonly ((caller: Caller) => QueryResult)[]> {
    return await Promise.all(
      aggregated.map(async ({ query }) => {
        const result = await ask(query, signal)
        if (result instanceof QueryError) return () => result
        const share = splitByFence(result.samples, all)
        return (caller: Caller) => ({ ...share(caller), warnings: result.warnings })
      }),
    )
  }

  /** A fence that makes a query or its answer fail in a way that nobody expected harms itself only. */
  async function findingFor(...input: Parameters<typeof askFor>): Promise<Finding | undefined> {
    try {
      return await askFor(...input)
    } catch (error) {
      panicked('round', input[0].key, error)
      return undefined
    }
  }

  /** Undefined when `signal` aborted. */
  async function askFor(
    caller: Caller,
    names: ReadonlySet<string>,
    shared: readonly ((caller: Caller) => QueryResult)[],
    signal: AbortSignal,
  ): Promise<Finding | undefined> {
    const [namespace = ''] = caller.key.split('/')
    const results: QueryResult[] = []
    for (const { query } of own) {
      const given = silent >= SILENT ? silence : undefined
      results.push(given ?? (await ask(fillQuery(query, namespace, caller.app, !names.has(caller.app)), signal)))
    }
    if (signal.aborted) return undefined
    return findingOf([...results, ...shared.map((of) => of(caller))], namespace, options, now())
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
        const all = due || urgent.size > 0 ? attempt('round', 'callers', callers, []) : []
        const asked = due ? all : all.filter(({ key }) => urgent.has(key))
        urgent.clear()
        if (due) next = performance.now() + jittered(config.intervalMs)
        try {
          if (due || asked.length > 0) await round(asked, all, signal)
        } catch (error) {
          panicked('round', 'Prometheus', error)
        }
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
