/**
 * Keys of `status.metricStatus`: one label set of a metric as text, `{destination_service="details.default.svc.cluster.local"}`.
 * What was learned is stored there and nowhere else (spec 3.4).
 */
import { isHostName } from '../../module/names.ts'
import { remember } from '../../runtime/remember.ts'
import { completeHost } from '../mesh/host-name.ts'

/** First labels: the hop itself, and what Istio's telemetry calls a destination that it cannot name. */
const NEVER_LEARNED: ReadonlySet<string> = new Set(['global-sidecar', 'unknown'])

export const keyOfHost = remember((host) => `{destination_service="${host}"}`)

/** A number of calls as it is stored: shortest decimal, no exponent. */
export function decimalText(value: number): string {
  const text = String(value)
  return text.includes('e') ? value.toLocaleString('en-US', { useGrouping: false, maximumFractionDigits: 20 }) : text
}

/**
 * The full host name that a key tells of, for a fence in `namespace`; undefined where it tells of none: another first label, more
 * than one label, an empty or unknown destination, the global-sidecar itself.
 */
export function hostOfKey(key: string, namespace: string, isExternal?: (host: string) => boolean): string | undefined {
  const text = key.replace(/^\{/, '').replace(/\}$/, '')
  if (!isDestinationLabel(text)) return undefined
  const pieces = text.split('"')
  if (pieces.length !== 3) return undefined
  return learnableHost(pieces[1]!.split(':', 1)[0]!, namespace, isExternal)
}

/** Whether a label, or a text that begins with one, names a destination. */
export function isDestinationLabel(text: string): boolean {
  return text.startsWith('destination_service') || text.startsWith('request_host')
}

/** `name` as a full host name if a fence in `namespace` can depend on it; a host that the mesh knows as it is stays as it is. */
export function learnableHost(name: string, namespace: string, isExternal: (host: string) => boolean = () => false): string | undefined {
  const short = name.toLowerCase()
  const host = isExternal(short) ? short : completeHost(short, namespace)
  return isHostName(short) && isHostName(host) && !NEVER_LEARNED.has(host.split('.', 1)[0]!) ? host : undefined
}

/** Learned hosts with the keys that tell of each: several spellings may mean one host. */
export function learnedHosts(
  metricStatus: Readonly<Record<string, unknown>> | null | undefined,
  namespace: string,
  isExternal?: (host: string) => boolean,
): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>()
  for (const [key, value] of Object.entries(metricStatus ?? {})) {
    const host = value === null ? undefined : hostOfKey(key, namespace, isExternal)
    if (host !== undefined) hosts.set(host, [...(hosts.get(host) ?? []), key])
  }
  return hosts
}
