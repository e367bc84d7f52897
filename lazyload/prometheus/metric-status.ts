/** Samples as keys of `status.metricStatus`, and as hosts (spec 3.3). Pure. */
import { isDestinationLabel, learnableHost } from '../learn/metric-key.ts'
import type { Sample } from './client.ts'

/** `{a="x", b="y"}`: labels sorted, the name outside of the braces, values quoted as Go does; the name alone, or `{}`, without labels. */
export function keyOfSample({ labels }: Sample): string {
  const { __name__: name = '', ...rest } = labels
  const pairs = Object.entries(rest)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  if (pairs.length === 0) return name === '' ? '{}' : name
  return `${name}{${pairs.join(', ')}}`
}

export interface HostLookup {
  readonly isExternal: (host: string) => boolean
  /** The full host of a name as a caller in this namespace means it; undefined for what the mesh does not know. */
  readonly resolve: (name: string, namespace: string) => string | undefined
}

export interface Reading {
  /** Hosts that the mesh knows, with the sum of their values. Anyone may put any name into a `Host` header. */
  readonly hosts: ReadonlyMap<string, number>
  /** Every host that is named, known now or not. */
  readonly named: ReadonlySet<string>
  /** The first sample that is not of the form `{destination_service="…"}`: whom it is about nobody can say. `{}` only where all are so. */
  readonly unreadable: string | undefined
}

/** What the samples tell a fence in `namespace`. */
export function readSamples(samples: readonly Sample[], namespace: string, { isExternal, resolve }: HostLookup): Reading {
  const hosts = new Map<string, number>()
  const named = new Set<string>()
  let unreadable: string | undefined
  let [bare, readable] = [false, false]
  for (const sample of samples) {
    const [pair, another] = Object.entries(sample.labels)
    // a series without the label that the query groups by
    if (pair === undefined) {
      bare = true
      continue
    }
    if (another !== undefined || !isDestinationLabel(pair[0])) {
      unreadable ??= keyOfSample(sample)
      continue
    }
    readable = true
    const name = pair[1].split(':', 1)[0]!.toLowerCase()
    const full = learnableHost(name, namespace, isExternal)
    if (full === undefined) continue
    // as it is written too: what was learned as external stays so while its ServiceEntry is away
    for (const host of name.includes('.') ? [full, name] : [full]) named.add(host)
    const host = resolve(name, namespace)
    if (host === undefined) continue
    named.add(host)
    hosts.set(host, (hosts.get(host) ?? 0) + Number(sample.value))
  }
  return { hosts, named, unreadable: unreadable ?? (bare && !readable ? '{}' : undefined) }
}
