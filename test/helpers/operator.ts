/** The operator as users run it: `slimeboot run` as a process of its own, for tests. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ClusterAccess } from '../../local-cluster/access.ts'

const MAIN = join(import.meta.dirname, '../../operator/cli/main.ts')
const LOG_LINES = 40

export interface OperatorOptions {
  /** Serve only SlimeBoots of these namespaces, so that tests can share a cluster. */
  readonly watchNamespaces: readonly string[]
  /** Name in the audit log (default: made of the namespaces). It is an administrator unless `groups` says otherwise. */
  readonly user?: string
  readonly groups?: readonly string[]
  /** Further arguments of `slimeboot run`. */
  readonly args?: readonly string[]
  /** Whose kubeconfig it gets: a proxy's, or else the cluster's. */
  readonly through?: Pick<ClusterAccess, 'kubeconfigFor'>
}

export interface Operator extends AsyncDisposable {
  /** Who it is in the audit log. */
  readonly user: string
  /** The last lines that it logged. */
  readonly log: () => string
  readonly pid: number
  /** SIGTERM; fails when it does not end by itself with exit code 0. */
  readonly stop: () => Promise<void>
  /** SIGKILL. */
  readonly kill: () => Promise<void>
}

/** Starts it; resolves when its watches are open. */
export async function startOperator(cluster: Pick<ClusterAccess, 'kubeconfigFor'>, options: OperatorOptions): Promise<Operator> {
  const {
    watchNamespaces,
    user = `operator-${watchNamespaces.join('-')}`,
    groups = ['system:masters'],
    args = [],
    through = cluster,
  } = options
  const kubeconfig = through.kubeconfigFor({ name: user, groups })
  const flags = [
    '--kubeconfig',
    kubeconfig,
    '--watch-namespaces',
    watchNamespaces.join(','),
    '--mesh-settle',
    '300ms',
    '--log-format',
    'text',
  ]
  const child = spawn(process.execPath, [MAIN, 'run', ...flags, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const lines: string[] = []
  const log = (): string => `The operator's last lines:\n${lines.slice(-LOG_LINES).join('\n')}`
  const watching = new Promise<void>((resolve) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line)
      if (/ info +watching/.test(line)) resolve()
    })
  })
  // a test that fails before it stops the operator must not leave it behind
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.removeListener('exit', kill))

  async function stop(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const timer = setTimeout(kill, 15_000)
    child.kill('SIGTERM')
    const [code, signal] = await exited
    clearTimeout(timer)
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `the operator did not end cleanly. ${log()}`)
  }

  await Promise.race([watching, exited.then(([code]) => Promise.reject(new Error(`the operator ended with exit code ${code}. ${log()}`)))])
  return {
    user,
    log,
    pid: child.pid ?? -1,
    stop,
    kill: async () => {
      kill()
      await exited
    },
    [Symbol.asyncDispose]: stop,
  }
}
