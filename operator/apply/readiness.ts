/** Readiness: are the applied workloads available, and if not, why. */
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

/** True when a replica of the current generation can take traffic: what a catch-all waits for. */
export function hasAvailableReplica(deployment: KubeObject | undefined): boolean {
  const status = (deployment?.['status'] ?? {}) as DeploymentStatus
  if (deployment === undefined || (status.observedGeneration ?? 0) < (deployment.metadata.generation ?? 1)) return false
  // available counts old replicas too: with one more available than old ones, a new one is among them
  const old = (status.replicas ?? 0) - (status.updatedReplicas ?? 0)
  return (status.updatedReplicas ?? 0) > 0 && (status.availableReplicas ?? 0) > old
}

interface ContainerStatus {
  readonly name: string
  readonly ready?: boolean
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string }
    readonly terminated?: { readonly reason?: string; readonly message?: string; readonly exitCode?: number }
  }
  readonly lastState?: { readonly terminated?: { readonly reason?: string; readonly exitCode?: number; readonly message?: string } }
}

interface PodStatus {
  readonly phase?: string
  readonly containerStatuses?: readonly ContainerStatus[]
  readonly initContainerStatuses?: readonly ContainerStatus[]
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string; readonly message?: string }[]
}

/** What keeps a Deployment's pods from being ready: the first pod with a cause, as `pod NAME, container NAME: Reason: message`. */
export function podCause(pods: readonly KubeObject[]): { readonly reason: string; readonly message: string } | undefined {
  const sorted = [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  for (const pod of sorted) {
    const cause = causeOf(pod)
    if (cause !== undefined) return cause
  }
  return undefined
}

function causeOf(pod: KubeObject): { reason: string; message: string } | undefined {
  const status = (pod['status'] ?? {}) as PodStatus
  const name = `pod ${pod.metadata.name}`
  const unscheduled = status.conditions?.find((condition) => condition.type === 'PodScheduled' && condition.status === 'False')
  if (unscheduled !== undefined)
    return {
      reason: unscheduled.reason ?? 'Unschedulable',
      message: join(`${name}: ${unscheduled.reason ?? 'Unschedulable'}`, unscheduled.message),
    }
  for (const container of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
    const where = `${name}, container ${container.name}`
    const waiting = container.state?.waiting
    if (waiting?.reason !== undefined && waiting.reason !== 'ContainerCreating' && waiting.reason !== 'PodInitializing') {
      const last = container.lastState?.terminated
      const detail =
        waiting.reason === 'CrashLoopBackOff' && last !== undefined
          ? `last exit code ${last.exitCode ?? '?'}${last.reason === undefined ? '' : ` (${last.reason})`}`
          : waiting.message
      return { reason: waiting.reason, message: join(`${where}: ${waiting.reason}`, detail) }
    }
    const ended = container.state?.terminated
    if (ended !== undefined && ended.exitCode !== 0)
      return {
        reason: ended.reason ?? 'Error',
        message: join(`${where}: ${ended.reason ?? 'Error'}, exit code ${ended.exitCode ?? '?'}`, ended.message),
      }
  }
  const unready = status.containerStatuses?.find((container) => container.ready === false)
  if (status.phase === 'Running' && unready !== undefined)
    return { reason: 'NotReady', message: `${name}, container ${unready.name}: running, its readiness probe does not pass` }
  return undefined
}

function join(head: string, detail: string | undefined): string {
  return detail === undefined || detail === '' ? head : `${head}: ${detail.replace(/\s+/g, ' ').trim()}`
}
