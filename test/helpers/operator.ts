/** The one operator that a test works with. */
import assert from 'node:assert/strict'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { type OperatorProcess, type ProcessOptions, spawnOperator } from './operator-process.ts'

export interface OperatorOptions extends Omit<ProcessOptions, 'user'> {
  /** Name in the audit log (default: made of the namespaces). */
  readonly user?: string
  /** Whose kubeconfig it gets: a proxy's, or else the cluster's. */
  readonly through?: Pick<ClusterAccess, 'kubeconfigFor'>
}

export interface Operator extends OperatorProcess, AsyncDisposable {
  /** SIGTERM; fails when it does not end by itself with exit code 0. */
  readonly stop: () => Promise<void>
  /** SIGKILL. */
  readonly kill: () => Promise<void>
}

/** Starts it; resolves when its watches are open. */
export async function startOperator(cluster: Pick<ClusterAccess, 'kubeconfigFor'>, options: OperatorOptions): Promise<Operator> {
  const { watchNamespaces, user = `operator-${watchNamespaces.join('-')}`, through = cluster, ...rest } = options
  const operator = spawnOperator(through, { ...rest, user, watchNamespaces })
  let ended = false
  void operator.exited.then(() => (ended = true))

  async function stop(): Promise<void> {
    if (ended) return
    const timer = setTimeout(operator.signal, 15_000, 'SIGKILL')
    operator.signal('SIGTERM')
    const code = await operator.exited
    clearTimeout(timer)
    assert.equal(code, 0, `the operator did not end cleanly. ${operator.log()}`)
  }

  try {
    await operator.logs('watching')
  } catch (error) {
    // left behind it would keep the test's process alive
    operator.signal('SIGKILL')
    throw error
  }
  return {
    ...operator,
    stop,
    kill: async () => {
      operator.signal('SIGKILL')
      await operator.exited
    },
    [Symbol.asyncDispose]: stop,
  }
}
