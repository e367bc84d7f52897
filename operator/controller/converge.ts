/** Converge: make the cluster match one compiled SlimeBoot. Read what is unknown, plan, check all that can be known, apply in waves, prune. */
import { identityOf, keyOf, type KubeObject } from '../../runtime/object.ts'
import { resourceName } from '../../runtime/resource.ts'
import { typeOf } from '../api/kinds.ts'
import { ADOPT_ANNOTATION } from '../api/slimeboot.ts'
import { applyStep, type ApplyDependencies, type Change } from '../apply/apply.ts'
import { gateCatchAlls, isOpen } from '../apply/catch-all-gates.ts'
import { globalSidecarNamespaceOf, isGlobalSidecar } from '../apply/catch-all.ts'
import { ReconcileError } from '../apply/failure.ts'
import type { KeptTemplate } from '../apply/helm/kept-template.ts'
import { readHelmRelease } from '../apply/helm/release.ts'
import type { Live } from '../apply/live.ts'
import { type Plan, planChanges, type Step } from '../apply/plan.ts'
import type { Pruner, PruneResult } from '../apply/prune.ts'
import { readObjects } from '../apply/read.ts'
import type { Compiled } from './compile.ts'
import { goingFrom } from './fences/going.ts'
import type { LettingGo, LettingGoStep } from './fences/letting-go.ts'
import type { Withdrawals } from './withdrawals.ts'

export interface ConvergeDependencies extends ApplyDependencies {
  readonly live: Live
  readonly pruner: Pruner
  /** What stands against this plan; empty to go on. Creates namespaces where that is asked for. */
  readonly preflight: (boot: KubeObject, compiled: Compiled, plan: Plan) => Promise<readonly ReconcileError[]>
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
  /** Deployments that keep the earlier operator's pod template. */
  readonly keptTemplates: readonly KeptTemplate[]
  /** Refusals of single objects; the waves after them were not started. */
  readonly problems: readonly ReconcileError[]
  /** True when everything is applied and nothing is left to prune. */
  readonly complete: boolean
  /** Come back after this time though nothing failed, milliseconds. */
  readonly waitMs?: number
}

/** Sees each step as it ends, for progress. */
export type OnStep = (done: number, total: number) => void

/** Whatever can be known stops it before the first write, all at once; throws ReconcileError where it cannot even be asked. */
export async function converge(
  dependencies: ConvergeDependencies,
  boot: KubeObject,
  compiled: Compiled,
  onStep: OnStep,
): Promise<Convergence> {
  const plan = await makePlan(dependencies, boot, compiled)
  const isHeldBack = (namespace: string): boolean => dependencies.withdrawals.heldBackMs(compiled.owner.key, namespace) > 0
  const gates = gateCatchAlls(dependencies.live, plan, isHeldBack)
  const changes: Change[] = []
  const problems: ReconcileError[] = [...unwatched(dependencies.live, plan)]
  const isWritten = (step: Step): boolean => step.action !== 'none' && (step.manifest.catchAll === undefined || gates.open.includes(step))
  if (problems.length > 0 || plan.steps.some(isWritten)) {
    problems.push(...(await dependencies.preflight(boot, compiled, plan)))
    if (problems.length > 0) return result({ deleted: [], blocked: [] }, [])
  }
  // also where nothing is to be written: somebody may have taken it off
  if (plan.steps.length > 0) await dependencies.ensureFinalizer(boot)

  async function applyAll(steps: readonly Step[]): Promise<void> {
    await Promise.all(
      steps.map(async (step) => {
        try {
          changes.push(await applyStep(dependencies, step))
        } catch (error) {
          if (!(error instanceof ReconcileError)) throw error
          problems.push(error)
        }
        onStep(changes.length, plan.steps.length)
      }),
    )
  }

  // Waves 1 to 3: rights, configuration, workloads. A refusal stops the waves that follow.
  for (const wave of [1, 2, 3]) {
    if (!dependencies.isCurrent(boot)) return result({ deleted: [], blocked: [] }, ['the SlimeBoot has changed meanwhile'])
    await applyAll(plan.steps.filter((step) => step.manifest.wave === wave))
    if (problems.length > 0) return result({ deleted: [], blocked: [] }, [])
  }

  // Fences that nobody serves any more lose their Sidecars while the catch-all still serves their pods.
  const fences = await letGoOfFences(dependencies.lettingGo, boot, plan)

  // Wave 4: a catch-all only when its global-sidecar can take traffic, and never beside one that it replaces.
  const { open, waiting, replaced, retained } = gateCatchAlls(dependencies.live, plan, isHeldBack)
  if (fences.waitMs !== undefined || fences.blocked.length > 0) {
    // none comes beside one that stays so long
    await applyAll(open.filter((step) => replaced.length === 0 || step.action !== 'create'))
    return result(fences, waiting)
  }
  const removed = await dependencies.pruner.removeCatchAlls(compiled.owner.key, replaced)
  if (removed.blocked.length > 0) return result(removed, waiting)
  await applyAll(open)
  if (problems.length > 0) return result(removed, waiting)

  // What is stale goes last, but for what still stands behind a catch-all that waits for its successor.
  const retainedNamespaces = new Set(retained.map(globalSidecarNamespaceOf))
  const prunable = plan.stale.filter(
    (object) => !replaced.includes(object) && !retained.includes(object) && !retainedNamespaces.has(object.metadata.namespace ?? ''),
  )
  const pruned = await dependencies.pruner.prune(
    compiled.owner.key,
    prunable,
    stayingGlobalSidecars(dependencies.live, plan),
    stayingDeployments(dependencies.live, plan),
  )
  return result({ ...pruned, deleted: [...removed.deleted, ...pruned.deleted] }, waiting)

  function result(prune: PruneResult, closed: readonly string[]): Convergence {
    const waits = [...closed, ...(prune.waitingFor === undefined ? [] : [`waiting for ${prune.waitingFor}`])]
    return {
      changes: changes.sort((a, b) => (a.object < b.object ? -1 : 1)),
      deleted: prune.deleted,
      waiting: waits,
      copies: plan.copies,
      keptTemplates: plan.steps.flatMap((step) => step.keptTemplate ?? []).filter(({ differences }) => differences.length > 0),
      problems: [...problems, ...prune.blocked].sort((a, b) => (a.message < b.message ? -1 : 1)),
      complete: problems.length === 0 && prune.blocked.length === 0 && waits.length === 0,
      ...(prune.waitMs === undefined ? {} : { waitMs: prune.waitMs }),
    }
  }
}

/** One step, where something goes that fences depend on. */
async function letGoOfFences(lettingGo: LettingGo, boot: KubeObject, plan: Plan): Promise<LettingGoStep> {
  const catchAlls = plan.steps.filter(({ manifest }) => manifest.catchAll !== undefined)
  await lettingGo.stay(
    boot,
    catchAlls.map(({ desired }) => desired),
  )
  const going = goingFrom(boot, plan.stale, lettingGo.serviceOf(boot))
  if (going !== undefined) return await lettingGo.step(boot, going)
  lettingGo.forget(keyOf(boot))
  return { deleted: [], blocked: [] }
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
