/** Which conditions of a fence have become False with a write of its status: what an Event is made of. Pure. */
import type { KubeObject } from '../../runtime/object.ts'
import { type FenceCondition, type FenceStatus, statusOf } from './fence.ts'
import type { FenceReason } from './reasons.ts'

/** They are no trouble: somebody wants it so, or it is over in a moment. */
const QUIET: ReadonlySet<string> = new Set<FenceReason>(['Disabled', 'SidecarSharing'])

/** The conditions in `patch` that are False, and were not, or for another reason. What two of them say for one reason is told once. */
export function turnedFalse(fence: KubeObject, patch: object): readonly FenceCondition[] {
  const before = statusOf(fence).conditions ?? []
  const { conditions } = (patch as { readonly status?: FenceStatus }).status ?? {}
  const turned = (conditions ?? []).filter(({ type, status, reason }) => {
    const previous = before.find((condition) => condition.type === type)
    return status === 'False' && !QUIET.has(reason) && (previous?.status !== 'False' || previous.reason !== reason)
  })
  return turned.filter(({ reason }, index) => turned.findIndex((other) => other.reason === reason) === index)
}
