/**
 * The kubelet of the local cluster's only node, without a container engine: a pod is a network namespace with an address of its own, a
 * file system with its volumes, and a process for each of its containers. It knows what the pods of a mesh need: init containers and
 * sidecars, ConfigMaps, tokens and the downward API, probes, a graceful end. Names of Services lead to their ready pods: no kube-proxy.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterAccess } from '../access.ts'
import { createNode, NODE_NAME } from '../node.ts'
import { kubernetesVersion } from '../versions.ts'
import { takeAddresses } from './addresses.ts'
import type { PodNetwork } from './network.ts'
import type { Image, Pod } from './pod.ts'
import { type KubeletPod, type PodOptions, type RunningPod, startPod } from './running-pod.ts'

const POLL_MS = 100
const MERGE = 'application/merge-patch+json'

export interface KubeletOptions {
  readonly cluster: Pick<ClusterAccess, 'request' | 'dir'>
  readonly network: PodNetwork
  /** How an image runs here; undefined: it cannot be pulled. */
  readonly image: (name: string) => Image | undefined
}

export interface Kubelet extends AsyncDisposable {
  /** Pods that have an address. */
  readonly pods: () => readonly KubeletPod[]
  /** Folder that stands for the root of the node's file system; volumes with hostPath are in it. */
  readonly nodeRoot: string
  /** Ends all pods at once and looks at no others. */
  readonly stop: () => Promise<void>
}

/** Creates the node and runs its pods until it is stopped. */
export async function startKubelet({ cluster, network, image }: KubeletOptions): Promise<Kubelet> {
  const { request } = cluster
  const addresses = takeAddresses(cluster.dir)
  const nodeRoot = join(network.dir, 'node-root')
  const node = await network.attachPod({ name: 'node', namespace: 'kube-system', ip: addresses.next() })
  const prober = node.app()
  const stop = new AbortController()
  const works = new Map<string, RunningPod>()
  const ending = new Set<string>()
  await createNode(request)
  const nodeInfo = { kubeletVersion: kubernetesVersion() }
  const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: new Date().toISOString() }]
  await request('PATCH', `/api/v1/nodes/${NODE_NAME}/status`, { body: { status: { conditions, nodeInfo } }, contentType: MERGE })

  const get: PodOptions['get'] = async (ip, port, path, { headers, timeoutMs }) => {
    const answer = await prober.call(`http://${ip}:${port}${path}`, { headers, timeoutMs }).catch(() => undefined)
    return answer !== undefined && answer.status >= 200 && answer.status < 400
  }

  async function look(): Promise<void> {
    const { status, body } = await request('GET', `/api/v1/pods?fieldSelector=spec.nodeName=${NODE_NAME}`)
    if (status !== 200) return
    const pods = body.items as readonly Pod[]
    for (const pod of pods) {
      const { uid, deletionTimestamp, deletionGracePeriodSeconds = 30 } = pod.metadata
      const work = works.get(uid)
      if (work === undefined && deletionTimestamp === undefined)
        works.set(uid, startPod(pod, { cluster, network, nodeRoot, image, get, ip: addresses.next(), changed: writeNames }))
      else if (deletionTimestamp !== undefined && !ending.has(uid)) {
        ending.add(uid)
        void endPod(pod, work, deletionGracePeriodSeconds * 1000)
      }
    }
    const present = new Set(pods.map(({ metadata }) => metadata.uid))
    for (const [uid, work] of works) {
      if (present.has(uid) || ending.has(uid)) continue
      ending.add(uid)
      void work.end(0).then(() => works.delete(uid))
    }
  }

  async function endPod(pod: Pod, work: RunningPod | undefined, graceMs: number): Promise<void> {
    const { namespace, name, uid } = pod.metadata
    await work?.end(graceMs)
    works.delete(uid)
    await request('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, {
      body: { gracePeriodSeconds: 0, preconditions: { uid } },
    })
    await writeNames()
  }

  /** What DNS would say: each Service by the addresses of its ready pods. */
  async function writeNames(): Promise<void> {
    const { status, body } = await request('GET', '/api/v1/services')
    if (status !== 200) return
    const services = (body.items as readonly Service[]).filter(({ spec }) => spec.selector !== undefined)
    const names = services.flatMap(({ metadata, spec }) => {
      const selected = [...works.values()].filter(
        ({ view }) =>
          view.namespace === metadata.namespace && Object.entries(spec.selector ?? {}).every(([key, value]) => view.labels[key] === value),
      )
      const ready = selected.filter((work) => work.ready())
      return (ready.length > 0 ? ready : selected).map(({ view }) => ({
        name: `${metadata.name}.${metadata.namespace}.svc.cluster.local`,
        ip: view.ip,
      }))
    })
    network.setNames(names)
  }

  const looking = (async () => {
    while (!stop.signal.aborted) {
      await look().catch(() => undefined) // The API server may be down: what runs goes on.
      await sleep(POLL_MS)
    }
  })()
  const stopAll = async (): Promise<void> => {
    stop.abort()
    await looking
    await Promise.all([...works.values()].map(async (work) => await work.end(0)))
  }
  return { pods: () => [...works.values()].map(({ view }) => view), nodeRoot, stop: stopAll, [Symbol.asyncDispose]: stopAll }
}

interface Service {
  readonly metadata: { readonly namespace: string; readonly name: string }
  readonly spec: { readonly selector?: Readonly<Record<string, string>> }
}
