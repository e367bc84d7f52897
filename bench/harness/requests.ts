/** Requests of one client in the audit log, and the times at which its work was done. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '../../local-cluster/audit.ts'
import type { Stage } from './stage.ts'

const QUIET_MS = 700

/** Whether a request is of a certain client. */
export type Who = (event: AuditEvent) => boolean

export interface Requests {
  readonly all: readonly AuditEvent[]
  /** All but watches, the Lease, and discovery of the leader. */
  readonly work: readonly AuditEvent[]
  /** Writes of objects: neither SlimeBoots, Events nor questions about rights. */
  readonly objects: readonly AuditEvent[]
}

/** What a client sent from `since` on. */
export async function requestsOf({ cluster }: Pick<Stage, 'cluster'>, who: Who, since: Date): Promise<Requests> {
  const all = (await cluster.auditEvents(since)).filter(who)
  const work = all.filter(({ verb, resource }) => verb !== 'watch' && resource !== 'leases')
  return { all, work, objects: work.filter(isObjectWrite) }
}

function isObjectWrite({ verb, group, resource, code }: AuditEvent): boolean {
  if (['get', 'list', 'watch'].includes(verb) || code >= 300) return false
  return group !== 'authorization.k8s.io' && !['slimeboots', 'events', 'leases', 'secrets'].includes(resource)
}

/** Milliseconds since 1970 at which the last of them was answered. */
export function lastAnswer(events: readonly AuditEvent[]): number {
  return Math.max(...events.map(({ stageTimestamp }) => stageTimestamp.getTime()))
}

/** Waits until `count` objects were written and nothing came for a moment; returns the requests. */
export async function untilWritten(stage: Pick<Stage, 'cluster'>, who: Who, since: Date, count: number, limitMs: number, onProgress: (written: number) => void = () => {}): Promise<Requests> {
  const deadline = performance.now() + limitMs
  for (let before = -1; ; ) {
    const found = await requestsOf(stage, who, since)
    onProgress(found.objects.length)
    if (found.objects.length >= count && found.work.length === before) return found
    if (performance.now() > deadline) throw new Error(`${found.objects.length} of ${count} objects were written in ${Math.round(limitMs / 1000)} s`)
    before = found.work.length
    await sleep(QUIET_MS)
  }
}
