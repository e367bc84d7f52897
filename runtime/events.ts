/** Kubernetes Events (core/v1): what has changed, for `kubectl describe`. Never stops the work it tells of. */
import { createHash } from 'node:crypto'
import { guarded, inBackground } from './callbacks.ts'
import type { Client } from './client.ts'
import type { KubeObject } from './object.ts'
import type { ResourceType } from './resource.ts'

export interface EventRecorder {
  /** `reason` is CamelCase, `message` at most 1,024 characters; the same event within ten minutes is sent once. */
  record(about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void
  /** Resolves when everything recorded was sent or given up. */
  flush(): Promise<void>
}

export interface EventRecorderOptions {
  readonly client: Pick<Client, 'create'>
  readonly eventType: ResourceType
  /** Reporting component and instance (`slime-boot`, pod name). */
  readonly component: string
  readonly instance: string
  readonly onProblem?: (error: unknown) => void
}

const REPEAT_MS = 10 * 60_000
const MESSAGE_LIMIT = 1024

/** Events are sent at once and in the background; what the API server refuses goes to `onProblem`. */
export function createEventRecorder({ client, eventType, component, instance, onProblem }: EventRecorderOptions): EventRecorder {
  const sent = new Map<string, number>()
  const open = new Set<Promise<void>>()
  let count = 0
  const tellProblem = guarded('observer', 'events', (error: unknown) => onProblem?.(error))

  function isRepeat(key: string): boolean {
    const now = performance.now()
    const last = sent.get(key)
    if (last !== undefined && now - last < REPEAT_MS) return true
    if (sent.size > 1000) for (const [old, at] of sent) if (now - at > REPEAT_MS) sent.delete(old)
    sent.set(key, now)
    return false
  }

  return {
    record(about, type, reason, message) {
      const text = message.length > MESSAGE_LIMIT ? `${message.slice(0, MESSAGE_LIMIT - 1)}…` : message
      if (type === 'Warning' && isRepeat(`${about.metadata.uid ?? ''} ${reason} ${text}`)) return
      const now = new Date().toISOString()
      const namespace = about.metadata.namespace ?? 'default'
      const suffix = createHash('sha256').update(`${instance} ${now} ${count++}`).digest('hex').slice(0, 16)
      const event: KubeObject = {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: `${about.metadata.name.slice(0, 230)}.${suffix}`, namespace },
        involvedObject: {
          apiVersion: about.apiVersion,
          kind: about.kind,
          name: about.metadata.name,
          namespace,
          uid: about.metadata.uid,
          resourceVersion: about.metadata.resourceVersion,
        },
        type,
        reason,
        message: text,
        firstTimestamp: now.replace(/\.\d+Z$/, 'Z'),
        lastTimestamp: now.replace(/\.\d+Z$/, 'Z'),
        count: 1,
        source: { component },
        reportingComponent: component,
        reportingInstance: instance,
      }
      const sending = client
        .create(eventType, event)
        .then(() => undefined)
        .catch(tellProblem)
        .finally(() => open.delete(sending))
      open.add(sending)
      inBackground(`event ${reason}`, sending)
    },
    async flush() {
      await Promise.all(open)
    },
  }
}
