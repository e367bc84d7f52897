/** Metrics of lazyload: controller-runtime's (runtime/metrics.ts), upstream's slime_lazyload_*, and how learning goes. */
import Counter from 'prom-client/lib/counter.js'
import { collectGauge } from '../runtime/collected-metrics.ts'
import { createMetrics, type MetricsOptions } from '../runtime/metrics.ts'
import type { EntryResult } from './accesslog/source.ts'
import type { SidecarOutcome } from './sidecar/writer.ts'

export type LazyloadMetrics = ReturnType<typeof createLazyloadMetrics>

const PREFIX = 'slime_lazyload_'

export function createLazyloadMetrics(options: Omit<MetricsOptions, 'controller'>) {
  const runtime = createMetrics({ ...options, controller: 'servicefence' })
  const registers = [runtime.registry]

  function counter(name: string, help: string): Counter {
    const created = new Counter({ name: PREFIX + name, help, registers })
    created.inc(0)
    return created
  }

  const sidecarCreations = counter('sidecar_creations', 'Sidecars created.')
  const sidecarRefreshes = counter('sidecar_refreshes', 'Sidecars changed.')
  const sidecarDeletions = counter('sidecar_deletions', 'Sidecars removed because their fence was disabled.')
  const sidecarFailures = counter('sidecar_failed_creations', 'Writes of a Sidecar that the API server refused or did not answer.')
  const fenceCreations = counter('servicefence_creations', 'ServiceFences created because of labels.')
  const fenceDeletions = counter('servicefence_deletions', 'ServiceFences deleted because of labels.')
  const learned = counter('learned_hosts_total', 'Hosts written into the status of fences.')
  const learnFailures = counter('learn_failures_total', 'Writes of learned hosts that failed; they are tried again.')
  const refused = counter('accesslog_refused_streams_total', 'Streams and connections whose sender is not the address of a global-sidecar.')
  const messages = counter('accesslog_messages_total', 'Messages received from global-sidecars.')
  const entries = new Counter({
    name: `${PREFIX}accesslog_entries_total`,
    help: 'Logged requests, by what could be made of them.',
    labelNames: ['result'],
    registers,
  })
  for (const result of ['learnable', 'no-source', 'no-destination', 'broken'] satisfies EntryResult[]) entries.inc({ result }, 0)
  const queries = new Counter({ name: `${PREFIX}prometheus_queries_total`, help: 'Queries, by result.', labelNames: ['result'], registers })
  for (const result of ['success', 'error']) queries.inc({ result }, 0)

  return {
    ...runtime,
    message: () => messages.inc(),
    refused: () => refused.inc(),
    entries: (result: EntryResult, count: number): void => entries.inc({ result }, count),
    query: (error: unknown): void => queries.inc({ result: error === undefined ? 'success' : 'error' }),
    learned: (hosts: number): void => learned.inc(hosts),
    learnFailed: () => learnFailures.inc(),
    autoFence(outcome: 'created' | 'deleted' | 'relabelled'): void {
      if (outcome === 'created') fenceCreations.inc()
      else if (outcome === 'deleted') fenceDeletions.inc()
    },
    sidecar(outcome: SidecarOutcome | 'failed'): void {
      if (outcome === 'created') sidecarCreations.inc()
      else if (outcome === 'changed') sidecarRefreshes.inc()
      else if (outcome === 'removed') sidecarDeletions.inc()
      else if (outcome === 'failed') sidecarFailures.inc()
    },
    /** A value that is looked up at the scrape. */
    gauge: (name: string, help: string, value: () => number): void => collectGauge(runtime.registry, PREFIX + name, help, {}, value),
  }
}
