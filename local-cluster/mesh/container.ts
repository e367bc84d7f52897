/** One container of a pod as a process: started again when it ends, probed as its spec says. */
import { chmodSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Part } from '../supervise.ts'
import type { NetworkPod } from './network.ts'
import { commandOf, type Container, environmentOf, type Image, type Pod, type Probe } from './pod.ts'
import type { Root } from './root.ts'

const POLL_MS = 25
/** What a container engine sets. */
const BASE = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/' }
/** The kubelet's crash loop back-off is 10 s to 5 min; a test has less time. */
const BACKOFF_MS = [0, 500, 1000, 2000, 5000]

/** Answers whether the pod answers 2xx or 3xx. */
export type Get = (
  port: number,
  path: string,
  options: { readonly headers: Readonly<Record<string, string>>; readonly timeoutMs: number },
) => Promise<boolean>

export interface ContainerOptions {
  readonly pod: Pod
  readonly container: Container
  readonly image: Image
  readonly root: Root
  readonly place: Pick<NetworkPod, 'start' | 'run'>
  readonly get: Get
  /** Something that status shows has changed. */
  readonly changed: () => void
}

type StartOptions = Omit<ContainerOptions, 'get' | 'changed'>

export interface RunningContainer {
  /** For `status.containerStatuses`. */
  readonly status: () => object
  readonly ready: () => boolean
  readonly logFile: () => string | undefined
  /** While it runs. */
  readonly pid: () => number | undefined
  /** Resolves when it has started as its startup probe sees it. */
  readonly started: Promise<void>
  readonly preStop: () => Promise<void>
  /** SIGTERM, and SIGKILL when it takes longer than `graceMs`. */
  readonly stop: (graceMs: number) => Promise<void>
}

/** Starts it and keeps it running. */
export function startContainer(options: ContainerOptions): RunningContainer {
  const { container, place, get, changed } = options
  const ending = new AbortController()
  const started = Promise.withResolvers<void>()
  let part: Part | undefined
  let restarts = -1
  let up = false
  let ready = false
  const show = (next: { readonly up?: boolean; readonly ready?: boolean }): void => {
    if ((next.up ?? up) === up && (next.ready ?? ready) === ready) return
    up = next.up ?? up
    ready = next.ready ?? ready
    if (up) started.resolve()
    changed()
  }

  const running = (async () => {
    while (!ending.signal.aborted) {
      await sleep(BACKOFF_MS[Math.min(++restarts, BACKOFF_MS.length - 1)], undefined, { signal: ending.signal }).catch(() => undefined)
      if (ending.signal.aborted) return
      part = startProcess(options)
      changed()
      const ended = new AbortController()
      const probing = probe(AbortSignal.any([ended.signal, ending.signal]))
      await untilEnded(part)
      ended.abort()
      await probing
      show({ up: false, ready: false })
    }
  })()

  async function probe(signal: AbortSignal): Promise<void> {
    const { startupProbe, readinessProbe, livenessProbe } = container
    if (startupProbe !== undefined) for await (const good of results(startupProbe, signal)) if (good) break
    if (signal.aborted) return
    show({ up: true, ready: readinessProbe === undefined })
    await Promise.all([
      judge(readinessProbe, signal, (good) => show({ ready: good })),
      judge(livenessProbe, signal, (good) => void (good || part?.stop('SIGTERM'))),
    ])
  }

  /** Tells of every success, and of failures from the threshold on. */
  async function judge(spec: Probe | undefined, signal: AbortSignal, tell: (good: boolean) => void): Promise<void> {
    if (spec === undefined) return
    let failures = 0
    for await (const good of results(spec, signal)) {
      failures = good ? 0 : failures + 1
      if (good || failures >= (spec.failureThreshold ?? 3)) tell(good)
    }
  }

  async function* results(spec: Probe, signal: AbortSignal): AsyncGenerator<boolean> {
    const wait = async (seconds: number): Promise<unknown> => await sleep(seconds * 1000, undefined, { signal }).catch(() => undefined)
    await wait(spec.initialDelaySeconds ?? 0)
    while (!signal.aborted) {
      yield await succeeds(spec)
      await wait(spec.periodSeconds ?? 10)
    }
  }

  async function succeeds({ httpGet, timeoutSeconds = 1 }: Probe): Promise<boolean> {
    if (httpGet === undefined) throw new Error(`container ${container.name}: only httpGet probes are known here`)
    const headers = Object.fromEntries((httpGet.httpHeaders ?? []).map(({ name, value }) => [name, value]))
    return await get(portOf(container, httpGet.port), httpGet.path ?? '/', { headers, timeoutMs: timeoutSeconds * 1000 })
  }

  return {
    status: () => ({
      name: container.name,
      image: container.image,
      imageID: '',
      restartCount: Math.max(0, restarts),
      started: up,
      ready,
      state: part === undefined ? { waiting: { reason: 'ContainerCreating' } } : stateOf(part),
    }),
    ready: () => ready,
    logFile: () => part?.logFile,
    pid: () => (part?.ended() === undefined ? part?.pid : undefined),
    started: started.promise,
    preStop: async () => {
      const command = container.lifecycle?.preStop?.exec?.command
      if (command === undefined) return
      const [file, ...args] = commandIn(options, command)
      await place.run(file, args).catch(() => undefined)
    },
    stop: async (graceMs) => {
      ending.abort()
      const timer = setTimeout(() => void part?.stop('SIGKILL'), graceMs)
      await part?.stop('SIGTERM')
      await running
      clearTimeout(timer)
    },
  }
}

/** Runs an init container to its end; throws when that is not a good one. */
export async function runToEnd(options: ContainerOptions): Promise<Part> {
  const part = startProcess(options)
  await untilEnded(part)
  if (part.ended() !== 'exit code 0') throw new Error(`container ${options.container.name}: ${part.ended()}`)
  return part
}

function startProcess(options: StartOptions): Part {
  const { pod, container, image, place } = options
  const [file, ...args] = commandIn(options, commandOf(container, image, environmentOf(pod, container)))
  const part = place.start(container.name, file, args)
  // A program that opens /dev/stdout opens this file anew, as its own user.
  chmodSync(part.logFile, 0o666)
  return part
}

function commandIn({ pod, container, image, root }: StartOptions, command: readonly string[]): readonly [string, ...string[]] {
  const { runAsUser, runAsGroup, fsGroup } = { ...pod.spec.securityContext, ...container.securityContext }
  const uid = runAsUser ?? image.uid ?? 0
  return root.command(command, {
    user: { uid, gid: runAsGroup ?? uid, group: fsGroup },
    environment: { ...BASE, ...environmentOf(pod, container) },
  })
}

function stateOf(part: Part): object {
  const end = part.ended()
  if (end === undefined) return { running: {} }
  return { terminated: { exitCode: Number(/^exit code (\d+)$/.exec(end)?.[1] ?? 137), reason: end } }
}

async function untilEnded(part: Part): Promise<void> {
  while (part.ended() === undefined) await sleep(POLL_MS)
}

function portOf({ ports = [] }: Container, port: number | string): number {
  if (typeof port === 'number') return port
  const named = ports.find(({ name }) => name === port)
  return named?.containerPort ?? Number(port)
}
