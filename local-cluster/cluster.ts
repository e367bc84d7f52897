/**
 * A Kubernetes control plane on this machine: real etcd and kube-apiserver, and on request kube-controller-manager, kube-scheduler
 * and kwok, which plays a node whose pods become Ready. Each cluster has its own temporary folder and port; several run side by side.
 */
import { openCluster, type ClusterAccess, type ClusterDescription } from './access.ts'
import { BASE_PROGRAMS, CONTROLLER_PROGRAMS, findBinaries, kwokStages, type Program } from './binaries.ts'
import { clusterFiles, secret, writeClusterFiles, writePrivate } from './files.ts'
import { createNode, nodeIsReady } from './node.ts'
import { apiServerArgs, controllerManagerArgs, etcdArgs, kwokArgs, schedulerArgs } from './parts.ts'
import { freePort } from './ports.ts'
import { startProgress } from './setup/progress.mjs'
import { createSupervisor, type Command, type Part } from './supervise.ts'
import { startTokenWebhook } from './users.ts'
import { waitReady } from './wait.ts'

/** A start usually takes less than this; whoever starts a cluster says so itself when it wants to. */
const QUIET_MS = 5000

export interface ClusterOptions {
  /** Keep an audit log (default true; it costs next to nothing). */
  readonly audit?: boolean
  /** Also start controller-manager, scheduler, kwok and one node (default true). Without them no pod runs and no namespace finishes terminating. */
  readonly controllers?: boolean
  /**
   * Who runs pods: kwok plays that they do (default), or nobody, so that somebody else can (mesh/kubelet.ts). Then there is no node
   * either, and the API server reaches pods through an HTTP CONNECT proxy on the socket `<dir>/pods.sock`.
   */
  readonly pods?: 'kwok' | 'nobody'
  /** A word for the folder's name, for people who look into the temporary folder. */
  readonly name?: string
  /** Further flags of kube-apiserver. */
  readonly apiServerArgs?: readonly string[]
}

export interface Cluster extends ClusterAccess, AsyncDisposable {
  /** Ends one part (SIGKILL unless told otherwise) and waits until it is gone: a fault, for tests. */
  readonly stopPart: (name: Program, signal?: NodeJS.Signals) => Promise<void>
  /** Starts an ended part again with the same data and address; resolves when the API server is ready (all parts but etcd). */
  readonly startPart: (name: Program) => Promise<void>
  /** Sends a signal to a running part: SIGSTOP makes one that hangs, SIGCONT lets it go on. */
  readonly signalPart: (name: Program, signal: NodeJS.Signals) => void
  /** Starts another program, its log in the cluster's folder. It never outlives the cluster. */
  readonly supervise: (name: string, command: Command) => Part
  /** Ends the cluster and removes its folder. */
  readonly stop: () => Promise<void>
}

/** Starts a cluster; resolves when its API server is ready and, with controllers, its node is too. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { audit = true, controllers = true, pods = 'kwok', name = 'cluster', apiServerArgs: extra = [] } = options
  const controllerPrograms = CONTROLLER_PROGRAMS.filter((program) => controllers && (program !== 'kwok' || pods === 'kwok'))
  const binaries = await findBinaries([...BASE_PROGRAMS, ...controllerPrograms])
  const stages = controllers ? await kwokStages() : []
  const supervisor = await createSupervisor(`slimeboot-${name}`)
  const progress = startProgress('Starting the local cluster', { quietMs: QUIET_MS })
  const files = clusterFiles(supervisor.dir)
  const parts = new Map<Program, Part>()
  try {
    const userKey = secret()
    const [port, webhook] = await Promise.all([freePort(), startTokenWebhook(userKey)])
    const server = `https://127.0.0.1:${port}`
    const { adminToken } = writeClusterFiles(files, server, webhook.url)
    writePrivate(files.access, JSON.stringify({ server, adminToken, userKey } satisfies ClusterDescription))
    const access = openCluster(supervisor.dir)
    const args: Record<Program, readonly string[]> = {
      etcd: etcdArgs(files),
      'kube-apiserver': apiServerArgs(files, { port, audit, tunnel: pods === 'nobody', extra }),
      'kube-controller-manager': controllerManagerArgs(files),
      'kube-scheduler': schedulerArgs(files),
      kwok: kwokArgs(files.kwokKubeconfig, stages),
    }

    const start = (part: Program) => void parts.set(part, supervisor.start(part, binaries.command(part, args[part])))
    const apiServerReady = async () => (await access.request('GET', '/readyz')).status === 200
    const wait = async (what: string, probe: () => Promise<boolean>) => {
      progress.update(`waiting for ${what}`)
      await waitReady(what, [...parts.values()], probe)
    }
    BASE_PROGRAMS.forEach(start)
    await wait('kube-apiserver', apiServerReady)
    if (controllers) {
      controllerPrograms.forEach(start)
    }
    if (controllers && pods === 'kwok') {
      await createNode(access.request)
      await wait('the node', async () => await nodeIsReady(access.request))
    }
    progress.stop()

    const partOf = (part: Program): Part => {
      const found = parts.get(part)
      if (found === undefined) throw new Error(`this cluster was started without ${part}`)
      return found
    }
    const stop = async () => {
      webhook.server.close()
      await supervisor.close()
    }
    return {
      ...access,
      stopPart: async (part, signal) => await partOf(part).stop(signal),
      startPart: async (part) => {
        await partOf(part).stop()
        start(part)
        if (part !== 'etcd') await waitReady(part, [partOf(part)], apiServerReady)
      },
      signalPart: (part, signal) => void process.kill(partOf(part).pid, signal),
      supervise: supervisor.start,
      stop,
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    progress.stop()
    await supervisor.close()
    throw error
  }
}
