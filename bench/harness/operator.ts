/** The operator as it ships: the bundle in a process of its own, with the flags of the image. */
import { SERVED_LABEL, SHARD } from './boots.ts'
import { bundleOf, nodeArgs, type Program, startProgram } from './program.ts'
import type { Who } from './requests.ts'
import type { Stage } from './stage.ts'

export const byOperator: Who = ({ userAgent }) => userAgent.startsWith('slimeboot/')

export interface Operator extends Program {
  /** Milliseconds since 1970 at which it logged that its watches are open. */
  readonly watchingAt: () => Promise<number>
  /** Text of its /metrics. */
  readonly metrics: () => Promise<string>
}

export async function startOperator(
  stage: Stage,
  { kubeconfig = stage.operatorKubeconfig }: { readonly kubeconfig?: string } = {},
): Promise<Operator> {
  const flags = ['--kubeconfig', kubeconfig, '--log-format', 'json', '--mesh-settle', '1s']
  // the floor's SlimeBoots are not served; while it is held still it must not lose the Lease
  const shard = ['--selector', `${SERVED_LABEL.name}=${SERVED_LABEL.value}`, '--leader-elect-name', SHARD]
  const patient = ['--lease-duration', '120s', '--renew-deadline', '100s']
  const program = startProgram(stage, 'operator', {
    file: await bundleOf('slimeboot.mjs'),
    args: ['run', ...flags, ...shard, ...patient],
    env: ['POD_NAME=bench-0', 'POD_NAMESPACE=mesh-operator', 'SLIMEBOOT_HEALTH_ADDRESS=127.0.0.1:0'],
    nodeArgs: nodeArgs(),
  })
  return {
    ...program,
    watchingAt: async () => Date.parse((await program.logged('watching')).timestamp),
    metrics: async () => {
      const { port } = await program.logged('serving /livez, /readyz and /metrics')
      return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    },
  }
}
