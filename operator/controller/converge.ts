/**
 * Converge: make the cluster match one compiled SlimeBoot. Read what is unknown, plan, check all that can be known, apply in waves, prune.
 * What stands against one namespace withholds that namespace only (withheld.ts).
 */
import { identityOf, keyOf, type KubeObject, objectId } from '../../runtime/object.ts'
import { resourceName } from '../../runtime/resource.ts'
import { typeOf } from '../api/kinds.ts'
import { ADOPT_ANNOTATION } from '../api/slimeboot.ts'
import { applyStep, type ApplyDependencies, type Change } from '../apply/apply.ts'
import { gateCatchAlls, isOpen } from '../apply/catch-all-gates.ts'
import { catchAllOf, isGlobalSidecar } from '../apply/catch-all.ts'
import { ReconcileError } from '../apply/failure.ts'
import type { KeptTemplate } from '../apply/helm/kept-template.ts'
import { readHelmRelease } from '../apply/helm/release.ts'
import type { Live } from '../apply/live.ts'
import { type Plan, planChanges, type Step } from '../apply/plan.ts'
import type { Blocked, Pruner } from '../apply/prune.ts'
import { readObjects } from '../apply/read.ts'
import type { Reach } from '../apply/standing.ts'
import { collisionProblems, type Obstacles } from '../preflight/preflight.ts'
import type { Compiled } from './compile.ts'
import { goingFrom } from './fences/going.ts'
import type { LettingGo, LettingGoStep } from './fences/letting-go.ts'
import type { Withdrawals } from './withdrawals.ts'
import { createWithheld } from './withheld.ts'

export interface ConvergeDependencies extends ApplyDependencies {
  readonly live: Live
  readonly pruner: Pruner
  /** What stands against this plan; creates namespaces where that is asked for, unless it `isStopped` already. */
  readonly preflight: (boot: KubeObject, compiled: Compiled, plan: Plan, isStopped: boolean) => Promise<Obstacles>
  /** Where marks of this SlimeBoot can be true: where it renders, and what it was granted and has not let go of yet. */
  readonly reachOf: (compiled: Compiled) => Reach
  /** False when the SlimeBoot was deleted, replaced or is going: nothing more is written for it. */
  readonly isCurrent: (boot: KubeObject) => boolean
  /** Called once before the first write. */
  readonly ensureFinalizer: (boot: KubeObject) => Promise<void>
  readonly withdrawals: Pick<Withdrawals, 'heldBackMs'>
  readonly lettingGo: LettingGo
  /** By key the state (uid and generation) of a SlimeBoot for which catch-alls behind closed gates were read. */
  readonly gatedReads: Map<string, string>
}

export interface Convergence {
  /** Sorted by object. */
  readonly changes: readonly Change[]
  /** `Kind/namespace/name` of what was pruned. */
  readonly deleted: readonly string[]
  /** What the next step waits for, in words. */
  readonly waiting: readonly string[]
  /** `Kind/namespace/name` of objects that carry the annotation of another one. */
  readonly copies: readonly string[]
  /** `Kind/namespace/name` of objects that carry our marks where these cannot be true. */
  readonly forged: readonly string[]
  /** Why objects stay that are left of an earlier spec, where nobody waits for them. */
  readonly leftBehind: readonly string[]
  /** Deployments that keep the earlier operator's pod template. */
  readonly keptTemplates: readonly KeptTemplate[]
  /** What stands against objects. */
  readonly problems: readonly ReconcileError[]
  /** Namespaces in which nothing was written because of a problem there; everywhere else all was done. Empty where a problem stopped everything. */
  readonly withheld: readonly string[]
  /** True when everything is applied and nothing is left to prune. */
  readonly complete: boolean
  /** Come back after this time though nothing failed, milliseconds. */
  readonly waitMs?: number
}

/** Sees each step as it ends, for progress. */
export type OnStep = (done: number, total: number) => void

/** What stands against all of it stops it before the first write; throws ReconcileError where it cannot even be asked. */
export async function converge(
  dependencies: ConvergeDependencies,
  boot: KubeObject,
  compiled: Compiled,
  onStep: OnStep,
): Promise<Convergence> {
  const { live, pruner } = dependencies
  const reach = dependencies.reachOf(compiled)
  const { roots } = reach
  const plan = await makePlan(dependencies, boot, compiled, reach)
  const withheld = createWithheld(compiled.values.namespace)
  const isWithheld = (namespace: string): boolean => withheld.has(namespace)
  const isHeldBack = (namespace: string): boolean => dependencies.withdrawals.heldBackMs(compiled.owner.key, namespace) > 0
  const changes: Change[] = []
  for (const problem of unwatched(live, plan)) withheld.add(undefined, problem)
  for (const { namespace, problem } of collisionProblems(plan)) withheld.add(namespace, problem)
  const gates = gateCatchAlls(live, plan, { roots, isWithheld, isHeldBack })
  const isWritten = (step: Step): boolean => step.action !== 'none' && (step.manifest.catchAll === undefined || gates.open.includes(step))
  if (withheld.stopsAll() || plan.steps.some(isWritten)) {
    const { general, inNamespaces } = await dependencies.preflight(boot, compiled, plan, withheld.stopsAll())
    for (const problem of general) withheld.add(undefined, problem)
    for (const { namespace, problem } of inNamespaces) withheld.add(namespace, problem)
    if (withheld.stopsAll()) return result()
  }
  // also where nothing is to be written: somebody may have taken it off
  if (plan.steps.length > 0) await dependencies.ensureFinalizer(boot)

  async function applyAll(steps: readonly Step[]): Promise<void> {
    await Promise.all(
      steps.map(async (step) => {
        const { namespace } = step.desired.metadata
        if (isWithheld(namespace ?? '')) return
        try {
          changes.push(await applyStep(dependencies, step))
        } catch (error) {
          if (!(error instanceof ReconcileError)) throw error
          withheld.add(namespace, error)
        }
        onStep(changes.length, plan.steps.length)
      }),
    )
  }

  // Waves 1 to 3: rights, configuration, workloads. A refusal stops the waves that follow, in its namespace or everywhere.
  for (const wave of [1, 2, 3]) {
    if (!dependencies.isCurrent(boot)) return result({ waiting: ['the SlimeBoot has changed meanwhile'] })
    await applyAll(plan.steps.filter((step) => step.manifest.wave === wave))
    if (withheld.stopsAll()) return result()
  }

  // Fences that nobody serves any more lose their Sidecars while the catch-all still serves their pods.
  const fences = await letGoOfFences(dependencies.lettingGo, boot, plan, roots)

  // Wave 4: a catch-all only when its global-sidecar can take traffic, and never beside one that it replaces.
  const { open, waiting, replaced, retained } = gateCatchAlls(live, plan, { roots, isWithheld, isHeldBack })
  if (fences.waitMs !== undefined || fences.blocked.length > 0) {
    for (const problem of fences.blocked) withheld.add(undefined, problem)
    // none comes beside one that stays so long
    await applyAll(open.filter((step) => replaced.length === 0 || step.action !== 'create'))
    const { deleted, waitMs, waitingFor } = fences
    return result({ deleted, waitMs, waiting: [...waiting, ...(waitingFor === undefined ? [] : [`waiting for ${waitingFor}`])] })
  }
  const removed = await pruner.removeCatchAlls(compiled.owner.key, replaced, roots)
  const stuck = removed.blocked.filter(({ object }) => !plan.leftBehind.has(object))
  // one of the whole mesh that stays is in the way of every other; one of a single namespace only there
  const isInTheWay = (object: KubeObject, step: Step): boolean =>
    ['*', step.manifest.catchAll!.scope].includes(catchAllOf(object, roots).scope)
  await applyAll(open.filter((step) => !stuck.some(({ object }) => isInTheWay(object, step))))
  if (withheld.stopsAll()) return result({ deleted: removed.deleted, blocked: removed.blocked, waiting })

  // What is stale goes last, but for what still stands behind a catch-all that waits for its successor or stays.
  const standing = plan.steps.filter(
    (step) => hasNotMoved(step, roots) && (!open.includes(step) || isWithheld(step.desired.metadata.namespace ?? '')),
  )
  const needed = new Set(
    [...retained, ...removed.blocked.map(({ object }) => object), ...standing.flatMap(({ live: there }) => there ?? [])].map(
      (object) => catchAllOf(object, roots).globalSidecarNamespace,
    ),
  )
  const prunable = plan.stale.filter(
    (object) => !replaced.includes(object) && !retained.includes(object) && !needed.has(object.metadata.namespace ?? ''),
  )
  const staying = stayingGlobalSidecars(live, plan)
  const pruned = await pruner.prune(compiled.owner.key, prunable, {
    staying,
    modules: stayingDeployments(live, plan),
    roots,
    leftBehind: plan.leftBehind,
  })
  return result({
    deleted: [...removed.deleted, ...pruned.deleted],
    blocked: [...removed.blocked, ...pruned.blocked],
    waiting: [...waiting, ...(pruned.waitingFor === undefined ? [] : [`waiting for ${pruned.waitingFor}`])],
    waitMs: pruned.waitMs,
    wasPruned: true,
  })

  function result({ deleted = [], blocked = [], waiting: waits = [], waitMs, wasPruned = false }: Ending = {}): Convergence {
    const namespaces = withheld.stopsAll() ? [] : withheld.namespaces()
    const told = new Map(blocked.map(({ object, error }) => [object, error.message]))
    const unmoved = (wasPruned ? [...plan.leftBehind] : []).flatMap((object) => {
      if (deleted.includes(objectId(object)) || (waitMs !== undefined && !told.has(object))) return []
      return [told.get(object) ?? `${objectId(object)}: stays while the catch-all of its namespace does.`]
    })
    for (const { object, error } of blocked) if (!plan.leftBehind.has(object)) withheld.add(object.metadata.namespace, error)
    const problems = withheld.problems()
    return {
      changes: changes.sort((a, b) => (a.object < b.object ? -1 : 1)),
      deleted,
      waiting: waits,
      copies: plan.copies,
      forged: plan.forged,
      leftBehind: unmoved.sort(),
      keptTemplates: plan.steps.flatMap((step) => step.keptTemplate ?? []).filter(({ differences }) => differences.length > 0),
      problems,
      withheld: namespaces,
      complete: problems.length === 0 && waits.length === 0 && waitMs === undefined,
      ...(waitMs === undefined ? {} : { waitMs }),
    }
  }
}

/** One step, where something goes that fences depend on. */
async function letGoOfFences(lettingGo: LettingGo, boot: KubeObject, plan: Plan, roots: ReadonlySet<string>): Promise<LettingGoStep> {
  const catchAlls = plan.steps.filter(({ manifest }) => manifest.catchAll !== undefined)
  await lettingGo.stay(
    boot,
    catchAlls.map(({ desired }) => desired),
  )
  const going = goingFrom(boot, plan.stale, lettingGo.serviceOf(boot), roots)
  if (going !== undefined) return await lettingGo.step(boot, going)
  lettingGo.forget(keyOf(boot))
  return { deleted: [], blocked: [] }
}

/** How far it came. */
interface Ending {
  readonly deleted?: readonly string[]
  readonly blocked?: readonly Blocked[]
  readonly waiting?: readonly string[]
  readonly waitMs?: number | undefined
  /** All that is stale was tried. */
  readonly wasPruned?: boolean
}

/** A catch-all that still leads to a global-sidecar in another namespace than it is to. */
function hasNotMoved({ manifest, live }: Step, roots: ReadonlySet<string>): boolean {
  if (manifest.catchAll === undefined || live === undefined) return false
  return catchAllOf(live, roots).globalSidecarNamespace !== manifest.catchAll.globalSidecarNamespace
}

/** Live global-sidecars that stay, by namespace. */
function stayingGlobalSidecars(live: Live, plan: Plan): ReadonlyMap<string, KubeObject> {
  const deployments = stayingDeployments(live, plan).filter(isGlobalSidecar)
  return new Map(deployments.map((deployment) => [deployment.metadata.namespace ?? '', deployment]))
}

function stayingDeployments(live: Live, plan: Plan): readonly KubeObject[] {
  return plan.steps.filter(({ desired }) => desired.kind === 'Deployment').flatMap(({ desired }) => live.get(desired) ?? [])
}

async function makePlan(
  { client, live, normalForms, gatedReads }: ConvergeDependencies,
  boot: KubeObject,
  { desired, owner, claim }: Compiled,
  reach: Reach,
): Promise<Plan> {
  const state = `${boot.metadata.uid ?? ''} ${boot.metadata.generation ?? 0}`
  const unknown = desired
    .filter(({ object }) => live.get(object) === undefined && !live.kindMissing(object))
    // a catch-all behind a closed gate is looked for once, and again when it opens
    .filter(({ manifest }) => manifest.catchAll === undefined || gatedReads.get(owner.key) !== state || isOpen(live, manifest.catchAll))
    .map(({ object }) => object)
  gatedReads.set(owner.key, state)
  const [read, release] = await Promise.all([readObjects(client, unknown), readHelmRelease(client, boot, owner)])
  return planChanges({
    owner,
    desired,
    wanted: claim.objects,
    live: (object) => live.get(object) ?? read.get(identityOf(object)),
    labelled: live.labelled(owner.label),
    reach,
    release,
    spec: boot['spec'],
    adopt: boot.metadata.annotations?.[ADOPT_ANNOTATION] === 'true',
    settled: (object, actual, found) => normalForms.settled(object, actual, found),
  })
}

/** What cannot be watched cannot be kept right. */
function unwatched(live: Live, plan: Plan): readonly ReconcileError[] {
  const kinds = [
    ...new Set(plan.steps.filter(({ desired }) => live.forbidden(desired)).map(({ desired }) => resourceName(typeOf(desired)))),
  ].sort()
  return kinds.length === 0
    ? []
    : [new ReconcileError('Forbidden', `May not watch ${kinds.join(', ')}. Grant "get, list, watch" on them to the operator.`, 'heals')]
}
