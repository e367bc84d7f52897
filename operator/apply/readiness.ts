/** Readiness: are the applied workloads available. Why they are not say their pods (pod-cause.ts). */
import { objectId, type KubeObject } from '../../runtime/object.ts'

export interface Unready {
  /** `Deployment/mesh-operator/lazyload`. */
  readonly object: string
  /** CamelCase: the container's own reason where one is known (`ImagePullBackOff`). */
  readonly reason: string
  readonly message: string
}

interface DeploymentStatus {
  readonly observedGeneration?: number
  readonly replicas?: number
  readonly updatedReplicas?: number
  readonly availableReplicas?: number
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string; readonly message?: string }[]
}

/** Undefined when the Deployment is rolled out and available, by the rules of `kubectl rollout status`. */
export function unreadyDeployment(deployment: KubeObject): Unready | undefined {
  const object = objectId(deployment)
  const status = (deployment['status'] ?? {}) as DeploymentStatus
  const wanted = (deployment['spec'] as { replicas?: number } | undefined)?.replicas ?? 1
  const failed = status.conditions?.find((condition) => condition.type === 'ReplicaFailure' && condition.status === 'True')
  if (failed !== undefined)
    return { object, reason: failed.reason ?? 'ReplicaFailure', message: failed.message ?? 'pods cannot be created' }
  if ((status.observedGeneration ?? 0) < (deployment.metadata.generation ?? 1)) {
    return { object, reason: 'NotObserved', message: 'the Deployment controller has not seen the current generation yet' }
  }
  const updated = status.updatedReplicas ?? 0
  const available = status.availableReplicas ?? 0
  if (updated < wanted) return { object, reason: 'RollingOut', message: `${updated} of ${wanted} replicas updated` }
  if (available < updated || available < wanted)
    return { object, reason: 'Unavailable', message: `${available} of ${wanted} replicas available` }
  if ((status.replicas ?? 0) > updated)
    return { object, reason: 'RollingOut', message: `${(status.replicas ?? 0) - updated} old replicas are ending` }
  return undefined
}

/** How many replicas take traffic, of whichever generation. */
export function countOfAvailable(deployment: KubeObject | undefined): number {
  return ((deployment?.['status'] ?? {}) as DeploymentStatus).availableReplicas ?? 0
}

/** True when a replica of the current generation can take traffic: what a catch-all waits for. */
export function hasAvailableReplica(deployment: KubeObject | undefined): boolean {
  const status = (deployment?.['status'] ?? {}) as DeploymentStatus
  if (deployment === undefined || (status.observedGeneration ?? 0) < (deployment.metadata.generation ?? 1)) return false
  // available counts old replicas too: with one more available than old ones, a new one is among them
  const old = (status.replicas ?? 0) - (status.updatedReplicas ?? 0)
  return (status.updatedReplicas ?? 0) > 0 && (status.availableReplicas ?? 0) > old
}
