/** Which hosts Sidecars keep, by namespace of the fence. What is worked out stays until something is different. */
import type { Candidate, View } from './judge.ts'
import { reasonToKeep } from './judge.ts'
import type { KeepScope } from '../../module/settings.ts'
import type { KeepReason } from './reasons.ts'
import { type ExportTo, isPublic, isVisible } from './visibility.ts'

export interface KeptHost {
  readonly host: string
  readonly reason: KeepReason
  /** Of the object that it is from; undefined for what belongs to the mesh. */
  readonly namespace: string | undefined
}

export interface KeptHosts {
  /** Sorted by host, none twice. */
  readonly hosts: readonly KeptHost[]
  /** How many hosts there are for a fence to see. */
  readonly known: number
}

/** What there is in the mesh now. */
export interface Mesh {
  readonly candidates: Iterable<Candidate>
  /** Kept whatever the catch-all could do, where they are visible. */
  readonly always: readonly (KeptHost & { readonly exportTo: ExportTo })[]
  readonly exportTo: { readonly Service: ExportTo; readonly VirtualService: ExportTo }
  readonly viewOf: (namespace: string) => Omit<View, 'exportTo'>
}

export interface KeptIndex {
  /** For fences of this namespace. */
  readonly of: (namespace: string) => KeptHosts
  /** Takes in how the mesh is now; returns the namespaces, of those that were asked for, for which something else is kept. */
  readonly rebuild: (mesh: Mesh) => readonly string[]
}

/** So many hosts of one namespace are in the Sidecars of others: a Sidecar that is too large is refused as a whole. */
export const MAX_OF_NAMESPACE = 1000

/** Namespaces that one object names to see it; with more it counts as visible to all. */
const MAX_EXPORT_TO = 100

const NOTHING: KeptHosts = { hosts: [], known: 0 }

export function createKeptIndex(): KeptIndex {
  let compute: (namespace: string) => KeptHosts = () => NOTHING
  let known = new Map<string, KeptHosts>()

  function of(namespace: string): KeptHosts {
    const found = known.get(namespace) ?? compute(namespace)
    known.set(namespace, found)
    return found
  }

  return {
    of,
    rebuild(mesh) {
      compute = computeOf(mesh)
      const before = known
      known = new Map()
      const changed: string[] = []
      // most namespaces share what everybody sees: it is compared once
      let last: { readonly kept: KeptHosts; readonly now: KeptHosts; readonly isSame: boolean } | undefined
      for (const [namespace, kept] of before) {
        const now = compute(namespace)
        if (last?.kept !== kept || last.now !== now) last = { kept, now, isSame: isEqual(kept, now) }
        const { isSame } = last
        known.set(namespace, isSame ? kept : now)
        if (!isSame) changed.push(namespace)
      }
      return changed
    },
  }
}

/** One pass over the mesh; then each namespace costs what is visible to it alone, and each set of ports what everybody sees. */
function computeOf({ candidates, always, exportTo, viewOf }: Mesh): (namespace: string) => KeptHosts {
  const open: Candidate[] = []
  /** Of these, by namespace. */
  const openOf = new Map<string, Candidate[]>()
  const visibleTo = new Map<string, Candidate[]>()
  for (const candidate of candidates) {
    const said = candidate.exportTo ?? exportTo.Service ?? []
    // a list that long costs more than it saves, and anybody can write one
    if (isPublic(candidate.exportTo, exportTo.Service) || said.length > MAX_EXPORT_TO) {
      open.push(candidate)
      const list = openOf.get(candidate.namespace)
      if (list === undefined) openOf.set(candidate.namespace, [candidate])
      else list.push(candidate)
      continue
    }
    if (said.includes('~')) continue
    for (const name of new Set(said.map((each) => (each === '.' ? candidate.namespace : each)))) {
      const list = visibleTo.get(name)
      if (list === undefined) visibleTo.set(name, [candidate])
      else list.push(candidate)
    }
  }
  const alwaysOpen = always.filter((host) => isPublic(host.exportTo, exportTo.VirtualService))
  const alwaysSome = always.filter((host) => !isPublic(host.exportTo, exportTo.VirtualService))
  const byPorts = new Map<string, KeptHosts>()

  function judged(all: readonly Candidate[], view: View): readonly KeptHost[] {
    return all.flatMap((candidate) => {
      const reason = reasonToKeep(candidate, view)
      return reason === undefined ? [] : [{ host: candidate.host, reason, namespace: candidate.namespace }]
    })
  }

  return (namespace) => {
    const view: View = { ...viewOf(namespace), exportTo }
    const ports = view.ports === undefined ? '' : portsKey(view.ports)
    let everybody = byPorts.get(ports)
    if (everybody === undefined) {
      everybody = { hosts: bounded(sorted([...alwaysOpen, ...judged(open, view)])), known: open.length }
      byPorts.set(ports, everybody)
    }
    const own = visibleTo.get(namespace) ?? []
    const routes = alwaysSome.filter((host) => isVisible(host.exportTo, exportTo.VirtualService, host.namespace ?? '', namespace))
    // of its own namespace a fence keeps all
    const mine = openOf.get(namespace) ?? []
    const more = mine.length > MAX_OF_NAMESPACE ? judged(mine, view) : []
    if (own.length + routes.length + more.length === 0) return everybody
    const alone = bounded(sorted([...routes, ...judged(own, view), ...more]), namespace)
    return { hosts: merged(everybody.hosts, alone), known: everybody.known + own.length }
  }
}

/** Two sorted lists as one; of a host in both the first. */
function merged(a: readonly KeptHost[], b: readonly KeptHost[]): readonly KeptHost[] {
  const all: KeptHost[] = []
  let index = 0
  for (const host of a) {
    while (index < b.length && b[index]!.host < host.host) all.push(b[index++]!)
    if (b[index]?.host === host.host) index++
    all.push(host)
  }
  return [...all, ...b.slice(index)]
}

/** The first ones of each namespace but `own`, where there are more than any team has. */
function bounded(hosts: readonly KeptHost[], own?: string): readonly KeptHost[] {
  const counts = new Map<string, number>()
  return hosts.filter(({ namespace }) => {
    if (namespace === undefined || namespace === own) return true
    const count = (counts.get(namespace) ?? 0) + 1
    counts.set(namespace, count)
    return count <= MAX_OF_NAMESPACE
  })
}

const portsKeys = new WeakMap<ReadonlySet<number>, string>()

function portsKey(ports: ReadonlySet<number>): string {
  const key = portsKeys.get(ports) ?? [...ports].sort((a, b) => a - b).join()
  portsKeys.set(ports, key)
  return key
}

/** Without what is there twice; the first reason counts. */
function sorted(hosts: readonly KeptHost[]): readonly KeptHost[] {
  const byHost = new Map<string, KeptHost>()
  for (const { host, reason, namespace } of hosts) if (!byHost.has(host)) byHost.set(host, { host, reason, namespace })
  return [...byHost.values()].sort((a, b) => (a.host < b.host ? -1 : 1))
}

function isEqual(a: KeptHosts, b: KeptHosts): boolean {
  if (a === b) return true
  if (a.hosts.length !== b.hosts.length || keepsMost(a) !== keepsMost(b)) return false
  return a.hosts.every(({ host, reason }, index) => b.hosts[index]?.host === host && b.hosts[index].reason === reason)
}

/** More than half of the mesh: a fence saves little then. */
export function keepsMost({ hosts, known }: KeptHosts): boolean {
  return 2 * hosts.filter(({ reason }) => reason !== 'Provider' && reason !== 'CallerRoutes').length > known
}

/** What a fence of `namespace` with this scope keeps. Hosts of the mesh itself belong to every namespace. */
export function keptInScope(kept: KeptHosts, scope: KeepScope, namespace: string): KeptHosts {
  if (scope === 'all') return kept
  if (scope === 'none') return { hosts: [], known: kept.known }
  return { hosts: kept.hosts.filter((host) => host.namespace === undefined || host.namespace === namespace), known: kept.known }
}
