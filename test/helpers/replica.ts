/** One of several replicas of the operator: a process with leader election that a test kills, freezes and reads the log of. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ClusterAccess } from '../../local-cluster/access.ts'

const MAIN = join(import.meta.dirname, '../../operator/cli/main.ts')
const TIMEOUT_MS = 60_000

export interface Replica extends AsyncDisposable {
  /** Its pod's name and who it is in the audit log. */
  readonly name: string
  readonly log: () => string
  readonly signal: (signal: NodeJS.Signals) => void
  /** Resolves at the first log line with this message (and, if given, text); fails when the process ends before. */
  readonly logs: (message: string, text?: string) => Promise<string>
  /** Exit code, null after a signal. */
  readonly exited: Promise<number | null>
}

export interface ReplicaOptions {
  readonly name: string
  /** Namespace of the pod, its Lease and the SlimeBoots that it serves. */
  readonly namespace: string
  readonly args?: readonly string[]
  readonly groups?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Starts `slimeboot run` with the environment of a pod. It is killed with the test. */
export function startReplica(cluster: Pick<ClusterAccess, 'kubeconfigFor'>, options: ReplicaOptions): Replica {
  const { name, namespace, args = [], groups = ['system:masters'], env: extra = {} } = options
  const kubeconfig = cluster.kubeconfigFor({ name, groups })
  const flags = [
    '--kubeconfig',
    kubeconfig,
    '--watch-namespaces',
    namespace,
    '--mesh-settle',
    '300ms',
    '--health-address',
    '127.0.0.1:0',
    '--log-format',
    'text',
  ]
  const env = { ...process.env, POD_NAME: name, POD_NAMESPACE: namespace, ...extra }
  const child = spawn(process.execPath, [MAIN, 'run', ...flags, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const lines: string[] = []
  const log = (): string => `Log of ${name}:\n${lines.slice(-40).join('\n')}`
  const heard = new EventTarget()
  createInterface({ input: child.stderr })
    .on('line', (line) => {
      lines.push(line)
      heard.dispatchEvent(new Event('line'))
    })
    .on('close', () => heard.dispatchEvent(new Event('line')))
  const exited = once(child, 'close').then(([code]) => code as number | null)
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)

  return {
    name,
    log,
    exited,
    signal: (signal) => void child.kill(signal),
    async logs(message, text = '') {
      const deadline = AbortSignal.timeout(TIMEOUT_MS)
      for (;;) {
        const found = lines.find(
          (line) =>
            line
              .slice(12)
              .replace(/^ \w+ +/, '')
              .startsWith(message) && line.includes(text),
        )
        if (found !== undefined) return found
        if (deadline.aborted || child.exitCode !== null) throw new Error(`${name} did not log "${message}". ${log()}`)
        await once(heard, 'line', { signal: deadline }).catch(() => {})
      }
    },
    async [Symbol.asyncDispose]() {
      kill()
      await exited
      process.removeListener('exit', kill)
    },
  }
}
