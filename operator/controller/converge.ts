/** Converge: make the cluster match one compiled SlimeBoot. Read what is unknown, plan, check all that can be known, apply in waves, prune. */
import { identityOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { resourceName } from '../../runtime/resource.ts'
import { DEPLOYMENT, typeOf } from '../api/kinds.ts'
import { ADOPT_ANNOTATION } from '../api/slimeboot.ts'
import { type KeptTemplate, readHelmRelease } from '../apply/helm-release.ts'
import { applyStep, type ApplyDependencies, type Change } from '../apply/apply.ts'
import { scopesMeet } from '../apply/claims.ts'
import { ReconcileError } from '../apply/failure.ts'
import type { Live } from '../apply/live.ts'
import { type Plan, planChanges, type Step } from '../apply/plan.ts'
import { catchAllScope, globalSidecarNamespaceOf, isCatchAll, isGlobalSidecar, type Pruner, type PruneResult } from '../apply/prune.ts'
import { readObjects } from '../apply/read.ts'
import { hasAvailableReplica } from '../apply/readiness.ts'
import type { CatchAll } from '../render/manifest.ts'
import type { Compiled } from './compile.ts'

export interface ConvergeDependencies extends ApplyDependencies {
  readonly live: Live
  readonly pruner: Pruner
  /** What stands against this plan; empty to go on. Creates namespaces where that is asked for. */
  readonly preflight: (boot: KubeObject, compiled: Compiled, plan: Plan) => Promise<readonly ReconcileError[]>
  /** False when the SlimeBoot was deleted, replaced or is going: nothing more is written for it. */
  readonly isCurrent: (boot: KubeObject) => boolean
  /** Called once before the first write. */
  readonly ensureFinalizer: (boot: KubeObject) => Promise<void>
  /** By SlimeBoot the state (uid and generation) for which gated catch-alls were looked for. */
  readonly lookedFor: Map<string, string>
}

export interface Convergence {
  readonly changes: readonly Change[]
  readonly deleted: readonly string[]
  readonly waiting: readonly string[]
  readonly copies: readonly string[]
  /** Deployments that keep the earlier operator's pod template. */
  readonly kept: readonly KeptTemplate[]
  /** Refusals of single objects; the waves after them were not started. */
  readonly problems: readonly ReconcileError[]
  /** True when everything is applied and nothing is left to prune. */
  readonly complete: boolean
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
  const gates = gateCatchAlls(dependencies.live, plan)
  const changes: Change[] = []
  const problems: ReconcileError[] = [...unwatched(dependencies.live, plan)]
  if (
    problems.length > 0 ||
    plan.steps.some((step) => step.action !== 'none' && (step.manifest.catchAll === undefined || gates.open.includes(step)))
  ) {
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

  // Wave 4: a catch-all only when its global-sidecar can take traffic, and never beside one that it replaces.
  const { open, waiting, replaced, kept } = gateCatchAlls(dependencies.live, plan)
  const removed = await dependencies.pruner.removeCatchAlls(compiled.owner.key, replaced)
  if (removed.blocked.length > 0) return result(removed, waiting)
  await applyAll(open)
  if (problems.length > 0) return result(removed, waiting)

  // What is stale goes last, but for what still stands behind a catch-all that waits for its successor.
  const keptNamespaces = new Set(kept.map(globalSidecarNamespaceOf))
  const prunable = plan.stale.filter(
    (object) => !replaced.includes(object) && !kept.includes(object) && !keptNamespaces.has(object.metadata.namespace ?? ''),
  )
  const pruned = await dependencies.pruner.prune(compiled.owner.key, prunable, stayingGlobalSidecars(dependencies.live, plan))
  return result({ ...pruned, deleted: [...removed.deleted, ...pruned.deleted] }, waiting)

  function result(prune: PruneResult, closed: readonly string[]): Convergence {
    const waits = [...closed, ...(prune.waitingFor === undefined ? [] : [`waiting for ${prune.waitingFor}`])]
    return {
      changes: changes.sort((a, b) => (a.object < b.object ? -1 : 1)),
      deleted: prune.deleted,
      waiting: waits,
      copies: plan.copies,
      kept: plan.steps.flatMap((step) => step.kept ?? []).filter(({ differences }) => differences.length > 0),
      problems: [...problems, ...prune.blocked].sort((a, b) => (a.message < b.message ? -1 : 1)),
      complete: problems.length === 0 && prune.blocked.length === 0 && waits.length === 0,
      ...(prune.waitMs === undefined ? {} : { waitMs: prune.waitMs }),
    }
  }
}

/** Live global-sidecars that stay, by namespace. */
function stayingGlobalSidecars(live: Live, plan: Plan): ReadonlyMap<string, KubeObject> {
  const deployments = plan.steps.filter(({ desired }) => isGlobalSidecar(desired)).flatMap(({ desired }) => live.get(desired) ?? [])
  return new Map(deployments.map((deployment) => [deployment.metadata.namespace ?? '', deployment]))
}

async function makePlan(
  { client, live, normalForms, lookedFor }: ConvergeDependencies,
  boot: KubeObject,
  { desired, owner }: Compiled,
): Promise<Plan> {
  const state = `${boot.metadata.uid ?? ''} ${boot.metadata.generation ?? 0}`
  const unknown = desired
    .filter(({ object }) => live.get(object) === undefined && !live.kindMissing(object))
    // a catch-all behind a closed gate is looked for once, and again when it opens
    .filter(({ manifest }) => manifest.catchAll === undefined || lookedFor.get(owner.key) !== state || isOpen(live, manifest.catchAll))
    .map(({ object }) => object)
  lookedFor.set(owner.key, state)
  const [read, release] = await Promise.all([readObjects(client, unknown), readHelmRelease(client, boot, owner)])
  return planChanges({
    owner,
    desired,
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

interface Gates {
  /** Catch-alls that may be applied now. */
  readonly open: readonly Step[]
  /** What the others wait for. */
  readonly waiting: readonly string[]
  /** Stale ones to be removed before the open ones are applied. */
  readonly replaced: readonly KubeObject[]
  /** Stale ones that stay until their successors' gates open. */
  readonly kept: readonly KubeObject[]
}

function gateCatchAlls(live: Live, plan: Plan): Gates {
  const steps = plan.steps.filter((step) => step.manifest.catchAll !== undefined)
  const closed = steps.filter((step) => step.action !== 'none' && !isOpen(live, step.manifest.catchAll!))
  const stale = plan.stale.filter(isCatchAll)
  const meets = (object: KubeObject, step: Step): boolean => scopesMeet({ scope: catchAllScope(object) }, step.manifest.catchAll!)
  const kept = stale.filter((object) => closed.some((step) => meets(object, step)))
  const replaced = stale.filter((object) => !kept.includes(object) && steps.some((step) => meets(object, step)))
  const held = steps.filter((step) => !closed.includes(step) && step.action !== 'none' && kept.some((object) => meets(object, step)))
  const open = plan.steps.filter((step) => step.manifest.wave === 4 && !closed.includes(step) && !held.includes(step))
  const waiting = [
    ...closed.map(
      (step) =>
        `${objectId(step.desired)} waits for an available replica of Deployment/${step.manifest.catchAll!.globalSidecarNamespace}/global-sidecar`,
    ),
    ...held.map(
      (step) =>
        `${objectId(step.desired)} waits until ${kept
          .filter((object) => meets(object, step))
          .map(objectId)
          .join(', ')} can go`,
    ),
  ]
  return { open, waiting: waiting.sort(), replaced, kept }
}

/** Its global-sidecar has a replica that can take the traffic. */
function isOpen(live: Live, { globalSidecarNamespace: namespace }: CatchAll): boolean {
  return hasAvailableReplica(
    live.get({ apiVersion: DEPLOYMENT.apiVersion, kind: DEPLOYMENT.kind, metadata: { namespace, name: 'global-sidecar' } }),
  )
}
