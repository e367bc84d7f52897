/** Metrics of the operator: controller-runtime's (runtime/metrics.ts) and what only SlimeBoot knows. */
import Counter from 'prom-client/lib/counter.js'
import { collectCounters, collectGauges } from '../runtime/collected-metrics.ts'
import type { Informer } from '../runtime/informer.ts'
import { createMetrics, type MetricsOptions } from '../runtime/metrics.ts'
import { resourceName } from '../runtime/resource.ts'
import type { Outcome } from './controller/outcome.ts'
import { readyOf } from './controller/status.ts'

export type OperatorMetrics = ReturnType<typeof createOperatorMetrics>

type WatchedInformer = Pick<Informer, 'type' | 'silentMs' | 'relists' | 'size' | 'synced'>

/** What is kept of the last outcome of a SlimeBoot. */
interface Last {
  readonly reason: string
  readonly total: number
  readonly unready: number
  readonly contested: number
  readonly withdrawn: number
}

export function createOperatorMetrics(options: Omit<MetricsOptions, 'controller'>) {
  const runtime = createMetrics({ ...options, controller: 'slimeboot' })
  const registers = [runtime.registry]
  const boots = new Map<string, Last>()
  let informers: readonly WatchedInformer[] = []
  let orphans: () => number | undefined = () => undefined

  const repaired = new Counter({
    name: 'slimeboot_drift_repaired_total',
    help: 'Objects of ours that somebody else changed and that were set right.',
    labelNames: ['kind'],
    registers,
  })
  const withdrawals = new Counter({
    name: 'slimeboot_catch_all_withdrawals_total',
    help: 'Catch-alls that were withdrawn, because no replica of their global-sidecar was available for 15 s.',
    registers,
  })
  gauges('slimeboot_slimeboots', 'SlimeBoots by the reason of their Ready condition.', ['reason'], (set) => {
    for (const [reason, same] of Map.groupBy(boots.values(), (last) => last.reason)) set({ reason }, same.length)
  })
  gauges(
    'slimeboot_objects',
    'Objects that SlimeBoots render: ready, or unready (not applied, not available, contested or waited for).',
    ['state'],
    (set) => {
      const total = sum((last) => last.total)
      const unready = sum((last) => last.unready)
      set({ state: 'ready' }, total - unready)
      set({ state: 'unready' }, unready)
    },
  )
  gauges('slimeboot_contested', 'Objects with a field that somebody else sets back again and again.', [], (set) =>
    set(
      {},
      sum((last) => last.contested),
    ),
  )
  gauges(
    'slimeboot_catch_alls_withdrawn',
    'Catch-alls that are withdrawn now, because no replica of their global-sidecar is available.',
    [],
    (set) =>
      set(
        {},
        sum((last) => last.withdrawn),
      ),
  )
  gauges('slimeboot_orphans', 'Objects of ours whose SlimeBoot is gone; slimeboot prune-orphans removes them.', [], (set) => {
    const count = orphans()
    if (count !== undefined) set({}, count)
  })
  gauges(
    'slimeboot_watch_silent_seconds',
    'Time since anything was heard on the watch; bookmarks come about once a minute.',
    ['resource'],
    (set) => {
      each((resource, watches) => set({ resource }, Math.max(...watches.map((watch) => (watch.synced() ? watch.silentMs() : 0))) / 1000))
    },
  )
  gauges('slimeboot_watch_objects', 'Objects in the cache.', ['resource'], (set) => {
    each((resource, watches) =>
      set(
        { resource },
        watches.reduce((size, watch) => size + watch.size(), 0),
      ),
    )
  })
  collectCounters(
    runtime.registry,
    'slimeboot_watch_relists_total',
    'Full lists of a resource; one at the start, more when a watch fell too far behind.',
    ['resource'],
    (set) => {
      each((resource, watches) =>
        set(
          { resource },
          watches.reduce((count, watch) => count + watch.relists(), 0),
        ),
      )
    },
  )

  function gauges(name: string, help: string, labelNames: readonly string[], collect: Parameters<typeof collectGauges>[4]): void {
    collectGauges(runtime.registry, name, help, labelNames, collect)
  }

  function sum(of: (last: Last) => number): number {
    return boots.values().reduce((total, last) => total + of(last), 0)
  }

  function each(visit: (resource: string, watches: readonly WatchedInformer[]) => void): void {
    for (const [resource, watches] of Map.groupBy(informers, ({ type }) => resourceName(type))) visit(resource, watches)
  }

  return {
    ...runtime,
    watchController(controller: { readonly informers: readonly WatchedInformer[]; readonly orphans: () => number | undefined }): void {
      informers = controller.informers
      orphans = controller.orphans
    },
    /** Takes in what a reconcile found; undefined: the SlimeBoot is gone. */
    outcome(key: string, outcome: Outcome | undefined): void {
      if (outcome === undefined) return void boots.delete(key)
      for (const change of outcome.changes) if (change.action === 'repaired') repaired.inc({ kind: change.object.split('/', 1)[0]! })
      for (const change of outcome.changes) if (change.action === 'withdrawn') withdrawals.inc()
      if (outcome.problems.some((problem) => problem.retry === 'conflict')) return
      const contested = outcome.changes.filter((change) => change.action === 'contested').length
      const unready =
        outcome.unready.length + outcome.waiting.length + outcome.problems.flatMap((problem) => problem.objects).length + contested
      // a failure before rendering knows no total: what was there is there still
      const total = outcome.total > 0 ? outcome.total : (boots.get(key)?.total ?? 0)
      boots.set(key, {
        reason: readyOf(outcome).reason,
        total,
        unready: Math.min(total, unready),
        contested,
        withdrawn: outcome.withdrawn.length,
      })
    },
  }
}
