/**
 * Metrics of any controller on this runtime, under the names of controller-runtime and client-go, so that dashboards and alerts
 * made for those fit (https://book.kubebuilder.io/reference/metrics-reference). What can be looked up is collected at the scrape.
 */
import Counter from 'prom-client/lib/counter.js'
import Histogram from 'prom-client/lib/histogram.js'
import Registry from 'prom-client/lib/registry.js'
import { collectCounters, collectGauge } from './collected-metrics.ts'
import { panicCounts } from './panics.ts'
import { collectProcess } from './process-metrics.ts'
import type { WorkQueue, WorkQueueObserver } from './work-queue.ts'
import type { WorkerObserver } from './worker.ts'

export interface MetricsOptions {
  /** Label `controller` and `name`, as `slimeboot`. */
  readonly controller: string
  readonly workers: number
  /** With leader election: name of the Lease, and whether it is ours. */
  readonly election?: { readonly name: string; readonly isLeading: () => boolean } | undefined
}

/** controller-runtime's buckets for a reconcile, seconds. */
const RECONCILE_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5,
  5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
]
/** client-go's for a queue: 10 ns to 1,000 s. */
const QUEUE_BUCKETS = Array.from({ length: 12 }, (_, power) => 10 ** (power - 8))

export function createMetrics({ controller, workers, election }: MetricsOptions) {
  const registry = new Registry()
  const registers = [registry]
  const queueLabels = { name: controller, controller }
  const queueNames = ['name', 'controller'] as const
  let queue: Pick<WorkQueue, 'depth' | 'running'> | undefined

  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server by method and HTTP status; <error> when no answer came.',
    labelNames: ['code', 'method', 'host'],
    registers,
  })

  const adds = new Counter({ name: 'workqueue_adds_total', help: 'Keys added to the queue.', labelNames: queueNames, registers })
  const retries = new Counter({ name: 'workqueue_retries_total', help: 'Keys put back with a backoff.', labelNames: queueNames, registers })
  const waits = new Histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'How long a key waited for a worker.',
    labelNames: queueNames,
    buckets: QUEUE_BUCKETS,
    registers,
  })
  const works = new Histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'How long a worker was busy with a key.',
    labelNames: queueNames,
    buckets: QUEUE_BUCKETS,
    registers,
  })
  const running = (): readonly number[] => queue?.running() ?? []
  gauge('workqueue_depth', 'Keys that wait for a worker.', queueLabels, () => queue?.depth() ?? 0)
  gauge(
    'workqueue_unfinished_work_seconds',
    'Sum of the time that the present reconciles have taken so far; one that hangs makes it grow without end.',
    queueLabels,
    () => running().reduce((sum, ms) => sum + ms, 0) / 1000,
  )
  gauge(
    'workqueue_longest_running_processor_seconds',
    'Time that the longest of the present reconciles has taken so far.',
    queueLabels,
    () => Math.max(0, ...running()) / 1000,
  )

  const reconciles = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciles by result: success, error, requeue, requeue_after.',
    labelNames: ['controller', 'result'],
    registers,
  })
  const errors = counter('controller_runtime_reconcile_errors_total', 'Reconciles that failed.', { controller })
  const terminal = counter(
    'controller_runtime_terminal_reconcile_errors_total',
    'Reconciles that failed and are not tried again before something changes.',
    { controller },
  )
  const panics = counter('controller_runtime_reconcile_panics_total', 'Reconciles that ended with an unexpected error: a bug.', {
    controller,
  })
  const times = new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'Duration of a reconcile.',
    labelNames: ['controller'],
    buckets: RECONCILE_BUCKETS,
    registers,
  })
  gauge('controller_runtime_max_concurrent_reconciles', 'Workers.', { controller }, () => workers)
  gauge('controller_runtime_active_workers', 'Workers that are reconciling.', { controller }, () => running().length)
  for (const result of ['success', 'error', 'requeue', 'requeue_after']) reconciles.inc({ controller, result }, 0)

  if (election !== undefined)
    gauge('leader_election_master_status', '1 where this replica leads, 0 where it stands by.', { name: election.name }, () =>
      Number(election.isLeading()),
    )
  collectProcess(registry)
  collectCounters(
    registry,
    'nodejs_callback_panics_total',
    'Unexpected errors in what Node or a library has called, by what that was. Each is a bug: it is logged, and the process goes on.',
    ['callback'],
    (set) => {
      for (const [callback, count] of panicCounts()) set({ callback }, count)
    },
  )

  function gauge(name: string, help: string, labels: Readonly<Record<string, string>>, value: () => number): void {
    collectGauge(registry, name, help, labels, value)
  }

  /** A counter of one series, there from the start. */
  function counter(name: string, help: string, labels: Readonly<Record<string, string>>): { inc: () => void } {
    const created = new Counter({ name, help, labelNames: Object.keys(labels), registers })
    created.inc(labels, 0)
    return { inc: () => created.inc(labels) }
  }

  const queueObserver: WorkQueueObserver = {
    added: () => adds.inc(queueLabels),
    retried: () => retries.inc(queueLabels),
    taken: (waitedMs) => waits.observe(queueLabels, waitedMs / 1000),
    finished: (workedMs) => works.observe(queueLabels, workedMs / 1000),
  }
  const workerObserver: WorkerObserver = {
    finished(result, ms) {
      times.observe({ controller }, ms / 1000)
      if (result === 'panic') panics.inc()
      if (result === 'terminal') terminal.inc()
      const failed = result === 'panic' || result === 'terminal' || result === 'error'
      if (failed) errors.inc()
      reconciles.inc({ controller, result: failed ? 'error' : result })
    },
  }

  return {
    /** For further metrics of the controller. */
    registry,
    /** For `observe` of a transport. */
    request: (host: string, method: string, code: number | string): void => requests.inc({ code: String(code), method, host }),
    queueObserver,
    workerObserver,
    /** The queue whose depth is shown. */
    watchQueue(watched: Pick<WorkQueue, 'depth' | 'running'>): void {
      queue = watched
    },
    /** The text format of Prometheus. */
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}
