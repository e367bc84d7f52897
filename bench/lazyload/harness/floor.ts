/** The floor: what any controller must at least send for a fence, as requests of a bare client. */
import { FIELD_MANAGER, SERVICE_FENCE, SIDECAR } from '../../../lazyload/kinds.ts'
import { keyOfHost } from '../../../lazyload/learn/metric-key.ts'
import type { KubeObject } from '../../../runtime/object.ts'
import { collectionPath, objectPath, refOf } from '../../../runtime/resource.ts'
import type { Send } from '../../harness/bare-client.ts'
import { fence } from './objects.ts'

export function createOf(object: KubeObject): Send {
  const path = `${collectionPath(SERVICE_FENCE, object.metadata.namespace)}?fieldManager=${FIELD_MANAGER}`
  return { method: 'POST', path, type: 'application/json', body: JSON.stringify(object) }
}

/** Stores a host that the fence has learned. */
export function learnedHost(namespace: string, name: string, host: string): Send {
  return statusPatch(namespace, name, { metricStatus: { [keyOfHost(host)]: '1' } })
}

/** The Sidecar of a fence with these hosts; `uid` is the fence's. */
export function sidecarApply(namespace: string, name: string, uid: string, hosts: readonly string[]): Send {
  const { apiVersion, kind } = SERVICE_FENCE
  const sidecar: KubeObject = {
    apiVersion: SIDECAR.apiVersion,
    kind: SIDECAR.kind,
    metadata: { name, namespace, ownerReferences: [{ apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }] },
    spec: { egress: [{ hosts: [...hosts, 'istio-system/*', 'mesh-operator/*'] }], workloadSelector: { labels: { app: name } } },
  }
  const path = `${objectPath(refOf(SIDECAR, sidecar))}?fieldManager=${FIELD_MANAGER}&force=true`
  return { method: 'PATCH', path, type: 'application/apply-patch+yaml', body: JSON.stringify(sidecar) }
}

/** What a fence without dependencies says about itself. */
export function readyStatus(namespace: string, name: string): Send {
  const conditions = ['Ready', 'Accepted', 'Learning'].map((type) => ({
    type,
    status: 'True',
    reason: type,
    message: 'As the controller would say it, in some words.',
    observedGeneration: 1,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  }))
  return statusPatch(namespace, name, { observedGeneration: 1, conditions, hosts: 0, domains: {} })
}

function statusPatch(namespace: string, name: string, status: unknown): Send {
  const path = `${objectPath(refOf(SERVICE_FENCE, fence(namespace, name)), 'status')}?fieldManager=${FIELD_MANAGER}`
  return { method: 'PATCH', path, type: 'application/merge-patch+json', body: JSON.stringify({ status }) }
}
