/** Reconcile: make the cluster match one SlimeBoot, then tell the truth about it. Level-based: everything but the key is read anew. */
import type { Logger } from 'winston'
import type { Client } from '../../runtime/client.ts'
import type { EventRecorder } from '../../runtime/events.ts'
import type { Informer } from '../../runtime/informer.ts'
import { keyOf, type KubeObject, objectId } from '../../runtime/object.ts'
import type { Result } from '../../runtime/worker.ts'
import { SUSPEND_ANNOTATION } from '../api/slimeboot.ts'
import type { Claims } from '../apply/claims.ts'
import { failureOf, ReconcileError } from '../apply/failure.ts'
import { earlierOperatorProblem } from '../apply/helm/earlier-operator.ts'
import { keptWarning } from '../apply/helm/kept-template.ts'
import { isServedByHelm } from '../apply/helm/release.ts'
import type { Reach } from '../apply/standing.ts'
import type { ClusterFacts } from '../spec/cluster-facts.ts'
import type { Warning } from '../spec/problems.ts'
import { announce } from './announce.ts'
import { claimAll } from './claiming.ts'
import type { Compiled, createCompiler } from './compile.ts'
import { converge, type ConvergeDependencies, type Convergence, type OnStep } from './converge.ts'
import type { FactReader } from './facts.ts'
import type { createFinalizer } from './finalizer.ts'
import type { FoundPorts } from './found-ports.ts'
import type { ModuleScopes } from './module-scopes.ts'
import { NOTHING, type Outcome } from './outcome.ts'
import { requeueOf } from './requeue.ts'
import { createForeignCatchAlls } from './foreign-catch-alls.ts'
import { createStatusWriter } from './status-writer.ts'
import { withWithdrawal, type Withdrawals } from './withdrawals.ts'
import { createWorkloadReadiness } from './workload-readiness.ts'

export interface ReconcilerDependencies extends Omit<ConvergeDependencies, 'ensureFinalizer' | 'gatedReads' | 'isCurrent' | 'reachOf'> {
  readonly client: Client
  readonly boots: Pick<Informer, 'get' | 'record'>
  readonly claims: Claims
  readonly compiler: ReturnType<typeof createCompiler>
  readonly facts: FactReader
  readonly foundPorts: Pick<FoundPorts, 'factsOf'>
  readonly moduleScopes: Pick<ModuleScopes, 'before'>
  readonly finalizer: ReturnType<typeof createFinalizer>
  readonly withdrawals: Withdrawals
  readonly events: EventRecorder
  readonly log: Logger
  /** Puts other SlimeBoots into the queue: those that lost a claim, or may have won it now. */
  readonly enqueue: (key: string) => void
  /** Sees each outcome; undefined when the SlimeBoot is gone. For metrics. */
  readonly onOutcome?: ((key: string, outcome: Outcome | undefined) => void) | undefined
}

export function createReconciler(dependencies: ReconcilerDependencies) {
  const { client, boots, live, claims, compiler, facts, foundPorts, moduleScopes, finalizer, withdrawals, events, log, enqueue } =
    dependencies
  const workloads = createWorkloadReadiness({ client, live, log })
  const status = createStatusWriter({ client, boots, log })
  const gatedReads = new Map<string, string>()
  const foreignCatchAlls = createForeignCatchAlls({
    client,
    served: (key) => boots.get(key),
    rendered: async (boot) => await compiler.rendered(boot),
  })

  /** `key`: `namespace/name`. Failures are part of the outcome; what it throws is a bug. */
  async function reconcile(key: string): Promise<Result> {
    const boot = boots.get(key)
    if (boot === undefined) {
      forget(key)
      return {}
    }
    // gone but for the watch to tell, or held by others only
    if (boot.metadata.deletionTimestamp !== undefined && !finalizer.isAwaited(boot)) return {}
    const startedAt = performance.now()
    let outcome: Outcome
    try {
      // whatever else is wrong with it
      const withdrawal = isServed(boot) ? await withdrawals.step(boot) : undefined
      outcome = await outcomeOf(boot).catch((error: unknown) => failed(boot, error))
      if (withdrawal !== undefined) outcome = withWithdrawal(outcome, withdrawal)
    } catch (error) {
      outcome = failed(boot, error)
    }
    announce(log, events, boot, outcome, performance.now() - startedAt)
    dependencies.onOutcome?.(key, outcome)
    await status.write(boot, outcome)
    return requeueOf(outcome, () => workloads.nextLookMs(key))
  }

  function isServed(boot: KubeObject): boolean {
    return boot.metadata.deletionTimestamp === undefined && boot.metadata.annotations?.[SUSPEND_ANNOTATION] !== 'true'
  }

  function failed(boot: KubeObject, error: unknown): Outcome {
    return {
      ...NOTHING,
      phase: boot.metadata.deletionTimestamp === undefined ? 'converge' : 'delete',
      problems: [error instanceof ReconcileError ? error : failureOf(error, 'get', boot)],
    }
  }

  function forget(key: string): void {
    for (const other of claims.release(key)) enqueue(other)
    workloads.forget(key)
    status.forget(key)
    gatedReads.delete(key)
    finalizer.forget(key)
    withdrawals.forget(key)
    dependencies.lettingGo.forget(key)
    dependencies.onOutcome?.(key, undefined)
  }

  async function outcomeOf(boot: KubeObject): Promise<Outcome> {
    if (boot.metadata.deletionTimestamp !== undefined) {
      const outcome = await finalizer.finalize(boot)
      compiler.forget(boot)
      return outcome
    }
    if (boot.metadata.annotations?.[SUSPEND_ANNOTATION] === 'true') return { ...NOTHING, phase: 'suspended' }
    const earlier = isServedByHelm(boot) ? await earlierOperatorProblem(client, boot) : undefined
    if (earlier !== undefined) throw earlier
    const known = { ...(await facts.read(boot)), ...foundPorts.factsOf(boot) }
    const firstServed = moduleScopes.before(boot, known)
    const compiled = await compileWith(boot, firstServed.length === 0 ? known : { ...known, earlier: firstServed })
    const claiming = { claims, live, foreignCatchAlls, isServed: (key: string) => boots.get(key) !== undefined }
    const inTheWay = await claimAll(claiming, boot, compiled, reachOf(compiled))
    const progress = status.progressOf(boot)
    try {
      const outcome = await convergeTo(boot, compiled, progress.step)
      return { ...outcome, warnings: [...outcome.warnings, ...unclaimedWarnings(inTheWay)] }
    } finally {
      await progress.end()
    }
  }

  async function compileWith(boot: KubeObject, known: ClusterFacts): Promise<Compiled> {
    try {
      return await compiler.compile(boot, known)
    } catch (error) {
      if (error instanceof ReconcileError && error.retry === 'heals') facts.forget()
      throw error
    }
  }

  async function convergeTo(boot: KubeObject, compiled: Compiled, onStep: OnStep): Promise<Outcome> {
    const key = keyOf(boot)
    const ensureFinalizer = async (served: KubeObject): Promise<void> => await finalizer.ensure(served)
    const convergence = await converge({ ...dependencies, gatedReads, isCurrent, reachOf, ensureFinalizer }, boot, compiled, onStep)
    const { changes, deleted, waiting, problems, withheld, waitMs } = convergence
    if (convergence.complete && isServedByHelm(boot)) await finalizer.takeOver(boots.get(key) ?? boot)
    if (convergence.complete) for (const other of claims.release(key, compiled.claim)) enqueue(other)
    const desired = compiled.desired.map(({ object }) => object)
    return {
      ...NOTHING,
      values: compiled.values,
      total: desired.length,
      changes,
      deleted,
      unready: problems.length > 0 && withheld.length === 0 ? [] : await workloads.unreadyOf(key, desired),
      waiting,
      withdrawn: withdrawals.withdrawn(boot, compiled),
      warnings: [...compiled.warnings, ...warningsOf(convergence)],
      problems,
      withheld: withheld.map((namespace) => ({
        namespace,
        objects: desired.filter((object) => object.metadata.namespace === namespace).map(objectId),
      })),
      ...(waitMs === undefined ? {} : { waitMs }),
    }
  }

  /** While a spec that changed is not carried out, what was granted before counts as well. */
  function reachOf({ owner, reach }: Compiled): Reach {
    return { ...reach, namespaces: reach.namespaces.union(claims.namespacesOf(owner.key)) }
  }

  function isCurrent(boot: KubeObject): boolean {
    const now = boots.get(keyOf(boot))
    return now !== undefined && now.metadata.uid === boot.metadata.uid && now.metadata.deletionTimestamp === undefined
  }

  return { reconcile }
}

/** How many objects of a kind of warning are told one by one; there may be thousands. */
const TOLD = 10

function warningsOf({ copies, forged, leftBehind, keptTemplates }: Convergence): readonly Warning[] {
  return [
    ...some(
      'Copy',
      copies,
      (object) =>
        `${object} carries our annotation of another object. It is left alone; delete it, or remove its annotation config.netease.com/owned.`,
    ),
    ...some(
      'Forged',
      forged,
      (object) =>
        `${object} carries marks of this SlimeBoot, which has nothing in that namespace or under that name; the operator did not write them. It is left alone; delete it, or remove its label config.netease.com/slimeboot.`,
    ),
    ...some('LeftBehind', leftBehind, (reason) => `Left of an earlier spec, or marked so by somebody: ${reason}`),
    ...keptTemplates.map(keptWarning),
  ]
}

function unclaimedWarnings(objects: readonly string[]): readonly Warning[] {
  return some(
    'Forged',
    objects,
    (object) =>
      `${object} takes over ports of this SlimeBoot in its namespace, but no SlimeBoot that exists renders it, so it holds nobody up. Delete it: proxies there get two catch-alls and refuse both.`,
  )
}

function some(reason: Warning['reason'], items: readonly string[], messageOf: (item: string) => string): readonly Warning[] {
  const more = items.length - TOLD
  return [
    ...items.slice(0, TOLD).map((item) => ({ reason, path: 'metadata', message: messageOf(item) })),
    ...(more > 0 ? [{ reason, path: 'metadata', message: `${more} more objects like these.` }] : []),
  ]
}
