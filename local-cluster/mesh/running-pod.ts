/** A pod that runs: from its address and volumes over its init containers and sidecars to its graceful end. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterAccess } from '../access.ts'
import { type ContainerOptions, type Get, type RunningContainer, runToEnd, startContainer } from './container.ts'
import type { NetworkPod, PodNetwork } from './network.ts'
import type { Container, Image, Pod } from './pod.ts'
import { makeRoot, type Root } from './root.ts'
import { fillVolume } from './volumes.ts'

const RETRY_MS = 200
const HOST_IP = '10.96.0.1'
const MERGE = 'application/merge-patch+json'

export interface KubeletPod {
  readonly namespace: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly ip: string
  /** What a container has written. */
  readonly log: (container: string) => string
  /** Process of a container, while it runs. */
  readonly pid: (container: string) => number | undefined
  /** The place where its containers run. */
  readonly place: NetworkPod
}

export interface PodOptions {
  readonly cluster: Pick<ClusterAccess, 'request'>
  readonly network: PodNetwork
  /** Folder that stands for the root of the node's file system. */
  readonly nodeRoot: string
  /** Its address. */
  readonly ip: string
  /** How an image runs here; undefined: it cannot be pulled. */
  readonly image: (name: string) => Image | undefined
  /** HTTP from the node to an address. */
  readonly get: (ip: string, ...args: Parameters<Get>) => ReturnType<Get>
  /** Called when its status has changed. */
  readonly changed: () => Promise<void>
}

export interface RunningPod {
  readonly view: KubeletPod
  readonly ready: () => boolean
  /** Ends it gracefully. */
  readonly end: (graceMs: number) => Promise<void>
}

/** Starts it; `cluster` is told how it goes. */
export function startPod(scheduled: Pod, { cluster, network, nodeRoot, ip, image, get: getFrom, changed }: PodOptions): RunningPod {
  const { namespace, name, uid, labels = {} } = scheduled.metadata
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`
  const pod: Pod = { ...scheduled, status: { ...scheduled.status, podIP: ip } }
  const folder = join(network.dir, `pod-${uid}`)
  const inits: RunningContainer[] = []
  const mains: RunningContainer[] = []
  const initStatuses: (() => object)[] = []
  const over = new AbortController()
  let place: NetworkPod | undefined
  let reporting = Promise.resolve()
  let problem: string | undefined
  let shown = ''

  const ready = (): boolean => mains.length === pod.spec.containers.length && [...inits, ...mains].every((each) => each.ready())

  /** Writes what is so now, unless that is what was written last. Where the API server is down the next change tells it. */
  const report = (): void => {
    reporting = reporting.then(async () => await writeStatus().catch(() => undefined))
  }
  async function writeStatus(): Promise<void> {
    const status = statusOf()
    const text = JSON.stringify(status)
    if (text === shown || over.signal.aborted) return
    await cluster.request('PATCH', `${path}/status`, { body: { status }, contentType: MERGE })
    shown = text
    await changed()
  }
  function statusOf(): object {
    const condition = (type: string, value: boolean): object => ({ type, status: value ? 'True' : 'False' })
    const waiting = { waiting: { reason: problem === undefined ? 'PodInitializing' : 'CreateContainerError', message: problem } }
    return {
      phase: mains.length > 0 ? 'Running' : 'Pending',
      podIP: ip,
      podIPs: [{ ip }],
      hostIP: HOST_IP,
      hostIPs: [{ ip: HOST_IP }],
      conditions: [
        condition('PodScheduled', true),
        condition('Initialized', mains.length > 0),
        condition('ContainersReady', ready()),
        condition('Ready', ready()),
      ],
      initContainerStatuses: initStatuses.map((each) => each()),
      containerStatuses:
        mains.length > 0
          ? mains.map((each) => each.status())
          : pod.spec.containers.map((each) => ({
              name: each.name,
              image: each.image,
              imageID: '',
              ready: false,
              restartCount: 0,
              state: waiting,
            })),
    }
  }

  async function run(): Promise<void> {
    mkdirSync(folder, { recursive: true })
    place = await network.attachPod({ name, namespace, ip })
    report()
    const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
    const images = new Map(all.map((each) => [each, imageOf(each)]))
    const volumes = new Map<string, string>()
    const folders = { pod: join(folder, 'volumes'), node: nodeRoot }
    for (const volume of pod.spec.volumes ?? []) volumes.set(volume.name, await fillVolume(cluster, pod, volume, folders))
    const roots = new Map<Container, Root>()
    for (const [container, its] of images)
      roots.set(container, makeRoot({ container, image: its, volumes, folder: join(folder, container.name) }))
    for (const { name: key, value } of pod.spec.securityContext?.sysctls ?? [])
      await place.run('sh', ['-c', `echo "${value}" > /proc/sys/${key.replaceAll('.', '/')}`])
    await changed()
    const here = place
    const optionsFor = (container: Container): ContainerOptions => ({
      pod,
      container,
      image: images.get(container)!,
      root: roots.get(container)!,
      place: here,
      get: async (...args) => await getFrom(ip, ...args),
      changed: report,
    })
    for (const container of pod.spec.initContainers ?? []) {
      if (over.signal.aborted) return
      if (container.restartPolicy === 'Always') {
        const sidecar = startContainer(optionsFor(container))
        inits.push(sidecar)
        initStatuses.push(sidecar.status)
        await Promise.race([sidecar.started, aborted(over.signal)])
      } else {
        await runToEnd(optionsFor(container))
        initStatuses.push(() => ({
          name: container.name,
          image: container.image,
          imageID: '',
          ready: true,
          restartCount: 0,
          state: { terminated: { exitCode: 0, reason: 'Completed' } },
        }))
      }
    }
    if (!over.signal.aborted) mains.push(...pod.spec.containers.map((each) => startContainer(optionsFor(each))))
    report()
  }

  /** Again until it goes: a ConfigMap may come later. */
  const running = (async () => {
    while (!over.signal.aborted) {
      try {
        return await run()
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error)
        report()
        await place?.dispose()
        await sleep(RETRY_MS)
      }
    }
  })()

  return {
    view: {
      namespace,
      name,
      labels,
      ip,
      log: (container) => {
        const file = runningOf(container)?.logFile()
        return file === undefined ? '' : readFileSync(file, 'utf8')
      },
      pid: (container) => runningOf(container)?.pid(),
      get place() {
        if (place === undefined) throw new Error(`Pod/${namespace}/${name} does not run yet`)
        return place
      },
    },
    ready,
    end: async (graceMs) => {
      over.abort()
      await running
      const deadline = performance.now() + graceMs
      const left = (): number => Math.max(0, deadline - performance.now())
      await Promise.all([...mains, ...inits].map(async (each) => await each.preStop()))
      await Promise.all(mains.map(async (each) => await each.stop(left())))
      for (const sidecar of inits.toReversed()) await sidecar.stop(left())
      await place?.dispose()
    },
  }

  function runningOf(container: string): RunningContainer | undefined {
    const names = [...(pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always'), ...pod.spec.containers]
    return [...inits, ...mains][names.findIndex((each) => each.name === container)]
  }

  function imageOf(container: Container): Image {
    const found = image(container.image)
    if (found === undefined) throw new Error(`image ${container.image} cannot be run here`)
    return found
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
