/**
 * How large a fence may be. The CRD refuses what is larger (crds/servicefences…); what was stored under an older CRD is refused here, before
 * anything is computed: one fence must not hold up all others. No honest fence comes near.
 */
import type { KubeObject } from '../../runtime/object.ts'
import { specOf, statusOf } from './fence.ts'

/** As in the CRD, which a test compares. */
export const FENCE_LIMITS = {
  /** Entries of `spec.host`. */
  host: 1000,
  /** Entries of `spec.namespaceSelector`. */
  namespaceSelector: 1000,
  /** Entries of `spec.labelSelector`. */
  labelSelector: 500,
  /** Labels of one entry of `spec.labelSelector`, and of `spec.workloadSelector`. */
  labels: 64,
} as const

/** Keys of `status.metricStatus`: we write 500 at the most, an older controller may have written more. */
const MAX_METRICS = 2000
/** Services that the selectors of one fence have in their index entries together, and those that they may select. */
export const MAX_LOOKED_AT = 10_000
export const MAX_HOSTS = 5000
/** Hosts that VirtualServices lead to from those of one fence, counted for each. */
export const MAX_ROUTES = 200_000

/** What of the fence is too large, as a sentence; undefined where nothing is. */
export function excessOf(fence: KubeObject): string | undefined {
  const { host, namespaceSelector, labelSelector, workloadSelector } = specOf(fence)
  const { metricStatus } = statusOf(fence)
  const labels = Math.max(sizeOf(workloadSelector?.labels), ...firstOf(labelSelector).map((entry) => sizeOf(entry?.selector)))
  const sizes: readonly (readonly [name: string, size: number, limit: number])[] = [
    ['spec.host', sizeOf(host), FENCE_LIMITS.host],
    ['spec.namespaceSelector', namespaceSelector?.length ?? 0, FENCE_LIMITS.namespaceSelector],
    ['spec.labelSelector', labelSelector?.length ?? 0, FENCE_LIMITS.labelSelector],
    ['one selector of labels', labels, FENCE_LIMITS.labels],
    ['status.metricStatus', sizeOf(metricStatus), MAX_METRICS],
  ]
  const excess = sizes.find(([, size, limit]) => size > limit)
  return excess === undefined ? undefined : `${excess[0]} has ${excess[1]} entries; at most ${excess[2]} are taken.`
}

export function isTooLarge(fence: KubeObject): boolean {
  return excessOf(fence) !== undefined
}

/** A list that is too long is not looked through. */
function firstOf<Item>(list: readonly Item[] | null | undefined): readonly Item[] {
  return list === null || list === undefined || list.length > FENCE_LIMITS.labelSelector ? [] : list
}

function sizeOf(map: object | null | undefined): number {
  return map === null || map === undefined ? 0 : Object.keys(map).length
}
