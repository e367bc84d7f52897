/** Why the pods of a Deployment are not ready, as the scheduler and their containers say. */
import type { Client } from '../../runtime/client.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { POD } from '../api/kinds.ts'
import { OOM_KILLED, outOfMemory } from './out-of-memory.ts'

export interface PodCause {
  /** CamelCase, as Kubernetes gives it: `Unschedulable`, `ImagePullBackOff`. */
  readonly reason: string
  /** Begins with the names of pod and container. */
  readonly message: string
}

/** Asks the pods of a Deployment. Undefined where none has a cause. Throws what the API server answers. */
export async function readPodCause(client: Pick<Client, 'list'>, deployment: KubeObject): Promise<PodCause | undefined> {
  const { matchLabels = {} } = (deployment['spec'] as { selector?: { matchLabels?: Record<string, string> } }).selector ?? {}
  const labelSelector = Object.entries(matchLabels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',')
  const { items } = await client.list(POD, { namespace: deployment.metadata.namespace, labelSelector })
  return podCause(items, deployment.metadata.name)
}

interface ContainerStatus {
  readonly name: string
  readonly ready?: boolean
  readonly restartCount?: number
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

/**
 * What keeps a Deployment's pods from being ready: the first pod with a cause, as `pod NAME, container NAME: Reason: message`.
 * `deployment`: its name, which says where the limits of its containers are set.
 */
export function podCause(pods: readonly KubeObject[], deployment?: string): PodCause | undefined {
  const sorted = [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  for (const pod of sorted) {
    const cause = causeOf(pod, deployment)
    if (cause !== undefined) return cause
  }
  return undefined
}

function causeOf(pod: KubeObject, deployment: string | undefined): PodCause | undefined {
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
    // in every state until it is ready again: it waits to be restarted, has just ended, or is starting anew
    const memory = outOfMemory(pod, container, deployment)
    if (memory !== undefined) return { reason: OOM_KILLED, message: `${where}: ${memory}` }
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
