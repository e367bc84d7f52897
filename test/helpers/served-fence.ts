/** A fence that lazyload serves, without a lazyload: its status and its Sidecar as that leaves them. */
import { FIELD_MANAGER as LAZYLOAD, SERVICE_FENCE, SIDECAR } from '../../lazyload/kinds.ts'
import type { Client } from '../../runtime/client.ts'
import { createFence } from './lazyload.ts'

const CONDITIONS = ['Ready', 'Accepted', 'Learning'].map((type) => ({
  type,
  status: 'True',
  reason: type === 'Ready' ? 'SidecarApplied' : type,
  message: 'as lazyload says it',
  lastTransitionTime: '2026-01-01T00:00:00Z',
}))
export const LEARNED = { '{destination_service="details.shop.svc.cluster.local"}': '1' }

/** A fence with its Sidecar as a lazyload leaves them: written in its name, owned by the fence. */
export async function createServedFence(client: Client, namespace: string, name: string, revision = ''): Promise<void> {
  const labels = revision === '' ? {} : { 'istio.io/rev': revision }
  const { apiVersion, kind, metadata } = await createFence(client, namespace, name, { enable: true }, labels)
  const status = { conditions: CONDITIONS, metricStatus: LEARNED }
  await client.mergePatch({ type: SERVICE_FENCE, namespace, name }, { status }, LAZYLOAD, 'status')
  const ownerReferences = [{ apiVersion, kind, name, uid: metadata.uid ?? '', controller: true, blockOwnerDeletion: true }]
  await client.create(
    SIDECAR,
    {
      apiVersion: SIDECAR.apiVersion,
      kind: SIDECAR.kind,
      metadata: { name, namespace, labels, ownerReferences },
      spec: { egress: [{ hosts: ['istio-system/*'] }], workloadSelector: { labels: { app: name } } },
    },
    LAZYLOAD,
  )
}
