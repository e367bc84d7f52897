/** Reconcile: make the cluster match one SlimeBoot, then tell the truth about it. Level-based: everything but the key is read anew. */
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'winston'
import type { Client } from '../../runtime/client.ts'
import { hasCode, messageOf } from '../../runtime/errors.ts'
import type { EventRecorder } from '../../runtime/events.ts'
import type { Informer } from '../../runtime/informer.ts'
import { keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { jittered } from '../../runtime/sleep.ts'
import type { Result } from '../../runtime/worker.ts'
import { POD, SLIMEBOOT } from '../api/kinds.ts'
import { FIELD_MANAGER, SUSPEND_ANNOTATION } from '../api/slimeboot.ts'
import type { Claims } from '../apply/claims.ts'
import { failureOf, ReconcileError } from '../apply/failure.ts'
import { earlierOperatorProblem, isServedByHelm, keptWarning } from '../apply/helm-release.ts'
import { podCause, type Unready, unreadyDeployment } from '../apply/readiness.ts'
import { claimAll } from './claiming.ts'
import type { ClusterFacts } from '../spec/problems.ts'
import type { Compiled, createCompiler } from './compile.ts'
import { converge, type ConvergeDependencies } from './converge.ts'
import { announce } from './announce.ts'
import type { FactReader } from './facts.ts'
import type { createFinalizer } from './finalizer.ts'
import { NOTHING, type Outcome } from './outcome.ts'
import { type Status, statusOf } from './status.ts'

export interface ReconcilerDependencies extends Omit<ConvergeDependencies, 'ensureFinalizer' | 'lookedFor' | 'isCurrent'> {
  readonly client: Client
  readonly boots: Pick<Informer, 'get' | 'record'>
  readonly claims: Claims
  readonly compiler: ReturnType<typeof createCompiler>
  readonly facts: FactReader
  readonly finalizer: ReturnType<typeof createFinalizer>
  readonly events: EventRecorder
  readonly log: Logger
  /** Puts other SlimeBoots into the queue: those that lost a claim, or may have won it now. */
  readonly enqueue: (key: string) => void
  /** Sees each outcome; undefined when the SlimeBoot is gone. For metrics. */
  readonly onOutcome?: ((key: string, outcome: Outcome | undefined) => void) | undefined
}

/** What heals by itself is looked at again after this time: a cause that goes is noticed within 30 s. */
const HEALS_MS = 15_000
/** A workload that is not ready is asked for its cause after this time, then rarer. */
const CAUSE_MS = 3000
/** However many are not ready. */
const LATEST_LOOK_MS = 60_000
/** Deployments of a SlimeBoot whose pods are asked. */
const ASKED = 5
const PROGRESS_MS = 2000

interface UnreadyBoot {
  /** Milliseconds, monotonic. */
  readonly since: number
  /** When its pods were asked last; at first when it became unready. */
  askedAt: number
  /** By object what its pods said. */
  causes: ReadonlyMap<string, ReturnType<typeof podCause>>
}

export function createReconciler(dependencies: ReconcilerDependencies) {
  const { client, boots, live, claims, compiler, facts, finalizer, events, log, enqueue } = dependencies
  /** SlimeBoots with unready workloads. */
  const unready = new Map<string, UnreadyBoot>()
  const reportedAt = new Map<string, number>()
  const lookedFor = new Map<string, string>()

  async function reconcile(key: string): Promise<Result> {
    const boot = boots.get(key)
    if (boot === undefined) {
      for (const other of claims.release(key)) enqueue(other)
      unready.delete(key)
      reportedAt.delete(key)
      lookedFor.delete(key)
      finalizer.forget(key)
      dependencies.onOutcome?.(key, undefined)
      return {}
    }
    // gone but for the watch to tell, or held by others only
    if (boot.metadata.deletionTimestamp !== undefined && !finalizer.isAwaited(boot)) return {}
    const startedAt = performance.now()
    let outcome: Outcome
    try {
      outcome = await outcomeOf(boot)
    } catch (error) {
      outcome = {
        ...NOTHING,
        phase: boot.metadata.deletionTimestamp === undefined ? 'converge' : 'delete',
        problems: [asReconcileError(error, boot)],
      }
    }
    announce(log, events, boot, outcome, performance.now() - startedAt)
    dependencies.onOutcome?.(key, outcome)
    await report(boot, outcome)
    return resultOf(key, outcome)
  }

  function isCurrent(boot: KubeObject): boolean {
    const now = boots.get(keyOf(boot))
    return now !== undefined && now.metadata.uid === boot.metadata.uid && now.metadata.deletionTimestamp === undefined
  }

  function compileWith(boot: KubeObject, known: ClusterFacts): Compiled {
    try {
      return compiler.compile(boot, known)
    } catch (error) {
      if (error instanceof ReconcileError && error.retry === 'heals') facts.forget()
      throw error
    }
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
    const known = await facts.read(boot)
    const compiled = compileWith(boot, known)
    claimAll({ claims, live, isServed: (key) => boots.get(key) !== undefined }, boot, compiled)
    const progress = showProgress(boot)
    try {
      const convergence = await converge(
        { ...dependencies, lookedFor, isCurrent, ensureFinalizer: (served) => finalizer.ensure(served) },
        boot,
        compiled,
        progress.step,
      )
      if (convergence.complete && isServedByHelm(boot)) await finalizer.takeOver(boots.get(keyOf(boot)) ?? boot)
      if (convergence.complete) for (const other of claims.release(keyOf(boot), compiled.claim)) enqueue(other)
      const warnings = [
        ...compiled.warnings,
        ...convergence.copies.map((copy) => ({
          reason: 'Copy' as const,
          path: 'metadata',
          message: `${copy} carries our annotation of another object. It is left alone; delete it, or remove its annotation config.netease.com/owned.`,
        })),
        ...convergence.kept.map(keptWarning),
      ]
      const notReady = convergence.problems.length > 0 ? [] : await unreadyOf(boot, compiled)
      const { changes, deleted, waiting, problems, waitMs } = convergence
      return {
        ...NOTHING,
        values: compiled.values,
        total: compiled.desired.length,
        changes,
        deleted,
        unready: notReady,
        waiting,
        warnings,
        problems,
        ...(waitMs === undefined ? {} : { waitMs }),
      }
    } finally {
      await progress.end()
    }
  }

  async function unreadyOf(boot: KubeObject, { desired }: Compiled): Promise<readonly Unready[]> {
    const key = keyOf(boot)
    const deployments = desired.flatMap(({ object }) => (object.kind === 'Deployment' ? (live.get(object) ?? []) : []))
    const found = deployments.flatMap((deployment) => {
      const what = unreadyDeployment(deployment)
      return what === undefined ? [] : [{ deployment, what }]
    })
    if (found.length === 0) {
      unready.delete(key)
      return []
    }
    const now = performance.now()
    const known = unready.get(key) ?? { since: now, askedAt: now, causes: new Map() }
    unready.set(key, known)
    // pods need a moment to come up; and of many the first few tell enough
    if (now - known.askedAt >= lookMs() * 0.8) {
      known.askedAt = now
      const asked = found.slice(0, ASKED).map(async ({ deployment, what }) => [what.object, await causeOf(deployment)] as const)
      known.causes = new Map(await Promise.all(asked))
    }
    return found.map(({ what }) => ({ ...what, ...known.causes.get(what.object) }))
  }

  /** Many that are not ready are looked at rarer each: the API server is asked for pods some ten times a second at most. */
  function lookMs(): number {
    return Math.min(CAUSE_MS * Math.max(1, unready.size / 30), LATEST_LOOK_MS)
  }

  async function causeOf(deployment: KubeObject): Promise<ReturnType<typeof podCause>> {
    const labels = (deployment['spec'] as { selector?: { matchLabels?: Record<string, string> } }).selector?.matchLabels ?? {}
    const labelSelector = Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(',')
    try {
      const { items } = await client.list(POD, { namespace: deployment.metadata.namespace, labelSelector })
      return podCause(items)
    } catch (error) {
      log.debug('pods not read', { object: objectId(deployment), error: messageOf(error) })
      return undefined
    }
  }

  /** Tells how far a long apply is, now and then. */
  function showProgress(boot: KubeObject): { step: (done: number, total: number) => void; end: () => Promise<void> } {
    let next = performance.now() + PROGRESS_MS
    let sending: Promise<void> = Promise.resolve()
    return {
      step(done, total) {
        if (performance.now() < next || done === total) return
        next = performance.now() + PROGRESS_MS
        sending = sending.then(() => report(boot, { ...NOTHING, waiting: [`${done} of ${total} objects applied`] }))
      },
      end: () => sending,
    }
  }

  /** Patches the status where it differs. A failure is logged: the next reconcile tells again. */
  async function report(judged: KubeObject, outcome: Outcome): Promise<void> {
    const key = keyOf(judged)
    const boot = boots.get(key)
    if (boot === undefined || boot.metadata.uid !== judged.metadata.uid || outcome.problems.some((problem) => problem.retry === 'conflict'))
      return
    const finished = outcome.phase === 'delete' && outcome.waiting.length === 0 && outcome.problems.length === 0
    if (finished) return
    // a spec that came meanwhile was not looked at yet
    const status = statusOf({ ...boot, metadata: judged.metadata }, outcome, new Date().toISOString().replace(/\.\d+Z$/, 'Z'))
    if (isDeepStrictEqual(status, boot['status'])) return
    if (isMereProgress(boot, status) && performance.now() - (reportedAt.get(key) ?? -Infinity) < PROGRESS_MS) return
    reportedAt.set(key, performance.now())
    try {
      boots.record(
        await client.jsonPatch(
          refOf(SLIMEBOOT, boot),
          [
            { op: 'test', path: '/metadata/uid', value: boot.metadata.uid },
            { op: 'add', path: '/status', value: status },
          ],
          FIELD_MANAGER,
          'status',
        ),
      )
    } catch (error) {
      if (!hasCode(error, 404)) log.warn('status not written', { object: objectId(boot), error: messageOf(error) })
    }
  }

  function resultOf(key: string, outcome: Outcome): Result {
    const retries = new Set(outcome.problems.map((problem) => problem.retry))
    if (retries.has('conflict') || retries.has('backoff')) {
      // an API server that is away comes back for everybody at once: that must not take long to be noticed
      const away = outcome.problems.every((problem) => problem.reason === 'ApiServerUnreachable')
      return { retry: true, longestRetryMs: away ? HEALS_MS : undefined, failed: retries.has('backoff') ? 'error' : undefined }
    }
    if (retries.has('heals')) return { requeueAfterMs: jittered(HEALS_MS), failed: 'error' }
    if (retries.has('terminal')) return { failed: 'terminal' }
    const waits = outcome.waitMs === undefined ? [] : [outcome.waitMs]
    for (const change of outcome.changes) if (change.contest !== undefined) waits.push(change.contest.retryMs)
    if (outcome.unready.length > 0 || outcome.waiting.length > 0)
      waits.push(performance.now() - (unready.get(key)?.since ?? 0) < 30_000 ? lookMs() : Math.max(HEALS_MS, lookMs()))
    return waits.length === 0 ? {} : { requeueAfterMs: Math.max(50, Math.min(...waits)) }
  }

  return { reconcile }
}

/** The same generation still under way: said now and then, not at every step of a rollout. A reconcile to come tells the rest. */
function isMereProgress(boot: KubeObject, status: Status): boolean {
  const previous = boot['status'] as Partial<Status> | undefined
  const before = previous?.conditions?.find((condition) => condition.type === 'Ready')
  const now = status.conditions.find((condition) => condition.type === 'Ready')
  return previous?.observedGeneration === status.observedGeneration && before?.reason === 'Progressing' && now?.reason === 'Progressing'
}

function asReconcileError(error: unknown, boot: KubeObject): ReconcileError {
  return error instanceof ReconcileError ? error : failureOf(error, 'get', boot)
}
