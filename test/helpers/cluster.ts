/** The cluster that all integration tests share. Each test works in namespaces of its own, see namespace.ts. */
import { openCluster, type ClusterAccess } from '../../local-cluster/access.ts'
import { startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'

/** Environment variable by which the test runner passes the folder of its cluster. */
export const SHARED_CLUSTER_VARIABLE = 'SLIMEBOOT_TEST_CLUSTER'

let shared: Promise<ClusterAccess> | undefined

/**
 * The cluster of the test runner, with all parts, CRDs and an audit log. A test file that is run by itself (`node --test FILE`)
 * gets one of its own, which ends with the process.
 */
export async function sharedCluster(): Promise<ClusterAccess> {
  shared ??= openOrStart()
  return await shared
}

async function openOrStart(): Promise<ClusterAccess> {
  const dir = process.env[SHARED_CLUSTER_VARIABLE]
  if (dir !== undefined) return openCluster(dir)
  const cluster = await startCluster({ name: 'test' })
  await installCrds(cluster)
  return cluster
}
