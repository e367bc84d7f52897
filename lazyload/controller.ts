/** Controller: one queue of `namespace/name`, which names a fence and the Service that it is for, and what each event puts into it. */
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'winston'
import { aborted, attempt, onAbort } from '../runtime/callbacks.ts'
import type { Client } from '../runtime/client.ts'
import { messageOf } from '../runtime/errors.ts'
import type { EventRecorder } from '../runtime/events.ts'
import type { ChangeSource, InformerProblem } from '../runtime/informer.ts'
import { keyOf, type KubeObject } from '../runtime/object.ts'
import { resourceName } from '../runtime/resource.ts'
import { createWorkQueue } from '../runtime/work-queue.ts'
import { runWorkers } from '../runtime/worker.ts'
import { createCaches } from './caches.ts'
import type { LazyloadConfig } from './config.ts'
import type { Observation } from './fence/domains.ts'
import { isEnabled, specOf, statusOf } from './fence/fence.ts'
import { isTooLarge } from './fence/limits.ts'
import { createSamePods } from './fence/same-pods.ts'
import { createScope } from './fence/scope.ts'
import { createSelectingFences } from './fence/selecting.ts'
import type { SourceProblem } from './fence/status.ts'
import { createUnlearnable } from './fence/unlearnable.ts'
import { createServedElsewhere } from './fence/served-elsewhere.ts'
import type { LazyloadMetrics } from './metrics.ts'
import type { Finding, QueryProblem } from './prometheus/finding.ts'
import { createKeeping } from './keep/keeping.ts'
import { createReconcile } from './reconcile.ts'
import { selectorOf } from './mesh/known-hosts.ts'
import { createLabelIndex, type Labels } from './mesh/label-index.ts'
import { createSelectedPods } from './mesh/selected-pods.ts'
import type { Pods } from './mesh/pods.ts'
import { workloadLabels } from './sidecar/sidecar.ts'

export interface ControllerOptions {
  readonly config: LazyloadConfig
  /** Its writes are only let through while this replica leads. */
  readonly client: Client
  readonly podList: Pods
  readonly events: EventRecorder
  readonly log: Logger
  readonly metrics: LazyloadMetrics
  readonly workers: number
  /** Empty: all. */
  readonly namespaces: readonly string[]
  /** This module: `namespace/name`. */
  readonly servedBy: string
}

/** Events that come together are one reconcile. */
const BATCH_MS = 10
/** Between fences for which something else is kept. */
const APART_MS = 1

export type LazyloadController = ReturnType<typeof createController>

export function createController({ config, client, podList, events, log, metrics, workers, namespaces, servedBy }: ControllerOptions) {
  const queue = createWorkQueue({ observer: metrics.queueObserver })
  const ofRevision = createScope(config.revisions, { resolve: (name) => caches.revisions.resolve(name) })
  const inNamespaces = (namespace: string): boolean => namespaces.length === 0 || namespaces.includes(namespace)
  const isElsewhere = createServedElsewhere(config.servedElsewhere)
  const inScope = (fence: KubeObject): boolean => inNamespaces(fence.metadata.namespace ?? '') && ofRevision(fence) && !isElsewhere(fence)
  const observations = new Map<string, Observation>()
  const queryProblems = new Map<string, QueryProblem>()
  let askSoon: (key: string) => void = () => {}
  let working = false
  let unseen = ''
  let meshConfig = ''
  let worked = 0

  const caches = createCaches({
    client,
    endpoints: config.source === 'accesslog',
    hosts: config,
    istioNamespace: config.istioNamespace,
    inScope: ofRevision,
    onFence,
    onSidecar: (key) => caches.fences.get(key) !== undefined && enqueue(key),
    onPrecedence: (namespace, selectors) => whileWorking(() => selectors.flatMap((labels) => [...selected.overlapping(namespace, labels)])),
    onRevisions,
    onPods,
    onService,
    onNamespace: (name) => {
      keeping.changeNamespace(name)
      whileWorking(() => concerned.ofNamespace(name))
    },
    onNamespaceWide: (namespace) => whileWorking(() => fencesOf(namespace === keeping.rootNamespace() ? undefined : [namespace])),
    onServiceEntry: (previous, current) => keeping.changeEntry(previous, current),
    onCallerRoutes: () => keeping.changeRoutes(),
    onRoutes: (hosts) => whileWorking(() => concerned.byHosts(hosts)),
    onGlobalSidecar: (namespace) =>
      whileWorking(() =>
        namespace === undefined ? [...services.values(), ...fences.values()].map(keyOf) : concerned.ofNamespace(namespace),
      ),
    onExternalHosts: (hosts) => whileWorking(() => concerned.byNames(hosts)),
    onProblem,
    onRegained: lookAround,
  })
  const { fences, services, concerned } = caches
  const keeping = createKeeping({
    config,
    client,
    log,
    service: services.get,
    namespace: (name) => caches.namespaces.get(`/${name}`),
    routes: () => caches.routes,
    resolve: caches.knownHosts.resolve,
    fences: fences.size,
    onChange: (changed) => working && enqueueApart(fencesOf(changed)),
    onMeshConfig,
  })

  const labelsOf = (fence: KubeObject): Labels | undefined =>
    isTooLarge(fence)
      ? undefined
      : workloadLabels(fence.metadata.name, specOf(fence), config.serviceLabel, selectorOf(services.get(keyOf(fence))))
  const samePods = createSamePods({ fence: fences.get, inScope, labelsOf, resolve: (name) => caches.revisions.resolve(name).name })
  /** What the fences select. */
  const selected = createLabelIndex()
  const pods = createSelectedPods({ client })
  const unlearnable = createUnlearnable({ pods: podList, onChange: (key) => whileWorking(() => [key]) })
  const selecting = createSelectingFences({ fence: fences.get, inScope, labelsOf, selectorOf: (key) => selectorOf(services.get(key)) })

  const { reconcile, alsoStored } = createReconcile({
    config,
    client,
    caches,
    events,
    log,
    metrics,
    inNamespaces,
    inScope,
    isElsewhere,
    observation: (key) => observations.get(key),
    queryProblem: (key) => queryProblems.get(key) ?? podProblem(key),
    samePods: samePods.of,
    pods,
    servedBy,
    keeping,
  })

  /** Returns the other fences whose Sidecar may depend on what this one is now. */
  function select(key: string): readonly string[] {
    const fence = fences.get(key)
    selected.put(key, fence !== undefined && isEnabled(fence) && inScope(fence) ? labelsOf(fence) : undefined)
    selecting.changeFence(key)
    return samePods.update(key)
  }

  function onRevisions(): void {
    for (const fence of fences.values()) select(keyOf(fence))
    whileWorking(() => [...services.values(), ...fences.values()].map(keyOf))
  }

  function onPods(service: string): void {
    const fence = fences.get(service)
    if (fence === undefined) return
    const { namespace = '' } = fence.metadata
    for (const labels of [labelsOf(fence), selectorOf(services.get(service))]) if (labels !== undefined) pods.expire(namespace, labels)
    whileWorking(() => [service])
  }

  /** Why what some pods of a fence call cannot be attributed to it. */
  function podProblem(key: string): SourceProblem | undefined {
    const fence = fences.get(key)
    const labels = fence === undefined || config.source !== 'accesslog' || !selecting.isApart(key) ? undefined : labelsOf(fence)
    if (labels !== undefined) return unlearnable.of(key, labels)
    unlearnable.forget(key)
    return undefined
  }

  function enqueue(key: string): void {
    queue.addAfter(key, BATCH_MS)
  }

  /** In these namespaces; undefined: in all. */
  function fencesOf(changed: readonly string[] | undefined): readonly string[] {
    const of = changed === undefined ? undefined : new Set(changed)
    return [...fences.values()].filter(({ metadata }) => of === undefined || of.has(metadata.namespace ?? '')).map(keyOf)
  }

  /** A write for each of many fences; what is learned meanwhile comes in between. */
  function enqueueApart(keys: readonly string[]): void {
    keys.forEach((key, index) => queue.addAfter(key, BATCH_MS + index * APART_MS))
  }

  function onMeshConfig(): void {
    const now = `${keeping.unseen() ?? ''} ${keeping.rootNamespace()}`
    if (now === meshConfig) return
    meshConfig = now
    if (working) enqueueApart(fencesOf(undefined))
  }

  /** Before the first reconcile every key is in the queue already. */
  function whileWorking(keys: () => Iterable<string>): void {
    if (working) for (const key of keys()) enqueue(key)
  }

  function onFence(previous: KubeObject | undefined, current: KubeObject | undefined, source: ChangeSource): void {
    const key = keyOf((current ?? previous)!)
    // what cannot be judged here is left to its reconcile
    if (attempt('watch', `ServiceFence/${key}`, () => isNews(key, previous, current, source), true)) queue.add(key)
  }

  /** Takes in a change of a fence; true where it changes what its reconcile reads. */
  function isNews(key: string, previous: KubeObject | undefined, current: KubeObject | undefined, source: ChangeSource): boolean {
    if (current === undefined || !isEnabled(current)) {
      observations.delete(key)
      queryProblems.delete(key)
      unlearnable.forget(key)
    }
    const others = select(key)
    whileWorking(() => others)
    const specChanged = previous?.metadata.generation !== current?.metadata.generation
    if (current !== undefined && specChanged && isEnabled(current)) askSoon(key)
    // our own write of the status changes nothing that the next reconcile reads, except what is learned; but its answer carries what
    // others have changed since, whose own event is older then and passed over
    const learned =
      previous !== undefined && current !== undefined && !isDeepStrictEqual(statusOf(previous).metricStatus, statusOf(current).metricStatus)
    const relabelled = !isDeepStrictEqual(previous?.metadata.labels, current?.metadata.labels)
    return source === 'watch' || current === undefined || learned || specChanged || relabelled
  }

  function onService(previous: KubeObject | undefined, current: KubeObject | undefined): void {
    const key = keyOf((current ?? previous)!)
    keeping.changeService(previous, current)
    enqueue(key)
    const others = select(key)
    selecting.changeService(key)
    whileWorking(() => others)
    whileWorking(() => concerned.byService(previous, current))
  }

  function onProblem({ type, error, retryInMs }: InformerProblem): void {
    const missing = caches.informers.some((informer) => informer.type === type && informer.kindMissing())
    log.warn(missing ? 'kind not installed' : 'watch interrupted', {
      resource: resourceName(type),
      ...(missing ? {} : { error: messageOf(error) }),
      retryInMs: Math.round(retryInMs),
    })
    lookAround()
  }

  /** Where something cannot be seen any more, or again, every fence is to say so, and to be what it should be. */
  function lookAround(): void {
    const now = [...caches.unseen(), ...caches.unseenGates(), caches.revisionsUnseen()].join()
    if (now === unseen) return
    unseen = now
    whileWorking(() => [...fences.values()].map(keyOf))
  }

  return {
    caches,
    queue,
    inScope,
    inNamespaces,
    selecting,
    /** Pods may be listed where they might not before, or the other way round. */
    lookAtPods(): void {
      for (const key of [...fences.values()].map(keyOf).filter(selecting.isApart)) {
        unlearnable.expire(key)
        whileWorking(() => [key])
      }
    },
    /** What a round of Prometheus found, once the new hosts are on their way. */
    take(key: string, { complete, named, problem, at }: Finding): void {
      if (complete) observations.set(key, { at, hosts: named })
      if (problem === undefined) queryProblems.delete(key)
      else queryProblems.set(key, problem)
      queue.add(key)
    },
    onNewFence(ask: (key: string) => void): void {
      askSoon = ask
    },
    /** What else to store in the status of a fence that has just learned something; only the leader may say it. */
    alsoStored: (fence: KubeObject): Readonly<Record<string, unknown>> => (working ? alsoStored(fence) : {}),
    /** Reconciles so far. */
    worked: () => worked,
    /** Opens the watches; they end with `signal`. */
    watch: async (signal: AbortSignal): Promise<void> =>
      void (await Promise.all([...[...caches.informers, ...caches.optional].map((informer) => informer.run(signal)), keeping.run(signal)])),
    /** Resolves when every kind is listed, missing or forbidden, or `signal` aborts. */
    async whenSynced(signal: AbortSignal): Promise<void> {
      await Promise.race([Promise.all([...caches.informers, ...caches.optional].map((informer) => informer.whenSynced())), aborted(signal)])
    },
    /**
     * Resolves when the first list of every kind is in, or the kind known to be missing, or `signal` aborts. Before that nothing may be
     * written: what the caches lack would be taken out of Sidecars, and fences with it.
     */
    async whenListed(signal: AbortSignal): Promise<void> {
      const unlisted = caches.needed.filter(({ blind, kindMissing }) => blind() && !kindMissing()).map(({ type }) => resourceName(type))
      if (unlisted.length > 0) log.warn('waiting: nothing is written before these are listed', { resources: unlisted })
      await Promise.race([Promise.all(caches.needed.map((informer) => informer.whenListed())), aborted(signal)])
      if (!signal.aborted) await Promise.race([keeping.whenSettled(), aborted(signal)])
    },
    /** Reconciles until `signal` aborts and every reconcile in progress has ended. */
    async work(signal: AbortSignal): Promise<void> {
      log.info('working', { fences: fences.size(), services: services.size() })
      working = true
      onAbort(signal, 'queue', () => queue.close())
      await runWorkers({
        queue,
        concurrency: workers,
        reconcile: async (key) => {
          worked++
          return await reconcile(key)
        },
        observer: metrics.workerObserver,
        onPanic: (key, error) =>
          log.error('reconcile failed unexpectedly', { fence: key, error: error instanceof Error ? error.stack : String(error) }),
      })
    },
  }
}
