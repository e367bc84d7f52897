/** Fence to Sidecar: the object as it should be (spec 2). Pure. */
import type { FenceSpec } from '../fence/fence.ts'
import { FIELD_MANAGER, REVISION_LABEL, SERVICE_FENCE, SIDECAR } from '../kinds.ts'
import type { KubeObject, OwnerReference } from '../../runtime/object.ts'

export type Labels = Readonly<Record<string, string>>

/**
 * The Sidecar of `fence` for the pods with these labels; `revision`: of the control plane that is to read it, undefined: all; `carried`:
 * what a namespace-wide Sidecar says beside its hosts.
 */
export function buildSidecar(
  fence: KubeObject,
  podLabels: Labels,
  hosts: readonly string[],
  revision: string | undefined,
  carried: Readonly<Record<string, unknown>> = {},
): KubeObject {
  const { name, namespace = '' } = fence.metadata
  return {
    apiVersion: SIDECAR.apiVersion,
    kind: SIDECAR.kind,
    metadata: {
      name,
      namespace,
      ...(revision === undefined ? {} : { labels: { [REVISION_LABEL]: revision } }),
      ownerReferences: [ownerReference(fence)],
    },
    spec: { ...carried, egress: [{ hosts }], workloadSelector: { labels: podLabels } },
  }
}

/** The hosts of a live Sidecar, if it has any. */
export function hostsOfSidecar(sidecar: KubeObject | undefined): readonly string[] {
  const { egress } = (sidecar?.['spec'] ?? {}) as { readonly egress?: readonly ({ readonly hosts?: readonly string[] } | null)[] | null }
  return (egress ?? []).flatMap((listener) => listener?.hosts ?? [])
}

function ownerReference(fence: KubeObject): OwnerReference {
  const { apiVersion, kind } = SERVICE_FENCE
  return { apiVersion, kind, name: fence.metadata.name, uid: fence.metadata.uid ?? '', controller: true, blockOwnerDeletion: true }
}

/**
 * The labels that select the fence's pods: those that the fence says, else the selector of its Service if it says so, else
 * `<serviceLabel>: <fence>`. Undefined when the Service that it refers to is not there or selects no pods.
 */
export function workloadLabels(
  name: string,
  spec: FenceSpec,
  serviceLabel: string,
  serviceSelector: Labels | undefined,
): Labels | undefined {
  const { labels, fromService } = spec.workloadSelector ?? {}
  if (labels !== undefined && labels !== null && Object.keys(labels).length > 0) return labels
  if (fromService !== true) return { [serviceLabel]: name }
  return serviceSelector === undefined || Object.keys(serviceSelector).length === 0 ? undefined : serviceSelector
}

/** Whose a live Sidecar is: `stale` belongs to an earlier fence of this name and is waiting for the garbage collector. */
export function ownershipOf(sidecar: KubeObject, fence: KubeObject): 'ours' | 'stale' | 'foreign' {
  const controller = sidecar.metadata.ownerReferences?.find((reference) => reference.controller === true)
  if (controller !== undefined) {
    if (controller.kind !== SERVICE_FENCE.kind || controller.name !== fence.metadata.name) return 'foreign'
    return controller.uid === fence.metadata.uid ? 'ours' : 'stale'
  }
  // somebody took the reference away from what we wrote
  return sidecar.metadata.managedFields?.some(({ manager }) => manager === FIELD_MANAGER) === true ? 'ours' : 'foreign'
}
