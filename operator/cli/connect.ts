/** A client for the commands that look at a cluster. */
import { Option } from 'commander'
import { type Client, createClient } from '../../runtime/client.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import { createTransport } from '../../runtime/transport.ts'
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
