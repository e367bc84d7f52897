/** A client for the commands that look at a cluster. */
import { Option } from 'commander'
import { type Client, createClient } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { createTransport } from '../../runtime/transport.ts'
import { MANAGED_TYPES } from '../api/kinds.ts'
import { OWNER_LABEL } from '../api/slimeboot.ts'
import { VERSION } from '../version.ts'

export const kubeconfigOption = (): Option => new Option('--kubeconfig <path>', 'kubeconfig file; else ~/.kube/config').env('KUBECONFIG')

/** Runs `work` with a client of the user's own kubeconfig, and closes its connections. */
export async function withClient<Result>(
  kubeconfig: string | undefined,
  command: string,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const transport = createTransport({ loadConfig: () => loadKubeConfig(kubeconfig), userAgent: `slimeboot/${VERSION} ${command}` })
  try {
    return await work(createClient(transport))
  } finally {
    transport.close()
  }
}

/** Every object with our label, or with one SlimeBoot's; kinds that the server does not know have none. */
export async function listOwned(client: Client, label?: string): Promise<readonly KubeObject[]> {
  const labelSelector = label === undefined ? OWNER_LABEL : `${OWNER_LABEL}=${label}`
  const lists = await Promise.all(
    MANAGED_TYPES.map(async (type) => {
      try {
        return (await client.list(type, { labelSelector })).items
      } catch (error) {
        if (error instanceof ApiError && error.unknownKind) return []
        throw error
      }
    }),
  )
  return lists.flat()
}
