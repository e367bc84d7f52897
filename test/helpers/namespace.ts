/** Namespaces that no other test uses. */
import { randomBytes } from 'node:crypto'
import type { ClusterAccess } from '../../local-cluster/access.ts'

/** Creates a namespace with a random name that starts with `prefix`, and returns the name. It goes with the cluster. */
export async function createNamespace(
  cluster: Pick<ClusterAccess, 'request'>,
  prefix = 'test',
  labels: Readonly<Record<string, string>> = {},
): Promise<string> {
  const name = `${prefix}-${randomBytes(4).toString('hex')}`
  const { status, body } = await cluster.request('POST', '/api/v1/namespaces', {
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
  })
  if (status !== 201) throw new Error(`Namespace/${name}: create refused: ${body.message ?? status}`)
  return name
}
