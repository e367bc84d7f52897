/** The API server's audit log: every request with who made it. The honest way to count requests. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

/** One finished request, https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/ at level Metadata. */
export interface AuditEvent {
  readonly user: string
  readonly userAgent: string
  /** get, list, watch, create, update, patch, delete, deletecollection */
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly namespace: string
  readonly name: string
  readonly subresource: string
  /** HTTP status; 0 when the log has none (a watch that was cut). */
  readonly code: number
  readonly requestURI: string
  readonly requestReceivedTimestamp: Date
  /** When it was answered; a watch: when it ended. */
  readonly stageTimestamp: Date
}

/** Log everything once, when it has been answered. */
export const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [{ level: 'Metadata' }],
}

interface LogLine {
  readonly verb: string
  readonly requestURI: string
  readonly userAgent?: string
  readonly requestReceivedTimestamp: string
  readonly stageTimestamp: string
  readonly user?: { readonly username?: string }
  readonly responseStatus?: { readonly code?: number }
  readonly objectRef?: {
    readonly apiGroup?: string
    readonly resource?: string
    readonly namespace?: string
    readonly name?: string
    readonly subresource?: string
  }
}

/** Reads the log from `file`: the requests that were received at `since` or later, in the order in which they were answered. */
export async function readAuditLog(file: string, since?: Date): Promise<AuditEvent[]> {
  const events: AuditEvent[] = []
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    const event = parseAuditLine(line)
    if (event !== undefined && (since === undefined || event.requestReceivedTimestamp >= since)) events.push(event)
  }
  return events
}

/** One line of the log; undefined where it is not whole. */
export function parseAuditLine(line: string): AuditEvent | undefined {
  if (!line.endsWith('}')) return undefined // The last line may be half written.
  const { verb, requestURI, userAgent, user, objectRef, responseStatus, ...times } = JSON.parse(line) as LogLine
  return {
    user: user?.username ?? '',
    userAgent: userAgent ?? '',
    verb,
    group: objectRef?.apiGroup ?? '',
    resource: objectRef?.resource ?? '',
    namespace: objectRef?.namespace ?? '',
    name: objectRef?.name ?? '',
    subresource: objectRef?.subresource ?? '',
    code: responseStatus?.code ?? 0,
    requestURI,
    requestReceivedTimestamp: new Date(times.requestReceivedTimestamp),
    stageTimestamp: new Date(times.stageTimestamp),
  }
}
