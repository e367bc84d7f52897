/**
 * A pod network without containers: each pod is a network namespace with an address of its own on a bridge, and a Pod object in the
 * API server, so that Services get their EndpointSlices. Pods reach each other and, at the addresses that clusters usually have for
 * them, the API server and a DNS server; nothing else. All of it is inside namespaces of its own and ends with the process that made it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterAccess } from '../access.ts'
import { secret, writePrivate } from '../files.ts'
import { createSupervisor, type Part } from '../supervise.ts'
import { waitReady } from '../wait.ts'
import { takeAddresses } from './addresses.ts'
import { type Agent, startAgent } from './agent.ts'
import { openApiGate } from './api-gate.ts'
import { createBridge } from './bridge.ts'
import { createNames, type Names } from './names.ts'
import type { CommandOptions, NetNamespace } from './net-namespace.ts'
import { createPodObject, type PodOptions, removePodObject, setPodReady } from './pod-object.ts'

/** The ClusterIP of Service default/kubernetes; the API server's certificate is valid for it. */
const API_SERVER = { address: '10.96.0.1', port: 443 }
/** The ClusterIP that Service kube-system/kube-dns usually has. */
const DNS_SERVER = '10.96.0.10'
const GATEWAY = join(import.meta.dirname, 'programs/gateway.ts')

export interface NetworkPod extends AsyncDisposable {
  readonly name: string
  readonly namespace: string
  readonly ip: string
  /** The command line that runs a program inside the pod, for `spawn`. The program ends with the process that starts it. */
  readonly command: NetNamespace['command']
  /** Runs a program to its end: its standard output. Throws an Error when it fails. */
  readonly run: NetNamespace['exec']
  /** Starts a program that runs on; its output is in the log file of the part. It never outlives the network. */
  readonly start: (program: string, file: string, args: readonly string[], options?: CommandOptions) => Part
  /** The application: HTTP calls from the pod, HTTP servers in it. Started when it is asked for. */
  readonly app: () => Agent
  /** A pod that is not ready stays in its EndpointSlices, as not ready. */
  readonly setReady: (ready: boolean) => Promise<void>
  /** Ends its programs, removes the namespace and the Pod object. */
  readonly dispose: () => Promise<void>
}

export interface NetworkPodOptions extends PodOptions {
  /** Full names by which the pods of the network find it: `details.default.svc.cluster.local`, which makes `details` work in its namespace. */
  readonly names?: readonly string[]
}

export interface PodNetwork extends AsyncDisposable {
  /** Folder for files that programs in pods read; gone with the network. */
  readonly dir: string
  readonly createPod: (options: NetworkPodOptions) => Promise<NetworkPod>
  /** Gives a Pod of the cluster (one of kwok's) a namespace with the address that it has already. */
  readonly attachPod: (pod: {
    readonly name: string
    readonly namespace: string
    readonly ip: string
    readonly names?: readonly string[]
  }) => Promise<NetworkPod>
  /** Names that the DNS server of the network gives. */
  readonly addNames: Names['add']
  readonly setNames: Names['set']
  /** Pods have it; this is for those who mount over /etc. */
  readonly resolvConf: Names['resolvConf']
  /** A copy of a kubeconfig of the cluster that works inside pods; its path. */
  readonly kubeconfigInside: (kubeconfig: string) => string
  readonly dispose: () => Promise<void>
}

/** Makes a network for pods of `cluster`. Throws an Error that says what is missing on this machine. */
export async function podNetwork(cluster: Pick<ClusterAccess, 'request' | 'server' | 'dir'>): Promise<PodNetwork> {
  const supervisor = await createSupervisor('slimeboot-pods')
  const names = createNames(supervisor.dir, DNS_SERVER)
  const socket = join(supervisor.dir, 'api-server.sock')
  const living = new Set<NetworkPod>()
  let gate: Disposable | undefined
  const close = async (): Promise<void> => {
    await Promise.all([...living].map(async (pod) => await pod.dispose()))
    gate?.[Symbol.dispose]()
    await supervisor.close()
  }
  try {
    const addresses = takeAddresses(cluster.dir)
    gate = await openApiGate(socket, cluster.server)
    const bridge = await createBridge(supervisor, [API_SERVER.address, DNS_SERVER])
    const gatewayArgs = [GATEWAY, API_SERVER.address, String(API_SERVER.port), socket, DNS_SERVER, names.file]
    const gateway = supervisor.start('gateway', bridge.node.command(process.execPath, gatewayArgs))
    await waitReady('the gateway of the pod network', [gateway], async () => readFileSync(gateway.logFile, 'utf8').includes('listening'))

    async function openPod(
      pod: { readonly name: string; readonly namespace: string; readonly names?: readonly string[] },
      ip: string,
      remove: () => Promise<void>,
    ): Promise<NetworkPod> {
      const id = `${pod.namespace}-${pod.name}-${secret().slice(0, 6)}`
      const space = await bridge.connect(id, ip)
      await space.exec('mount', ['--bind', names.resolvConf(pod.namespace), '/etc/resolv.conf'])
      names.add(ip, pod.names ?? [])
      const parts: Part[] = []
      let agent: Agent | undefined
      const dispose = async (): Promise<void> => {
        if (!living.delete(self)) return
        // the API server may be gone already
        await remove().catch(() => {})
        await agent?.stop()
        await Promise.all(parts.map(async (part) => await part.stop()))
        await space.release()
      }
      const self: NetworkPod = {
        name: pod.name,
        namespace: pod.namespace,
        ip,
        command: space.command,
        run: space.exec,
        start: (program, file, args, options) => {
          const part = supervisor.start(`${id}-${program}`, space.command(file, args, options))
          parts.push(part)
          return part
        },
        app: () => (agent ??= startAgent(space)),
        setReady: async (ready) => await setPodReady(cluster, pod, ip, ready),
        dispose,
        [Symbol.asyncDispose]: dispose,
      }
      living.add(self)
      return self
    }

    return {
      dir: supervisor.dir,
      createPod: async (options) => {
        const ip = addresses.next()
        const pod = await openPod(options, ip, async () => await removePodObject(cluster, options))
        await createPodObject(cluster, options, ip)
        return pod
      },
      attachPod: async (pod) => await openPod(pod, pod.ip, async () => {}),
      addNames: names.add,
      setNames: names.set,
      resolvConf: names.resolvConf,
      kubeconfigInside: (file) => {
        const inside = `https://${API_SERVER.address}:${API_SERVER.port}`
        const copy = join(supervisor.dir, `kubeconfig-${secret()}`)
        writePrivate(copy, readFileSync(file, 'utf8').replaceAll(cluster.server, inside))
        return copy
      },
      dispose: close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
