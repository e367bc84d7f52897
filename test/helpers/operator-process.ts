/** `slimeboot run` as a process of its own, as users run it: what tests of one operator (operator.ts) and of several (replica.ts) share. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ClusterAccess } from '../../local-cluster/access.ts'

const MAIN = join(import.meta.dirname, '../../operator/cli/main.ts')
const LOG_LINES = 40
const TIMEOUT_MS = 120_000

export interface OperatorProcess {
  /** Who it is in the audit log. */
  readonly user: string
  readonly pid: number
  /** The last lines that it logged. */
  readonly log: () => string
  /** Resolves at the first log line with this message (and, if given, text); fails when the process ends before. */
  readonly logs: (message: string, text?: string) => Promise<string>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Exit code, null after a signal. */
  readonly exited: Promise<number | null>
  /** Where it serves /livez, /readyz and /metrics: `http://127.0.0.1:40123`. */
  readonly healthServer: () => Promise<string>
}

export interface ProcessOptions {
  readonly user: string
  readonly groups?: readonly string[] | undefined
  /** Serve only SlimeBoots of these namespaces, so that tests can share a cluster. */
  readonly watchNamespaces: readonly string[]
  /** Further arguments of `slimeboot run`. */
  readonly args?: readonly string[] | undefined
  readonly env?: Readonly<Record<string, string>>
}

/** Starts it, as an administrator unless `groups` says otherwise; it is killed with the test. `through`: whose kubeconfig it gets. */
export function spawnOperator(through: Pick<ClusterAccess, 'kubeconfigFor'>, options: ProcessOptions): OperatorProcess {
  const { user, groups = ['system:masters'], watchNamespaces, args = [], env = {} } = options
  const flags = {
    '--kubeconfig': through.kubeconfigFor({ name: user, groups }),
    '--watch-namespaces': watchNamespaces.join(','),
    '--mesh-settle': '300ms',
    '--health-address': '127.0.0.1:0',
    '--log-format': 'text',
  }
  const child = spawn(process.execPath, [MAIN, 'run', ...Object.entries(flags).flat(), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const lines: string[] = []
  const log = (): string => `The last lines of ${user}:\n${lines.slice(-LOG_LINES).join('\n')}`
  const heard = new EventTarget()
  createInterface({ input: child.stderr })
    .on('line', (line) => {
      lines.push(line)
      heard.dispatchEvent(new Event('line'))
    })
    .on('close', () => heard.dispatchEvent(new Event('line')))
  const exited = once(child, 'close').then(([code]) => code as number | null)
  // a test that fails before it stops the operator must not leave it behind
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.removeListener('exit', kill))

  async function logs(message: string, text = ''): Promise<string> {
    const deadline = AbortSignal.timeout(TIMEOUT_MS)
    for (;;) {
      const found = lines.find((line) => messageIn(line).startsWith(message) && line.includes(text))
      if (found !== undefined) return found
      if (deadline.aborted || child.exitCode !== null || child.signalCode !== null)
        throw new Error(`${user} did not log "${message}". ${log()}`)
      await once(heard, 'line', { signal: deadline }).catch(() => {})
    }
  }

  return {
    user,
    pid: child.pid ?? -1,
    log,
    logs,
    signal: (signal) => void child.kill(signal),
    exited,
    healthServer: async () => `http://127.0.0.1:${/port=(\d+)/.exec(await logs('serving /livez'))?.[1]}`,
  }
}

/** Without time and level: `12:34:56.789 info  watching …`. */
function messageIn(line: string): string {
  return line.slice(12).replace(/^ \w+ +/, '')
}
