/**
 * The kubelet's part that kwok leaves out, for pods that need neither a network of their own nor volumes: for each matching pod one
 * process with the pod's command, arguments and environment, as the pod's ServiceAccount; restarted when it ends, ended when the pod
 * goes. So a test runs a program with exactly the rights that its manifests give it. Whole containers: local-cluster/mesh/kubelet.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { commandOf, type Container, environmentOf, type Pod } from '../../local-cluster/mesh/pod.ts'
import { tokenOf } from '../../local-cluster/mesh/volumes.ts'

/** How the image of a container runs on this machine. */
export interface PodProgram {
  /** ENTRYPOINT and CMD of the image; a pod's `command` and `args` replace them as in a container. */
  readonly entrypoint: readonly string[]
  readonly cmd?: readonly string[]
  /** Turns a command of the container into one that runs here; the first word is the file. */
  readonly commandHere?: (command: readonly string[]) => readonly string[]
  /** Over the pod's own environment: an address of its own for what would clash with other pods of this machine. */
  readonly env?: Readonly<Record<string, string>>
}

export interface PodRunnerOptions {
  readonly cluster: Pick<ClusterAccess, 'request' | 'kubeconfigFor'>
  /** How to run this pod's first container; undefined: not ours. */
  readonly match: (pod: Pod) => PodProgram | undefined
  /** Only pods of this namespace. */
  readonly namespace?: string
}

export interface PodProcess {
  readonly pod: string
  readonly pid: number | undefined
  /** Times that it was started. */
  readonly starts: number
  /** What it wrote, the last thousand lines. */
  readonly log: () => string
  /** For a fault in a test: SIGKILL, SIGSTOP. */
  readonly kill: (signal: NodeJS.Signals) => void
}

export interface PodRunner extends AsyncDisposable {
  /** Those that run now, or wait to be started again, by pod name. */
  readonly processes: () => readonly PodProcess[]
  /** Ends all processes. */
  readonly stop: () => Promise<void>
}

const POLL_MS = 200
const LOG_LINES = 1000
/** The kubelet's crash loop back-off is 10 s to 5 min; a test has less time. */
const BACKOFF_MS = [0, 500, 1000, 2000, 5000]
const DEFAULT_GRACE_SECONDS = 30

/** Runs matching pods until it is stopped. */
export function createPodRunner({ cluster, match, namespace }: PodRunnerOptions): PodRunner {
  const running = new Map<string, ReturnType<typeof runPod>>()
  const ending = new Set<Promise<void>>()
  const stop = new AbortController()
  const path = namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${namespace}/pods`

  async function look(): Promise<void> {
    const { status, body } = await cluster.request('GET', `${path}?resourceVersion=0`, { signal: stop.signal })
    if (status !== 200) return
    const pods = (body.items as readonly Pod[]).filter(
      (pod) => pod.metadata.deletionTimestamp === undefined && pod.status?.phase === 'Running',
    )
    const alive = new Set(pods.map((pod) => pod.metadata.uid))
    for (const pod of pods) {
      if (running.has(pod.metadata.uid)) continue
      const program = match(pod)
      if (program !== undefined) running.set(pod.metadata.uid, runPod(cluster, pod, program))
    }
    for (const [uid, process] of running) {
      if (alive.has(uid)) continue
      running.delete(uid)
      const end = process.stop().finally(() => ending.delete(end))
      ending.add(end)
    }
  }

  const looking = (async () => {
    while (!stop.signal.aborted) {
      await look().catch(() => undefined) // The API server may be down: what runs goes on.
      await sleep(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  })()

  async function stopAll(): Promise<void> {
    stop.abort()
    await looking
    await Promise.all([...ending, ...[...running.values()].map((process) => process.stop())])
    running.clear()
  }

  return {
    processes: () => [...running.values()].map(({ view }) => view).sort((a, b) => (a.pod < b.pod ? -1 : 1)),
    stop: stopAll,
    [Symbol.asyncDispose]: stopAll,
  }
}

function runPod(
  cluster: PodRunnerOptions['cluster'],
  pod: Pod,
  program: PodProgram,
): { readonly view: PodProcess; readonly stop: () => Promise<void> } {
  const lines: string[] = []
  const end = new AbortController()
  let child: ChildProcess | undefined
  let starts = 0
  const killNow = (): void => void child?.kill('SIGKILL')
  process.once('exit', killNow)

  async function startOnce(): Promise<void> {
    const kubeconfig = cluster.kubeconfigFor(await tokenOf(cluster, pod))
    if (end.signal.aborted) return
    const container = containerOf(pod)
    const environment = environmentOf(pod, container)
    const command = commandOf(container, program, environment)
    const [file = '', ...args] = program.commandHere?.(command) ?? command
    // Nothing of this process's environment but what a program needs to start here.
    const env = { PATH: process.env['PATH'], ...environment, KUBECONFIG: kubeconfig, ...program.env }
    child = spawn(file, args, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'] })
    starts++
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line)
        if (lines.length > LOG_LINES) lines.shift()
      })
    }
    const [code, signal] = (await Promise.race([
      once(child, 'exit'),
      once(child, 'error').then(([error]: Error[]) => [error?.message, null]),
    ])) as [unknown, NodeJS.Signals | null]
    lines.push(`-- ended: ${signal ?? `exit code ${String(code)}`}`)
  }

  const done = (async () => {
    for (let round = 0; !end.signal.aborted; round++) {
      await sleep(BACKOFF_MS[Math.min(round, BACKOFF_MS.length - 1)], undefined, { signal: end.signal }).catch(() => undefined)
      if (!end.signal.aborted) await startOnce().catch((error: unknown) => lines.push(`-- not started: ${String(error)}`))
    }
  })()

  return {
    view: {
      pod: pod.metadata.name,
      get pid() {
        return child?.pid
      },
      get starts() {
        return starts
      },
      log: () => lines.join('\n'),
      kill: (signal) => void child?.kill(signal),
    },
    async stop() {
      end.abort()
      child?.kill('SIGTERM')
      const timer = setTimeout(killNow, (pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000)
      await done
      clearTimeout(timer)
      process.removeListener('exit', killNow)
    },
  }
}

function containerOf(pod: Pod): Container {
  const [container] = pod.spec.containers
  if (container === undefined) throw new Error(`Pod/${pod.metadata.name} has no container`)
  return container
}
