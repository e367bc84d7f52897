/** The hosts of a fence's Sidecar, in the order of the tutorial (spec 2.4). */
import type { Domain, Domains } from '../fence/fence.ts'
import { GLOBAL_SIDECAR } from '../kinds.ts'
import { namespaceOfAll } from '../../module/names.ts'
import type { GlobalSidecarMode } from '../../module/settings.ts'
import { serviceHost, serviceOf } from '../mesh/host-name.ts'

export interface HostOptions {
  readonly mode: GlobalSidecarMode
  readonly istioNamespace: string
  readonly slimeNamespace: string
  readonly clusterGsNamespace: string | undefined
  readonly stableHosts: readonly string[]
}

/**
 * Dependencies sorted by bytes, with the hosts to `keep` among them; then what every Sidecar has: Istio's namespace, ours, and in
 * namespace mode the global-sidecar.
 */
export function sidecarHosts(
  domains: Domains,
  fenceNamespace: string,
  options: HostOptions,
  keep: readonly string[] = [],
): readonly string[] {
  const constant = constantHosts(fenceNamespace, options)
  const kept = keep.filter((host) => !constant.includes(host))
  const dependencies = dependencyHosts(domains, options.stableHosts)
  return [...new Set([...(kept.length === 0 ? dependencies : [...dependencies, ...kept].sort()), ...constant])]
}

/** The kept ones as a Sidecar lists them, without those in a namespace that it lists as a whole. */
export function keptEgress(
  kept: readonly { readonly host: string }[],
  domains: Domains,
  stableHosts: readonly string[],
): readonly string[] {
  const whole = new Set([...Object.keys(domains).filter((key) => domains[key]?.status !== 'EXPIRE'), ...stableHosts].map(namespaceOfAll))
  whole.delete(undefined)
  return kept.flatMap(({ host }) => (whole.size > 0 && whole.has(serviceOf(host)?.split('/')[0]) ? [] : [egressHost(host)]))
}

/** What at least one of them depends on. */
export function unionOf(all: readonly Domains[]): Domains {
  if (all.length === 1) return all[0]!
  const union = new Map<string, Domain>()
  for (const [key, domain] of all.flatMap((domains) => Object.entries(domains))) {
    const other = union.get(key)
    if (other === undefined || other.status === 'EXPIRE') union.set(key, domain)
    else if (domain.status !== 'EXPIRE') union.set(key, { ...other, hosts: [...other.hosts, ...domain.hosts] })
  }
  return Object.fromEntries(union)
}

/** `*` + `/host` for a host, `namespace/*` as it is; without those that have expired. Sorted, no host twice. */
export function dependencyHosts(domains: Domains, stableHosts: readonly string[] = []): readonly string[] {
  const live = Object.entries(domains).filter(([, { status }]) => status !== 'EXPIRE')
  // many domains lead to the same hosts: each is looked at once
  const hosts = new Set(stableHosts)
  for (const [key, domain] of live) {
    if (namespaceOfAll(key) !== undefined) hosts.add(key)
    for (const host of domain.hosts) hosts.add(host)
  }
  // host names are ASCII: JavaScript's order of UTF-16 units is that of bytes
  return [...new Set([...hosts].map(egressHost))].sort()
}

function egressHost(host: string): string {
  return namespaceOfAll(host) === undefined ? `*/${host}` : host
}

/** Where the global-sidecar of a fence in `fenceNamespace` is; undefined where there is none to be. */
export function globalSidecarHome(
  fenceNamespace: string,
  { mode, slimeNamespace, clusterGsNamespace }: Pick<HostOptions, 'mode' | 'slimeNamespace' | 'clusterGsNamespace'>,
): string | undefined {
  if (mode === 'no') return undefined
  return mode === 'namespace' ? fenceNamespace : (clusterGsNamespace ?? slimeNamespace)
}

/** What every Sidecar of a namespace has. */
export function constantHosts(
  fenceNamespace: string,
  { mode, istioNamespace, slimeNamespace, clusterGsNamespace }: HostOptions,
): readonly string[] {
  const hosts = [`${istioNamespace}/*`, `${slimeNamespace}/*`]
  if (mode === 'namespace') return [...hosts, egressHost(serviceHost(GLOBAL_SIDECAR, fenceNamespace))]
  // in slimeNamespace it is among that namespace's services
  if (mode === 'cluster' && clusterGsNamespace !== undefined && clusterGsNamespace !== slimeNamespace)
    return [...hosts, egressHost(serviceHost(GLOBAL_SIDECAR, clusterGsNamespace))]
  return hosts
}
