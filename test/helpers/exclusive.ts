/** One at a time, over all test processes that share a cluster: for objects whose names are fixed. */
import assert from 'node:assert/strict'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { eventually } from './eventually.ts'

const BINDING = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/istio-pilot-slime'
const PATH = '/api/v1/namespaces/default/configmaps'

/** The pilot's ClusterRoleBinding `istio-pilot-slime` has one name in the whole cluster. */
export async function withPilotNames<Result>(cluster: ClusterAccess, work: () => Promise<Result>): Promise<Result> {
  return await exclusively(cluster, 'test-pilot-names', async () => {
    // a test that failed may have left it
    await cluster.request('DELETE', BINDING)
    return await work()
  })
}

async function exclusively<Result>(cluster: ClusterAccess, name: string, work: () => Promise<Result>): Promise<Result> {
  await eventually(
    async () => assert.equal((await cluster.request('POST', PATH, { body: { metadata: { name } } })).status, 201, `another test holds ConfigMap/default/${name}`),
    { timeout: 120_000, interval: 200 },
  )
  try {
    return await work()
  } finally {
    await cluster.request('DELETE', `${PATH}/${name}`)
  }
}
