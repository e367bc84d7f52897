/** Requests of one client in the audit log, and the times at which its work was done. */
import { closeSync, openSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AuditEvent, parseAuditLine } from '../../local-cluster/audit.ts'
import { clusterFiles } from '../../local-cluster/files.ts'
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
export function requestsOf({ cluster }: Pick<Stage, 'cluster'>, who: Who, since: Date): Requests {
  const all = newEvents(clusterFiles(cluster.dir).auditLog).filter((event) => event.requestReceivedTimestamp >= since && who(event))
  const work = all.filter(({ verb, resource }) => verb !== 'watch' && resource !== 'leases')
  return { all, work, objects: work.filter(isObjectWrite) }
}

interface Tail {
  offset: number
  rest: string
  readonly events: AuditEvent[]
}

const tails = new Map<string, Tail>()
const CHUNK = 1 << 20

/** All events of the log so far. Only what is new is read: reading it whole each time would take the processor from what is measured. */
function newEvents(file: string): readonly AuditEvent[] {
  const tail: Tail = tails.get(file) ?? { offset: 0, rest: '', events: [] }
  tails.set(file, tail)
  const log = openSync(file, 'r')
  const buffer = Buffer.alloc(CHUNK)
  for (let size = readSync(log, buffer, 0, CHUNK, tail.offset); size > 0; size = readSync(log, buffer, 0, CHUNK, tail.offset)) {
    tail.offset += size
    const lines = (tail.rest + buffer.toString('latin1', 0, size)).split('\n')
    tail.rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = parseAuditLine(line)
      if (event !== undefined) tail.events.push(event)
    }
  }
  closeSync(log)
  return tail.events
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
export async function untilWritten(
  stage: Pick<Stage, 'cluster'>,
  who: Who,
  since: Date,
  count: number,
  limitMs: number,
  onProgress: (written: number) => void = () => {},
): Promise<Requests> {
  const deadline = performance.now() + limitMs
  for (let before = -1; ;) {
    const found = requestsOf(stage, who, since)
    onProgress(found.objects.length)
    if (found.objects.length >= count && found.work.length === before) return found
    if (performance.now() > deadline)
      throw new Error(`${found.objects.length} of ${count} objects were written in ${Math.round(limitMs / 1000)} s`)
    before = found.work.length
    await sleep(QUIET_MS)
  }
}
