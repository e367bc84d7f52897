/** One of several replicas of the operator: a process with the environment of a pod, so with leader election, that a test kills and freezes. */
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { type OperatorProcess, spawnOperator } from './operator-process.ts'

export type Replica = OperatorProcess & AsyncDisposable

export interface ReplicaOptions {
  /** Name of its pod and its user. */
  readonly name: string
  /** Namespace of the pod, its Lease and the SlimeBoots that it serves. */
  readonly namespace: string
  readonly args?: readonly string[]
  readonly groups?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export function startReplica(through: Pick<ClusterAccess, 'kubeconfigFor'>, options: ReplicaOptions): Replica {
  const { name, namespace, args, groups, env } = options
  const replica = spawnOperator(through, {
    user: name,
    groups,
    watchNamespaces: [namespace],
    args,
    env: { POD_NAME: name, POD_NAMESPACE: namespace, ...env },
  })
  return {
    ...replica,
    async [Symbol.asyncDispose]() {
      replica.signal('SIGKILL')
      await replica.exited
    },
  }
}
