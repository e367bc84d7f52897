/**
 * Gates of the catch-alls: one is applied only when its global-sidecar can take traffic, and never beside one that it replaces, since
 * two on one route config make Envoy reject all of it.
 */
import { objectId, type KubeObject } from '../../runtime/object.ts'
import { DEPLOYMENT } from '../api/kinds.ts'
import type { CatchAll } from '../render/manifest.ts'
import { catchAllOf, isCatchAll } from './catch-all.ts'
import { scopesMeet } from './claims.ts'
import type { Live } from './live.ts'
import type { Plan, Step } from './plan.ts'
import { hasAvailableReplica } from './readiness.ts'

export interface Gates {
  /** Catch-alls that may be applied now. */
  readonly open: readonly Step[]
  /** What the others wait for, sorted. */
  readonly waiting: readonly string[]
  /** Stale ones to be removed before the open ones are applied. */
  readonly replaced: readonly KubeObject[]
  /** Stale ones that stay until their successors' gates open. */
  readonly retained: readonly KubeObject[]
}

export interface GateOptions {
  readonly roots: ReadonlySet<string>
  /** Whether nothing is to be written in a namespace. */
  readonly isWithheld?: (namespace: string) => boolean
  /** Whether the global-sidecar of a namespace comes and goes, so that its catch-all waits though a replica is available. */
  readonly isHeldBack?: (namespace: string) => boolean
}

const never = (): boolean => false

/**
 * Judges the catch-alls of a plan by what lives now: a gate that is closed may be open a moment later. `roots`: namespaces whose
 * EnvoyFilters reach the whole mesh.
 */
export function gateCatchAlls(live: Live, plan: Plan, { roots, isWithheld = never, isHeldBack = never }: GateOptions): Gates {
  const all = plan.steps.filter((step) => step.manifest.catchAll !== undefined)
  const withheld = all.filter(
    ({ manifest, desired }) => isWithheld(desired.metadata.namespace ?? '') || isWithheld(manifest.catchAll!.globalSidecarNamespace),
  )
  const steps = all.filter((step) => !withheld.includes(step))
  const heldBack = (step: Step): boolean => step.live === undefined && isHeldBack(step.manifest.catchAll!.globalSidecarNamespace)
  const mayStand = (step: Step): boolean => isOpen(live, step.manifest.catchAll!) && !heldBack(step)
  const closed = steps.filter((step) => step.action !== 'none' && !mayStand(step))
  const stale = plan.stale.filter(isCatchAll)
  const meets = (object: KubeObject, step: Step): boolean => scopesMeet(catchAllOf(object, roots), step.manifest.catchAll!)
  // one namespace that is withheld keeps no catch-all of the whole mesh alive
  const awaited = [...closed, ...withheld.filter((step) => step.manifest.catchAll!.scope === '*')]
  const retained = stale.filter((object) => awaited.some((step) => meets(object, step)))
  const replaced = stale.filter((object) => !retained.includes(object) && steps.some((step) => meets(object, step)))
  const held = steps.filter((step) => !closed.includes(step) && step.action !== 'none' && retained.some((object) => meets(object, step)))
  const open = steps.filter((step) => !closed.includes(step) && !held.includes(step))
  const waiting = [
    ...closed.map(
      (step) =>
        `${objectId(step.desired)} waits for an available replica of Deployment/${step.manifest.catchAll!.globalSidecarNamespace}/global-sidecar${heldBack(step) ? ' that stays for a minute, because all of them were lost more than once in the last ten' : ''}`,
    ),
    ...held.map(
      (step) =>
        `${objectId(step.desired)} waits until ${retained
          .filter((object) => meets(object, step))
          .map(objectId)
          .join(', ')} can go`,
    ),
  ]
  return { open, waiting: waiting.sort(), replaced, retained }
}

/** Its global-sidecar has a replica that can take the traffic. */
export function isOpen(live: Pick<Live, 'get'>, { globalSidecarNamespace: namespace }: CatchAll): boolean {
  return hasAvailableReplica(
    live.get({ apiVersion: DEPLOYMENT.apiVersion, kind: DEPLOYMENT.kind, metadata: { namespace, name: 'global-sidecar' } }),
  )
}
