/**
 * Fences that select exactly the same pods: Services of one workload, such as a headless one beside the usual. Istio defines what
 * one Sidecar does to a workload, not what two do, so they have one together.
 * https://istio.io/latest/docs/reference/config/networking/sidecar/
 */
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import type { Labels } from '../sidecar/sidecar.ts'
import { isEnabled } from './fence.ts'
import { labelledRevision } from './scope.ts'

export interface SamePodsOptions {
  readonly fence: (key: string) => KubeObject | undefined
  readonly inScope: (fence: KubeObject) => boolean
  /** The labels of the fence's pods; undefined where they are not known. */
  readonly labelsOf: (fence: KubeObject) => Labels | undefined
  /** The revision of Istio that a revision or tag stands for. */
  readonly resolve: (revision: string) => string
}

export interface SamePods {
  /** Takes in what fence `key` is now; returns the other fences whose Sidecar may depend on that. */
  readonly update: (key: string) => readonly string[]
  /** The fences with the pods of `key`, itself among them; the one that has the Sidecar, the oldest, first. Empty when it has no pods. */
  readonly of: (key: string) => readonly KubeObject[]
}

export function createSamePods({ fence: get, inScope, labelsOf, resolve }: SamePodsOptions): SamePods {
  /** Pods to fences, and back. */
  const groups = new Map<string, Set<string>>()
  const podsOf = new Map<string, string>()

  function podsNow(fence: KubeObject | undefined): string | undefined {
    if (fence === undefined || !isEnabled(fence) || fence.metadata.deletionTimestamp !== undefined || !inScope(fence)) return undefined
    const labels = labelsOf(fence)
    if (labels === undefined) return undefined
    const revision = labelledRevision(fence)
    const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
    return JSON.stringify([fence.metadata.namespace, revision === '' ? '' : resolve(revision), sorted])
  }

  return {
    update(key) {
      const [before, after] = [podsOf.get(key), podsNow(get(key))]
      const concerned = new Set([...(groups.get(before ?? '') ?? []), ...(groups.get(after ?? '') ?? [])])
      if (before !== after) {
        if (before !== undefined) {
          groups.get(before)?.delete(key)
          if (groups.get(before)?.size === 0) groups.delete(before)
        }
        if (after === undefined) podsOf.delete(key)
        else {
          podsOf.set(key, after)
          groups.set(after, (groups.get(after) ?? new Set()).add(key))
        }
      }
      concerned.delete(key)
      return [...concerned]
    },
    of(key) {
      const members = [...(groups.get(podsOf.get(key) ?? '') ?? [])]
      if (members.length <= 1) return members.flatMap((member) => get(member) ?? [])
      return members.flatMap((member) => get(member) ?? []).sort((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1))
    },
  }
}

/** Sorts by time of creation, then by name. */
function ageOf(fence: KubeObject): string {
  return `${fence.metadata.creationTimestamp ?? ''} ${keyOf(fence)}`
}
