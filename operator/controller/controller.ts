/** Controller: what is watched, and which SlimeBoot each event enqueues. */
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'winston'
import type { Client } from '../../runtime/client.ts'
import { ApiError, messageOf } from '../../runtime/errors.ts'
import type { EventRecorder } from '../../runtime/events.ts'
import { createInformer, type InformerProblem } from '../../runtime/informer.ts'
import { identityOf, type JsonObject, keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { resourceName } from '../../runtime/resource.ts'
import { createWorkQueue, type WorkQueueObserver } from '../../runtime/work-queue.ts'
import { runWorkers, type WorkerObserver } from '../../runtime/worker.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import { OWNER_LABEL } from '../api/slimeboot.ts'
import { createClaims } from '../apply/claims.ts'
import { createContests } from '../apply/contest.ts'
import { createLive } from '../apply/live.ts'
import { createNormalForms } from '../apply/normal-form.ts'
import { claimedOwner, ownerOfKey } from '../apply/ownership.ts'
import { createPruner } from '../apply/prune.ts'
import { createPreflight } from '../preflight/preflight.ts'
import { createCompiler } from './compile.ts'
import { createFactReader } from './facts.ts'
import { createFinalizer } from './finalizer.ts'
import type { Outcome } from './outcome.ts'
import { createReconciler } from './reconciler.ts'

export interface ControllerOptions {
  readonly client: Client
  readonly events: EventRecorder
  readonly log: Logger
  /** Empty for all. */
  readonly watchNamespaces: readonly string[]
  readonly selector: string | undefined
  readonly workers: number
  /** Milliseconds. */
  readonly meshSettle: number
  readonly operatorDefaults?: JsonObject
  /** Namespace of the operator's pod; undefined outside a pod. */
  readonly operatorNamespace?: string | undefined
  readonly metrics?: ControllerMetrics | undefined
}

/** What sees the work from outside. */
export interface ControllerMetrics {
  readonly queueObserver: WorkQueueObserver
  readonly workerObserver: WorkerObserver
  readonly outcome: (key: string, outcome: Outcome | undefined) => void
}

/** Events that come together are one reconcile. */
const BATCH_MS = 10
const SWEEP_MS = 60_000

export type Controller = ReturnType<typeof createController>

export function createController(options: ControllerOptions) {
  const { client, events, log, watchNamespaces, selector, workers, meshSettle, operatorDefaults, metrics } = options
  const queue = createWorkQueue(metrics === undefined ? {} : { observer: metrics.queueObserver })
  /** Owner label to key of every SlimeBoot served. */
  const keys = new Map<string, string>()
  const orphans = new Set<string>()

  const namespaces: readonly (string | undefined)[] = watchNamespaces.length === 0 ? [undefined] : watchNamespaces
  const bootInformers = namespaces.map((namespace) =>
    createInformer({
      client,
      type: SLIMEBOOT,
      namespace,
      labelSelector: selector,
      transform: withoutManagers,
      onChange: onBootChange,
      onProblem,
    }),
  )
  const boots = {
    get: (key: string): KubeObject | undefined => bootInformers.map((informer) => informer.get(key)).find((boot) => boot !== undefined),
    record: (boot: KubeObject): void => bootInformers.find((informer) => informer.get(keyOf(boot)) !== undefined)?.record(boot),
  }
  const live = createLive({ client, onChange: onObjectChange, onRegained: enqueueAll, onProblem })
  const contests = createContests()
  const facts = createFactReader(client, options.operatorNamespace)
  const normalForms = createNormalForms()
  const onRemoved = (object: KubeObject): void => {
    contests.forget(identityOf(object))
    normalForms.forget(object)
  }
  const pruner = createPruner({ client, live, settleMs: meshSettle, onRemoved })
  const compiler = createCompiler(operatorDefaults === undefined ? {} : { operatorDefaults })
  const finalizer = createFinalizer({ client, boots, live, pruner, rendered: (boot) => compiler.rendered(boot) })
  const { reconcile } = createReconciler({
    client,
    boots,
    live,
    contests,
    pruner,
    preflight: createPreflight({ client, kindMissing: live.kindMissing }),
    finalizer,
    events,
    log,
    claims: createClaims(),
    normalForms,
    compiler,
    facts,
    enqueue: queue.add,
    onOutcome: metrics?.outcome,
  })

  function onBootChange(previous: KubeObject | undefined, current: KubeObject | undefined, source: 'watch' | 'write'): void {
    const boot = current ?? previous
    if (boot === undefined) return
    const key = keyOf(boot)
    if (current === undefined) {
      keys.delete(ownerOfKey(key).label)
      // none, unless its finalizer was taken off by hand
      for (const object of live.labelled(ownerOfKey(key).label)) noteOrphan(object)
    } else keys.set(ownerOfKey(key).label, key)
    // our own status writes change nothing that a reconcile reads
    const same =
      previous !== undefined &&
      current !== undefined &&
      previous.metadata.uid === current.metadata.uid &&
      previous.metadata.generation === current.metadata.generation &&
      previous.metadata.deletionTimestamp === current.metadata.deletionTimestamp &&
      isDeepStrictEqual(previous.metadata.annotations, current.metadata.annotations) &&
      isDeepStrictEqual(previous.metadata.finalizers, current.metadata.finalizers)
    if (started && source === 'watch' && !same) queue.add(key)
  }

  /** The oldest first: of two that want the same it is the one to get it. */
  function enqueueAll(): void {
    if (!started) return
    const all = bootInformers.flatMap((informer) => [...informer.values()])
    for (const boot of all.sort(byAge)) queue.add(keyOf(boot))
  }

  function onObjectChange(previous: KubeObject | undefined, current: KubeObject | undefined): void {
    const found = new Set([previous, current].flatMap((object) => (object === undefined ? [] : ownerKeys(object))))
    if (started) for (const key of found) queue.addAfter(key, BATCH_MS)
    if (current !== undefined && found.size === 0) noteOrphan(current)
  }

  function ownerKeys(object: KubeObject): readonly string[] {
    const label = object.metadata.labels?.[OWNER_LABEL]
    const byLabel = label === undefined ? undefined : keys.get(label)
    const byAnnotation = claimedOwner(object)
    return [byLabel, byAnnotation !== undefined && boots.get(byAnnotation) !== undefined ? byAnnotation : undefined].filter(
      (key) => key !== undefined,
    )
  }

  /** Our annotation, no such SlimeBoot: reported once, removed only by `slimeboot prune-orphans`. */
  function noteOrphan(object: KubeObject): void {
    const owner = claimedOwner(object)
    if (owner === undefined || !started || selector !== undefined || watchNamespaces.length > 0) return
    const identity = identityOf(object)
    if (orphans.has(identity)) return
    orphans.add(identity)
    log.warn('orphan', { object: objectId(object), owner, remedy: 'slimeboot prune-orphans' })
  }

  function onProblem({ type, error, retryInMs }: InformerProblem): void {
    if (error instanceof ApiError && error.unknownKind) {
      log.warn('kind not installed', { resource: resourceName(type), retryInMs })
      return
    }
    log.warn('watch interrupted', { resource: resourceName(type), error: messageOf(error), retryInMs: Math.round(retryInMs) })
  }

  let started = false
  let reconciles = 0
  const informers = [...bootInformers, ...live.informers]

  return {
    informers,
    queue,
    /** How many there were so far. */
    reconciles: () => reconciles,

    /** Runs until `signal` aborts and every reconcile in progress has ended. */
    async run(signal: AbortSignal): Promise<void> {
      const watching = informers.map((informer) => informer.run(signal))
      await Promise.race([
        Promise.all([facts.warm(), ...informers.map((informer) => informer.whenSynced())]),
        new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true })),
      ])
      started = true
      enqueueAll()
      for (const object of live.all()) if (ownerKeys(object).length === 0) noteOrphan(object)
      if (!signal.aborted)
        log.info('watching', { slimeboots: bootInformers.reduce((sum, informer) => sum + informer.size(), 0), objects: live.all().length })
      const sweeping = setInterval(() => contests.sweep(), SWEEP_MS)
      signal.addEventListener('abort', () => queue.close(), { once: true })
      if (signal.aborted) queue.close()
      await runWorkers({
        queue,
        concurrency: workers,
        reconcile: async (key) => {
          reconciles++
          return await reconcile(key)
        },
        observer: metrics?.workerObserver,
        onPanic: (key, error) =>
          log.error('reconcile failed unexpectedly', { slimeboot: key, error: error instanceof Error ? error.stack : String(error) }),
      })
      clearInterval(sweeping)
      await Promise.all(watching)
    },
  }
}

/** Nobody reads who wrote which field of a SlimeBoot. */
function withoutManagers(boot: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = boot.metadata
  return { ...boot, metadata }
}

function byAge(a: KubeObject, b: KubeObject): number {
  const [left, right] = [a, b].map((boot) => `${boot.metadata.creationTimestamp ?? ''} ${keyOf(boot)}`)
  return left! < right! ? -1 : 1
}
