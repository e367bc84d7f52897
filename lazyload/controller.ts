/** Controller: one queue of `namespace/name`, which names a fence and the Service that it is for, and what each event puts into it. */
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'winston'
import type { Client } from '../runtime/client.ts'
import { ApiError, hasCode, messageOf } from '../runtime/errors.ts'
import type { EventRecorder } from '../runtime/events.ts'
import type { ChangeSource, InformerProblem } from '../runtime/informer.ts'
import { keyOf, type KubeObject } from '../runtime/object.ts'
import { resourceName } from '../runtime/resource.ts'
import { createWorkQueue } from '../runtime/work-queue.ts'
import { type Result, runWorkers } from '../runtime/worker.ts'
import { createAutoFence } from './auto-fence/auto-fence.ts'
import { createCaches } from './caches.ts'
import type { LazyloadConfig } from './config.ts'
import { createConcerned } from './concerned.ts'
import { aliasesOf } from './fence/aliases.ts'
import type { ComputedDomains, Observation } from './fence/domains.ts'
import { isEnabled, specOf, statusOf } from './fence/fence.ts'
import { createFenceReconciler } from './fence/reconciler.ts'
import { createScope } from './fence/scope.ts'
import { selectorOf } from './mesh/known-hosts.ts'
import { serviceHost } from './mesh/host-name.ts'
import type { LazyloadMetrics } from './metrics.ts'
import type { Finding } from './prometheus/poller.ts'
import { createSidecarWriter, type SidecarOutcome } from './sidecar/writer.ts'

export interface ControllerOptions {
  readonly config: LazyloadConfig
  /** Its writes are only let through while this replica leads. */
  readonly client: Client
  readonly events: EventRecorder
  readonly log: Logger
  readonly metrics: LazyloadMetrics
  readonly workers: number
  /** Empty: all. */
  readonly namespaces: readonly string[]
}

/** Events that come together are one reconcile. */
const BATCH_MS = 10
const SYSTEM_NAMESPACES = ['kube-system', 'kube-public', 'kube-node-lease']

export type LazyloadController = ReturnType<typeof createController>

export function createController({ config, client, events, log, metrics, workers, namespaces }: ControllerOptions) {
  const queue = createWorkQueue({ observer: metrics.queueObserver })
  const ofRevision = createScope(config.revisions)
  const inNamespaces = (namespace: string): boolean => namespaces.length === 0 || namespaces.includes(namespace)
  const inScope = (fence: KubeObject): boolean => inNamespaces(fence.metadata.namespace ?? '') && ofRevision(fence)
  const observations = new Map<string, Observation>()
  const queryProblems = new Map<string, string>()
  let askSoon: (key: string) => void = () => {}
  let working = false

  const caches = createCaches({
    client,
    endpoints: config.source === 'accesslog',
    inScope: ofRevision,
    onFence,
    onSidecar: (key) => caches.fences.get(key) !== undefined && enqueue(key),
    onService,
    onNamespace: (name) => whileWorking(() => concerned.ofNamespace(name)),
    onRoutes: (hosts) => whileWorking(() => concerned.byHosts(hosts)),
    onExternalHosts: (hosts) => whileWorking(() => concerned.byLearned(hosts)),
    onProblem,
  })
  const { fences, sidecars, services, routes, knownHosts } = caches
  const concerned = createConcerned({ fences, services })

  const autoFence = config.autoFence.enabled
    ? createAutoFence({
        client,
        fences,
        service: services.get,
        namespace: (name) => (inNamespaces(name) ? caches.namespaces.get(`/${name}`) : undefined),
        decision: { ...config.autoFence, system: new Set([config.istioNamespace, config.slimeNamespace, ...SYSTEM_NAMESPACES]) },
        inScope,
        revision: config.revisions.names[0],
      })
    : undefined
  const reconciler = createFenceReconciler({
    client,
    fences,
    sidecars: createSidecarWriter(client, sidecars),
    serviceSelector: (key) => selectorOf(services.get(key)),
    serviceLabel: config.serviceLabel,
    hosts: config,
    domains: {
      source: config.source,
      intervalMs: config.prometheus?.intervalMs ?? 0,
      maxIdleMs: config.maxIdleMs,
      destinationsOf: routes.destinationsOf,
      destinationsOfAll: routes.destinationsOfAll,
      servicesWith: (labels) => concerned.servicesWith(labels).map(({ metadata }) => serviceHost(metadata.name, metadata.namespace ?? '')),
      aliasesOf: (host) => aliasesOf(host, config.aliases),
      isExternal: knownHosts.isExternal,
    },
    observation: (key) => observations.get(key),
    queryProblem: (key) => queryProblems.get(key),
    onSidecar,
  })

  function enqueue(key: string): void {
    queue.addAfter(key, BATCH_MS)
  }

  /** Before the first reconcile every key is in the queue already. */
  function whileWorking(keys: () => Iterable<string>): void {
    if (working) for (const key of keys()) enqueue(key)
  }

  function onFence(previous: KubeObject | undefined, current: KubeObject | undefined, source: ChangeSource): void {
    const key = keyOf((current ?? previous)!)
    if (current === undefined || !isEnabled(current)) {
      observations.delete(key)
      queryProblems.delete(key)
    }
    const specChanged = previous?.metadata.generation !== current?.metadata.generation
    if (current !== undefined && specChanged && isEnabled(current)) askSoon(key)
    // our own write of the status changes nothing that the next reconcile reads, except what is learned
    const learned = previous !== undefined && current !== undefined && !isDeepStrictEqual(statusOf(previous).metricStatus, statusOf(current).metricStatus)
    if (source === 'watch' || current === undefined || learned) queue.add(key)
  }

  function onService(previous: KubeObject | undefined, current: KubeObject | undefined): void {
    enqueue(keyOf((current ?? previous)!))
    whileWorking(() => concerned.byService(previous, current))
  }

  function onSidecar(fence: KubeObject, outcome: SidecarOutcome | 'failed', { domains }: ComputedDomains): void {
    metrics.sidecar(outcome)
    if (outcome === 'unchanged' || outcome === 'absent' || outcome === 'failed') return
    const object = `Sidecar/${keyOf(fence)}`
    if (outcome === 'foreign') {
      if (specOf(fence).enable === true) events.record(fence, 'Warning', 'SidecarForeign', `${object} belongs to somebody else and is left alone`)
      return
    }
    log.info(`sidecar ${outcome}`, { fence: keyOf(fence), domains: Object.keys(domains).length })
  }

  async function reconcile(key: string): Promise<Result> {
    try {
      const outcome = inNamespaces(key.slice(0, key.indexOf('/'))) ? await autoFence?.judge(key) : undefined
      if (outcome === 'created' || outcome === 'deleted') {
        metrics.autoFence(outcome)
        log.info(`fence ${outcome} because of labels`, { fence: key })
      }
      const fence = fences.get(key)
      if (fence === undefined || fence.metadata.deletionTimestamp !== undefined || !inScope(fence)) return {}
      return await reconciler.reconcile(fence)
    } catch (error) {
      // the cache was behind; nothing is wrong
      if (hasCode(error, 409)) return { retry: true }
      log.warn('reconcile failed', { fence: key, error: messageOf(error) })
      return { retry: true, failed: 'error' }
    }
  }

  function onProblem({ type, error, retryInMs }: InformerProblem): void {
    const missing = error instanceof ApiError && error.unknownKind
    log.warn(missing ? 'kind not installed' : 'watch interrupted', {
      resource: resourceName(type),
      ...(missing ? {} : { error: messageOf(error) }),
      retryInMs: Math.round(retryInMs),
    })
  }

  return {
    caches,
    queue,
    inScope,
    /** Fences that learn. */
    learning: (): readonly string[] =>
      [...fences.values()].filter((fence) => isEnabled(fence) && inScope(fence) && fence.metadata.deletionTimestamp === undefined).map(keyOf),
    /** What a round of Prometheus found, once the new hosts are on their way. */
    take(key: string, { complete, hosts, problem, at }: Finding): void {
      if (complete) observations.set(key, { at, hosts: new Set(hosts.keys()) })
      if (problem === undefined) queryProblems.delete(key)
      else queryProblems.set(key, problem)
      queue.add(key)
    },
    onNewFence(ask: (key: string) => void): void {
      askSoon = ask
    },
    /** Opens the watches; they end with `signal`. */
    watch: async (signal: AbortSignal): Promise<void> => void (await Promise.all(caches.informers.map((informer) => informer.run(signal)))),
    /** Resolves when every kind is listed, or `signal` aborts. */
    async whenSynced(signal: AbortSignal): Promise<void> {
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      await Promise.race([Promise.all(caches.informers.map((informer) => informer.whenSynced())), aborted])
    },
    /** Reconciles until `signal` aborts and every reconcile in progress has ended. */
    async work(signal: AbortSignal): Promise<void> {
      log.info('working', { fences: fences.size(), services: services.size() })
      working = true
      signal.addEventListener('abort', () => queue.close(), { once: true })
      if (signal.aborted) queue.close()
      await runWorkers({
        queue,
        concurrency: workers,
        reconcile,
        observer: metrics.workerObserver,
        onPanic: (key, error) => log.error('reconcile failed unexpectedly', { fence: key, error: error instanceof Error ? error.stack : String(error) }),
      })
    },
  }
}
