/** How many clusters a global-sidecar holds: Services, ServiceEntries and subsets that it sees on its ports. Pure. */
import type { KubeObject } from '../../runtime/object.ts'

export interface MeshObjects {
  readonly services: readonly KubeObject[]
  readonly slices: readonly KubeObject[]
  readonly entries: readonly KubeObject[]
  readonly rules: readonly KubeObject[]
}

export interface SeenClusters {
  readonly clusters: number
  /** Of all clusters together. */
  readonly endpoints: number
}

export interface Seer {
  readonly namespace: string
  /** Undefined: it holds every port. */
  readonly ports: ReadonlySet<number> | undefined
  /** `defaultServiceExportTo` of the mesh; absent: everybody sees what says nothing. */
  readonly exportTo: readonly string[] | undefined
}

/** How many each proxy in one of these places holds; the most of all places. */
export function mostClusters({ services, slices, entries, rules }: MeshObjects, seers: readonly Seer[]): SeenClusters {
  const index = { services, entries, endpoints: endpointsByService(slices), subsets: subsetsByService(rules) }
  const seen = seers.map((seer) => clustersSeen(index, seer))
  return seen.reduce((most, each) => (each.clusters > most.clusters ? each : most), { clusters: 0, endpoints: 0 })
}

interface Index extends Pick<MeshObjects, 'services' | 'entries'> {
  /** By `namespace/name` of the Service. */
  readonly endpoints: ReadonlyMap<string, number>
  readonly subsets: ReadonlyMap<string, number>
}

function clustersSeen({ services, entries, endpoints, subsets }: Index, { namespace, ports, exportTo }: Seer): SeenClusters {
  let clusters = 0
  let total = 0
  const add = (count: number, each: number): void => {
    clusters += count
    total += count * each
  }
  for (const { metadata, spec } of services as readonly ServiceLike[]) {
    const annotation = metadata.annotations?.[EXPORT_TO]
    if (!isSeen(annotation === undefined ? [] : annotation.split(','), exportTo, metadata.namespace, namespace)) continue
    const key = `${metadata.namespace}/${metadata.name}`
    const held = (spec?.ports ?? []).filter(({ port, protocol = 'TCP' }) => protocol === 'TCP' && (ports?.has(port) ?? true)).length
    const each = endpoints.get(key) ?? 0
    add(held, each)
    // the endpoints of a Service are shared out among its subsets
    const parts = subsets.get(key) ?? 0
    if (parts > 0) add(held * parts, each / parts)
  }
  for (const { metadata, spec } of entries as readonly EntryLike[]) {
    if (!isSeen(spec?.exportTo ?? [], exportTo, metadata.namespace, namespace)) continue
    const held = (spec?.ports ?? []).filter(({ number }) => ports?.has(number) ?? true).length
    add(held * (spec?.hosts?.length ?? 0), spec?.endpoints?.length ?? 1)
  }
  return { clusters, endpoints: Math.round(total) }
}

const EXPORT_TO = 'networking.istio.io/exportTo'

interface ServiceLike {
  readonly metadata: KubeObject['metadata']
  readonly spec?: { readonly ports?: readonly { readonly port: number; readonly protocol?: string }[] }
}
interface EntryLike {
  readonly metadata: KubeObject['metadata']
  readonly spec?: {
    readonly hosts?: readonly string[]
    readonly ports?: readonly { readonly number: number }[]
    readonly endpoints?: readonly unknown[]
    readonly exportTo?: readonly string[]
  }
}

/** `*` beats `~` beats names; `.` is the object's own namespace. */
function isSeen(said: readonly string[], byDefault: readonly string[] | undefined, own: string | undefined, from: string): boolean {
  const named = said.map((item) => item.trim()).filter((item) => item !== '')
  const exportTo = named.length > 0 ? named : byDefault
  if (exportTo === undefined || exportTo.length === 0 || exportTo.includes('*')) return true
  if (exportTo.includes('~')) return false
  return exportTo.includes(from) || (own === from && exportTo.includes('.'))
}

/** By `namespace/name`. */
function endpointsByService(slices: readonly KubeObject[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const slice of slices) {
    const key = `${slice.metadata.namespace}/${slice.metadata.labels?.['kubernetes.io/service-name']}`
    const { length } = (slice['endpoints'] as readonly unknown[] | null | undefined) ?? []
    counts.set(key, (counts.get(key) ?? 0) + length)
  }
  return counts
}

/** How many subsets DestinationRules make of each Service, by `namespace/name`. */
function subsetsByService(rules: readonly KubeObject[]): ReadonlyMap<string, number> {
  const names = new Map<string, Set<string>>()
  for (const rule of rules) {
    const { host, subsets = [] } = (rule['spec'] ?? {}) as { host?: string; subsets?: readonly { readonly name: string }[] }
    if (host === undefined) continue
    const [name = '', within = rule.metadata.namespace] = host.split('.')
    const key = `${within}/${name}`
    names.set(key, new Set([...(names.get(key) ?? []), ...subsets.map((subset) => subset.name)]))
  }
  return new Map([...names].map(([key, set]) => [key, set.size]))
}
