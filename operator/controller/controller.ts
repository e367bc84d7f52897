/** Controller: what is watched, and which SlimeBoot each event enqueues. */
import type { Logger } from 'winston'
import { aborted, every, onAbort } from '../../runtime/callbacks.ts'
import type { Client } from '../../runtime/client.ts'
import { ApiError, messageOf } from '../../runtime/errors.ts'
import type { EventRecorder } from '../../runtime/events.ts'
import type { InformerProblem } from '../../runtime/informer.ts'
import { identityOf, type JsonObject, keyOf, type KubeObject } from '../../runtime/object.ts'
import { resourceName } from '../../runtime/resource.ts'
import { createWorkQueue, type WorkQueueObserver } from '../../runtime/work-queue.ts'
import { runWorkers, type WorkerObserver } from '../../runtime/worker.ts'
import { OWNER_LABEL } from '../api/slimeboot.ts'
import { createClaims, oldestFirst } from '../apply/claims.ts'
import { createContests } from '../../runtime/contest.ts'
import { createLive } from '../apply/live.ts'
import { createNormalForms } from '../apply/normal-form.ts'
import { claimedOwner, ownerOfKey } from '../apply/ownership.ts'
import { type Reach, reachOf } from '../apply/standing.ts'
import { createPruner } from '../apply/prune.ts'
import { mergedSpec } from '../spec/build-values.ts'
import { createPreflight } from '../preflight/preflight.ts'
import { createCompiler } from './compile.ts'
import { createFactReader } from './facts.ts'
import { createLettingGo } from './fences/letting-go.ts'
import { createFoundPorts } from './found-ports.ts'
import { createFinalizer } from './finalizer.ts'
import { createModuleScopes } from './module-scopes.ts'
import { createOrphans } from './orphans.ts'
import type { Outcome } from './outcome.ts'
import { createReconciler } from './reconciler.ts'
import { createSlimeBoots, type SlimeBootChange } from './slimeboots.ts'
import { createWithdrawals } from './withdrawals.ts'

export interface ControllerOptions {
  readonly client: Client
  readonly events: EventRecorder
  readonly log: Logger
  /** Namespaces whose SlimeBoots are served; empty for all. */
  readonly watchNamespaces: readonly string[]
  /** Label selector of the SlimeBoots that are served; undefined for all. */
  readonly selector: string | undefined
  readonly workers: number
  /** Time that the mesh needs to learn that a catch-all is gone, milliseconds. */
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
/** What a SlimeBoot does not render only changes its warnings, or is pruned: whoever writes it may do so a hundred times a second. */
const FOREIGN_MS = 1000
const SWEEP_MS = 60_000

export type Controller = ReturnType<typeof createController>

export function createController(options: ControllerOptions) {
  const { client, events, log, watchNamespaces, selector, workers, meshSettle, operatorDefaults, metrics } = options
  const queue = createWorkQueue(metrics === undefined ? {} : { observer: metrics.queueObserver })
  const orphans = createOrphans({ log, events })
  /** Whether every SlimeBoot is seen: only then an object without one is an orphan. */
  const seesAll = selector === undefined && watchNamespaces.length === 0

  const boots = createSlimeBoots({ client, watchNamespaces, selector, onChange: onBootChange, onProblem })
  const moduleScopes = createModuleScopes({ get: boots.get, operatorDefaults })
  const live = createLive({ client, onChange: onObjectChange, onRegained: enqueueAll, onProblem })
  const foundPorts = createFoundPorts({
    client,
    live,
    get: boots.get,
    onChange: (keys) => {
      if (started) for (const key of keys) queue.add(key)
    },
    onLeave: (key, ms) => queue.addAfter(key, ms),
    log,
  })
  const contests = createContests()
  const facts = createFactReader(client, options.operatorNamespace)
  const normalForms = createNormalForms()
  const onRemoved = (object: KubeObject): void => {
    contests.forget(identityOf(object))
    normalForms.forget(object)
  }
  const pruner = createPruner({ client, live, settleMs: meshSettle, onRemoved })
  const compiler = createCompiler(operatorDefaults === undefined ? {} : { operatorDefaults })
  const lettingGo = createLettingGo({ client, live, log, events, ...(operatorDefaults === undefined ? {} : { operatorDefaults }) })
  const rendered = async (boot: KubeObject): Promise<readonly KubeObject[]> => await compiler.rendered(boot)
  const claims = createClaims()
  /** Where marks of a SlimeBoot can be true: where its spec says, and what it was granted and has not let go of yet. */
  const reachOfBoot = (boot: KubeObject): Reach => {
    const reach = reachOf({ ...boot, spec: mergedSpec(boot, operatorDefaults === undefined ? {} : { operatorDefaults }) }, [])
    return { ...reach, namespaces: reach.namespaces.union(claims.namespacesOf(keyOf(boot))) }
  }
  const finalizer = createFinalizer({
    client,
    boots,
    live,
    pruner,
    rendered,
    reachOf: reachOfBoot,
    lettingGo,
    events,
    onRemoved,
  })
  const preflight = createPreflight({ client, kindMissing: live.kindMissing })
  const { reconcile } = createReconciler({
    client,
    boots,
    live,
    contests,
    pruner,
    preflight: preflight.check,
    finalizer,
    withdrawals: createWithdrawals({ client, live, pruner, reachOf: reachOfBoot }),
    lettingGo,
    events,
    log,
    claims,
    normalForms,
    compiler,
    facts,
    foundPorts,
    moduleScopes,
    enqueue: queue.add,
    onOutcome: (key, outcome) => {
      if (outcome === undefined) preflight.forget(key)
      metrics?.outcome(key, outcome)
    },
  })

  function onBootChange(key: string, { exists, isNews }: SlimeBootChange): void {
    if (exists) orphans.adopted(key)
    // none, unless its finalizer was taken off by hand
    else for (const object of live.labelled(ownerOfKey(key).label)) noteOrphan(object)
    foundPorts.change(key)
    const younger = moduleScopes.change(key)
    if (started && isNews) for (const each of [key, ...younger]) queue.add(each)
  }

  /** The oldest first: of two that want the same it is the one to get it. */
  function enqueueAll(): void {
    if (!started) return
    for (const boot of boots.all().toSorted(oldestFirst)) queue.add(keyOf(boot))
  }

  function onObjectChange(previous: KubeObject | undefined, current: KubeObject | undefined): void {
    const object = current ?? previous
    if (object === undefined) return
    const found = new Set([previous, current].flatMap((each) => (each === undefined ? [] : ownerKeys(each))))
    const identity = identityOf(object)
    if (started) for (const key of found) queue.addAfter(key, claims.has(key, identity) ? BATCH_MS : FOREIGN_MS)
    if (current === undefined && previous !== undefined) orphans.removed(previous)
    if (current !== undefined && found.size === 0) noteOrphan(current)
  }

  /** The SlimeBoots served that an object belongs to by its label, its annotation or both. */
  function ownerKeys(object: KubeObject): readonly string[] {
    const byLabel = boots.keyOfLabel(object.metadata.labels?.[OWNER_LABEL] ?? '')
    const byAnnotation = claimedOwner(object)
    return [byLabel, byAnnotation].flatMap((key) => (key !== undefined && boots.get(key) !== undefined ? [key] : []))
  }

  function noteOrphan(object: KubeObject): void {
    if (started && seesAll) orphans.found(object)
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
  const informers = [...boots.informers, ...live.informers]

  return {
    informers,
    queue,
    /** Objects whose SlimeBoot is gone; undefined where not every SlimeBoot is seen. */
    orphans: (): number | undefined => (seesAll ? orphans.count() : undefined),
    /** How many reconciles there were so far. */
    reconciles: () => reconciles,

    /** Runs until `signal` aborts and every reconcile in progress has ended. */
    async run(signal: AbortSignal): Promise<void> {
      foundPorts.run(signal)
      const watching = informers.map((informer) => informer.run(signal))
      await Promise.race([Promise.all([facts.warm(), ...informers.map((informer) => informer.whenSynced())]), aborted(signal)])
      started = true
      enqueueAll()
      for (const object of live.all()) if (ownerKeys(object).length === 0) noteOrphan(object)
      if (!signal.aborted) log.info('watching', { slimeboots: boots.all().length, objects: live.all().length })
      const sweeping = every(SWEEP_MS, 'contests', () => contests.sweep())
      onAbort(signal, 'queue', () => queue.close())
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
