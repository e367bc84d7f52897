/** Ports that `wormholePort: auto` finds: those of Services of the mesh, and those that were found before and are still served. Pure. */
import { protocolOfService, type ServicePort } from '../../module/protocol.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { isProxyPort } from './proxy-ports.ts'

/** What is remembered of a Service. */
export interface ServicePorts {
  /** `namespace/name` */
  readonly key: string
  readonly namespace: string
  readonly http: readonly number[]
  /** TCP or TLS. */
  readonly tcp: readonly number[]
}

export interface FoundPort {
  readonly port: number
  /** Since when no Service has it, RFC 3339; absent while one has it. */
  readonly goneSince?: string
}

/** A port on which some Services of the mesh speak HTTP and others TCP or TLS; `namespace/name`, sorted, ten of each at most. */
export interface PortConflict {
  readonly port: number
  readonly http: readonly string[]
  readonly tcp: readonly string[]
}

export interface PortsInMesh {
  /** Ascending. */
  readonly http: readonly number[]
  readonly conflicts: readonly PortConflict[]
  /** HTTP ports that are left out because there are too many. */
  readonly leftOut: readonly number[]
}

const LISTED = 10
/** As many as can be listed by hand. */
export const MAX_FOUND_PORTS = 100

/** Of a Service as the API server has it. An ExternalName is an alias: it listens nowhere. Ports of unknown protocol are neither. */
export function portsOfService(service: KubeObject): Pick<ServicePorts, 'http' | 'tcp'> {
  const { ports, type } = (service['spec'] ?? {}) as { readonly ports?: readonly (ServicePort | null)[] | null; readonly type?: string }
  const found = type === 'ExternalName' ? [] : (ports ?? []).flatMap((port) => port ?? [])
  const numbers = (protocol: 'http' | 'tcp'): readonly number[] =>
    found.filter((port) => protocolOfService(port) === protocol).map(({ port }) => port)
  return { http: numbers('http'), tcp: numbers('tcp') }
}

/** `services`: those of the mesh. */
export function portsInMesh(services: Iterable<ServicePorts>): PortsInMesh {
  const http = new Map<number, { readonly services: string[]; readonly namespaces: Set<string> }>()
  const tcp = new Map<number, string[]>()
  for (const service of services) {
    for (const port of service.tcp) tcp.set(port, [...(tcp.get(port) ?? []), service.key])
    for (const port of service.http) {
      if (isProxyPort(port)) continue
      const found = http.get(port) ?? { services: [], namespaces: new Set() }
      found.services.push(service.key)
      found.namespaces.add(service.namespace)
      http.set(port, found)
    }
  }
  const ports = [...http.keys()].sort((a, b) => a - b)
  const free = ports.filter((port) => !tcp.has(port))
  const served = new Set(fairly(free, (port) => http.get(port)!.namespaces))
  return {
    http: free.filter((port) => served.has(port)),
    conflicts: ports
      .filter((port) => tcp.has(port))
      .map((port) => ({ port, http: firstOf(http.get(port)!.services), tcp: firstOf(tcp.get(port)!) })),
    leftOut: free.filter((port) => !served.has(port)),
  }
}

/** What several namespaces use comes first, then a port of each namespace in turns: one that has very many takes only what is left. */
function fairly(ports: readonly number[], namespacesOf: (port: number) => ReadonlySet<string>): readonly number[] {
  const shares = new Map<string, number>()
  const own = ports
    .filter((port) => namespacesOf(port).size === 1)
    .map((port) => {
      const [namespace = ''] = namespacesOf(port)
      const turn = (shares.get(namespace) ?? 0) + 1
      shares.set(namespace, turn)
      return { port, turn }
    })
    .toSorted((a, b) => a.turn - b.turn)
    .map(({ port }) => port)
  const common = ports.filter((port) => namespacesOf(port).size > 1).toSorted((a, b) => namespacesOf(b).size - namespacesOf(a).size)
  return [...common, ...own].slice(0, MAX_FOUND_PORTS)
}

function firstOf(services: readonly string[]): readonly string[] {
  return [...new Set(services)].sort().slice(0, LISTED)
}

/**
 * What is served now: what Services have, and of what was found before (`known`) whatever has been gone for less than `graceMs`. A port
 * on which somebody speaks TCP goes at once.
 */
export function portsToServe(
  known: readonly FoundPort[],
  { http, conflicts }: Pick<PortsInMesh, 'http' | 'conflicts'>,
  now: number,
  graceMs: number,
): readonly FoundPort[] {
  const found = new Set(http)
  const gone = new Set(conflicts.map(({ port }) => port))
  const leaving = known.filter(({ port }) => !found.has(port) && !gone.has(port)).map((port) => since(port, now))
  const kept = leaving.filter(({ goneSince }) => now - Date.parse(goneSince) < graceMs)
  const served: readonly FoundPort[] = [...http.map((port) => ({ port })), ...kept]
  return served.slice(0, MAX_FOUND_PORTS).toSorted((a, b) => a.port - b.port)
}

function since({ port, goneSince }: FoundPort, now: number): Required<FoundPort> {
  return { port, goneSince: goneSince ?? `${new Date(now).toISOString().slice(0, 19)}Z` }
}

/** When the first of them has been gone for `graceMs`, milliseconds from now; undefined: none is going. */
export function nextLeaveMs(ports: readonly FoundPort[], now: number, graceMs: number): number | undefined {
  const times = ports.flatMap(({ goneSince }) => (goneSince === undefined ? [] : [Date.parse(goneSince) + graceMs - now]))
  return times.length === 0 || graceMs === Infinity ? undefined : Math.max(0, Math.min(...times))
}

/** The text of our annotation: `80 8080=2026-11-25T15:00:00Z`. */
export function formatFoundPorts(ports: readonly FoundPort[]): string {
  return ports.map(({ port, goneSince }) => (goneSince === undefined ? String(port) : `${port}=${goneSince}`)).join(' ')
}

/** What is not ours in the text is left out. */
export function parseFoundPorts(text: string): readonly FoundPort[] {
  return text.split(' ').flatMap((item): readonly FoundPort[] => {
    const match = /^([1-9]\d{0,4})(?:=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))?$/.exec(item)
    const port = Number(match?.[1])
    if (!(port <= 65_535) || isProxyPort(port)) return []
    const goneSince = match?.[2]
    if (goneSince === undefined) return [{ port }]
    return Number.isNaN(Date.parse(goneSince)) ? [] : [{ port, goneSince }]
  })
}
