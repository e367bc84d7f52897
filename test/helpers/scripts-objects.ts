/** Objects that tests of the scripts make and look at. */
import assert from 'node:assert/strict'
import type { ClusterAccess } from '../../local-cluster/access.ts'

const FENCES = '/apis/microservice.slime.io/v1alpha1/namespaces/default/servicefences'

/** A ServiceFence of namespace default, and the Sidecar that the lazyload controller makes of it (spec 2.1). */
export async function createFence({ request }: Pick<ClusterAccess, 'request'>, name: string): Promise<void> {
  const { status, body } = await request('POST', FENCES, {
    body: {
      apiVersion: 'microservice.slime.io/v1alpha1',
      kind: 'ServiceFence',
      metadata: { name, labels: { team: 'a' } },
      spec: { enable: true, host: { status: { stable: {} } } },
    },
  })
  assert.equal(status, 201, JSON.stringify(body))
  const { apiVersion, kind, metadata } = body
  const sidecar = await request('POST', '/apis/networking.istio.io/v1beta1/namespaces/default/sidecars', {
    body: {
      apiVersion: 'networking.istio.io/v1beta1',
      kind: 'Sidecar',
      metadata: { name, ownerReferences: [{ apiVersion, kind, name, uid: metadata.uid, controller: true, blockOwnerDeletion: true }] },
      spec: { workloadSelector: { labels: { app: name } }, egress: [{ hosts: ['istio-system/*', 'mesh-operator/*'] }] },
    },
  })
  assert.equal(sidecar.status, 201, JSON.stringify(sidecar.body))
}

/** Name and generation of each Deployment: a generation changes with its spec. */
export async function deploymentVersions({ request }: Pick<ClusterAccess, 'request'>): Promise<readonly string[]> {
  const { body } = await request('GET', '/apis/apps/v1/deployments')
  return (body.items as readonly { metadata: { namespace: string; name: string; generation: number } }[])
    .map(({ metadata: { namespace, name, generation } }) => `${namespace}/${name} ${generation}`)
    .sort()
}
