/** A bridge inside a network namespace of its own, and the pods that hang on it. */
import type { Supervisor } from '../supervise.ts'
import { createChildNamespace, createNamespace, type NetNamespace } from './net-namespace.ts'

const BRIDGE = 'pods'
/** By itself a bridge takes the lowest address of its ports: with each new pod that may change, and pods would send to the old one for seconds. */
const MAC = '02:00:00:00:00:01'

export interface Bridge {
  /** Where the bridge is: the node's side. */
  readonly node: NetNamespace
  /** Makes a namespace with the address `ip` on the bridge. It reaches every other address over the bridge. */
  readonly connect: (id: string, ip: string) => Promise<NetNamespace>
}

/** Makes the bridge with these addresses, which all pods reach. */
export async function createBridge(supervisor: Supervisor, addresses: readonly string[]): Promise<Bridge> {
  const node = await createNamespace(supervisor, 'network')
  const ip = async (where: NetNamespace, ...args: readonly string[]): Promise<unknown> => await where.exec('ip', args)
  await ip(node, 'link', 'add', BRIDGE, 'address', MAC, 'type', 'bridge')
  for (const address of addresses) await ip(node, 'addr', 'add', `${address}/32`, 'dev', BRIDGE)
  await ip(node, 'link', 'set', BRIDGE, 'up')
  await ip(node, 'route', 'add', 'default', 'dev', BRIDGE)
  let pods = 0
  return {
    node,
    connect: async (id, address) => {
      const pod = await createChildNamespace(supervisor, `${id}-namespace`, node)
      const link = `pod${++pods}`
      await ip(node, 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pod.pid))
      await ip(node, 'link', 'set', link, 'master', BRIDGE, 'up')
      await ip(pod, 'addr', 'add', `${address}/32`, 'dev', 'eth0')
      await ip(pod, 'link', 'set', 'eth0', 'up')
      await ip(pod, 'route', 'add', 'default', 'dev', 'eth0', 'src', address)
      return pod
    },
  }
}
