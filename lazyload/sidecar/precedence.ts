/**
 * Which Sidecar Istio takes for a pod: of those of its namespace that have a `workloadSelector` whose labels the pod has, the first by
 * time of creation, then by name; one without a selector only where there is no other.
 * https://github.com/istio/istio/blob/86c9f01fd735fb01d8192f5bcaf0d424afb7f14c/pilot/pkg/model/push_context.go#L1186
 * https://github.com/istio/istio/blob/86c9f01fd735fb01d8192f5bcaf0d424afb7f14c/pilot/pkg/model/config.go#L317
 */
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { REVISION_LABEL, SERVICE_FENCE } from '../kinds.ts'
import { createLabelIndex, isSubset, type Labels } from '../mesh/label-index.ts'

/** A Sidecar as far as it decides which pods take it. */
export interface SelectingSidecar {
  readonly key: string
  readonly name: string
  /** What a pod must have; no labels: every pod of the namespace takes it. */
  readonly labels: Labels
  /** Only the control plane of this revision reads it; undefined: all do. */
  readonly revision: string | undefined
  readonly createdAt: string
  /** The fence of this name made it; undefined: somebody else. */
  readonly fence: string | undefined
}

export interface SidecarPrecedence {
  /** Takes in a change of the cache; returns the selectors of before and now, empty where nothing has changed. */
  readonly change: (previous: KubeObject | undefined, current: KubeObject | undefined) => readonly Labels[]
  /** The Sidecars, first the one that Istio asks first, that may take pods from Sidecar `key` (`namespace/name`). */
  readonly before: (key: string) => readonly SelectingSidecar[]
}

export function createSidecarPrecedence(): SidecarPrecedence {
  const sidecars = new Map<string, SelectingSidecar>()
  const index = createLabelIndex()
  return {
    change(previous, current) {
      const key = keyOf((current ?? previous)!)
      const before = sidecars.get(key)
      const after = current === undefined ? undefined : selectingSidecar(current)
      if (isSame(before, after)) return []
      if (after === undefined) sidecars.delete(key)
      else sidecars.set(key, after)
      index.put(key, after?.labels)
      return [before, after].flatMap((sidecar) => (sidecar === undefined ? [] : [sidecar.labels]))
    },
    before(key) {
      const ours = sidecars.get(key)
      if (ours === undefined) return []
      const others = [...index.overlapping(namespaceOf(key), ours.labels)].flatMap((other) => sidecars.get(other) ?? [])
      return others
        .filter((other) => other.key !== key && precedes(other, ours) && meet(other.revision, ours.revision))
        .sort((a, b) => (precedes(a, b) ? -1 : 1))
    },
  }
}

/** The Sidecar of `candidates` (in their order) that Istio takes for a pod instead of a later one; undefined: none of them. */
export function takenBy(
  candidates: readonly SelectingSidecar[],
  pod: { readonly labels: Labels; readonly revision: string | undefined },
): SelectingSidecar | undefined {
  return candidates.find(({ labels, revision }) => meet(revision, pod.revision) && isSubset(labels, pod.labels))
}

/** Both may be read by one control plane. */
function meet(a: string | undefined, b: string | undefined): boolean {
  return a === undefined || b === undefined || a === b
}

function precedes(a: SelectingSidecar, b: SelectingSidecar): boolean {
  return a.createdAt === b.createdAt ? a.name < b.name : a.createdAt < b.createdAt
}

/** Undefined for one without a selector: Istio asks all others first. */
function selectingSidecar(object: KubeObject): SelectingSidecar | undefined {
  const { workloadSelector } = (object['spec'] ?? {}) as { readonly workloadSelector?: { readonly labels?: Labels | null } | null }
  if (workloadSelector === undefined || workloadSelector === null) return undefined
  const { name, labels, creationTimestamp = '', ownerReferences = [] } = object.metadata
  const revision = labels?.[REVISION_LABEL]
  return {
    key: keyOf(object),
    name,
    labels: workloadSelector.labels ?? {},
    revision: revision === '' ? undefined : revision,
    createdAt: creationTimestamp,
    fence: ownerReferences.find(({ controller, kind }) => controller === true && kind === SERVICE_FENCE.kind)?.name,
  }
}

function isSame(a: SelectingSidecar | undefined, b: SelectingSidecar | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  const sameLabels = isSubset(a.labels, b.labels) && isSubset(b.labels, a.labels)
  return sameLabels && a.revision === b.revision && a.createdAt === b.createdAt && a.fence === b.fence
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}
