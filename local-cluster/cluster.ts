/**
 * A Kubernetes control plane on this machine: real etcd and kube-apiserver, and on request kube-controller-manager, kube-scheduler
 * and kwok, which plays a node whose pods become Ready. Each cluster has its own temporary folder and port; several run side by side.
 */
import { openCluster, type ClusterAccess, type ClusterDescription } from './access.ts'
import { findBinaries, type Binaries } from './binaries.ts'
import { clusterFiles, secret, writeClusterFiles, writePrivate, type ClusterFiles } from './files.ts'
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
  /** A word for the folder's name, for people who look into the temporary folder. */
  readonly name?: string
  /** Further flags of kube-apiserver. */
  readonly apiServerArgs?: readonly string[]
}

const BASE_PARTS = ['etcd', 'kube-apiserver'] as const
const CONTROLLER_PARTS = ['kube-controller-manager', 'kube-scheduler', 'kwok'] as const

export type PartName = (typeof BASE_PARTS)[number] | (typeof CONTROLLER_PARTS)[number]

export interface Cluster extends ClusterAccess, AsyncDisposable {
  /** Ends one part (SIGKILL unless told otherwise) and waits until it is gone: a fault, for tests. */
  readonly stopPart: (name: PartName, signal?: NodeJS.Signals) => Promise<void>
  /** Starts an ended part again with the same data and address; resolves when the API server is ready (all parts but etcd). */
  readonly startPart: (name: PartName) => Promise<void>
  /** Sends a signal to a running part: SIGSTOP makes one that hangs, SIGCONT lets it go on. */
  readonly signalPart: (name: PartName, signal: NodeJS.Signals) => void
  /** Ends the cluster and removes its folder. */
  readonly stop: () => Promise<void>
}

/** Starts a cluster; resolves when its API server is ready and, with controllers, its node is too. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { audit = true, controllers = true, name = 'cluster', apiServerArgs: extra = [] } = options
  const binaries = await findBinaries()
  const supervisor = await createSupervisor(`slimeboot-${name}`)
  const progress = startProgress('Starting the local cluster', { quietMs: QUIET_MS })
  const files = clusterFiles(supervisor.dir)
  const parts = new Map<PartName, Part>()
  try {
    const userKey = secret()
    const [port, webhook] = await Promise.all([freePort(), startTokenWebhook(userKey)])
    const server = `https://127.0.0.1:${port}`
    const { adminToken } = writeClusterFiles(files, server, webhook.url)
    writePrivate(files.access, JSON.stringify({ server, adminToken, userKey } satisfies ClusterDescription))
    const access = openCluster(supervisor.dir)
    const commands = partCommands(binaries, files, apiServerArgs(files, { port, audit, extra }))

    const start = (part: PartName) => void parts.set(part, supervisor.start(part, commands[part]))
    const apiServerReady = async () => (await access.request('GET', '/readyz')).status === 200
    const wait = async (what: string, probe: () => Promise<boolean>) => {
      progress.update(`waiting for ${what}`)
      await waitReady(what, [...parts.values()], probe)
    }
    BASE_PARTS.forEach(start)
    await wait('kube-apiserver', apiServerReady)
    if (controllers) {
      CONTROLLER_PARTS.forEach(start)
      await createNode(access.request)
      await wait('the node', async () => await nodeIsReady(access.request))
    }
    progress.stop()

    const partOf = (part: PartName): Part => {
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
      stop,
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    progress.stop()
    await supervisor.close()
    throw error
  }
}

function partCommands(binaries: Binaries, files: ClusterFiles, apiServer: readonly string[]): Record<PartName, Command> {
  return {
    etcd: binaries.etcd(etcdArgs(files)),
    'kube-apiserver': binaries.apiServer(apiServer),
    'kube-controller-manager': binaries.controllerManager(controllerManagerArgs(files)),
    'kube-scheduler': binaries.scheduler(schedulerArgs(files)),
    kwok: binaries.kwok(kwokArgs(files.kwokKubeconfig, binaries.stages)),
  }
}
