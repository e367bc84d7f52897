/** The hosts of a fence's Sidecar, in the order of the tutorial (spec 2.4). */
import type { GlobalSidecarMode } from '../config.ts'
import type { Domains } from '../fence/fence.ts'
import { namespaceOfAll, serviceHost } from '../mesh/host-name.ts'

export interface HostOptions {
  readonly mode: GlobalSidecarMode
  readonly istioNamespace: string
  readonly slimeNamespace: string
  readonly clusterGsNamespace: string | undefined
  readonly stableHosts: readonly string[]
}

/** Dependencies sorted by bytes, then what every Sidecar has: Istio's namespace, ours, and in namespace mode the global-sidecar. */
export function sidecarHosts(domains: Domains, fenceNamespace: string, options: HostOptions): readonly string[] {
  return [...new Set([...dependencyHosts(domains, options.stableHosts), ...constantHosts(fenceNamespace, options)])]
}

/** `*` + `/host` for a host, `namespace/*` as it is; without those that have expired. Sorted, no host twice. */
export function dependencyHosts(domains: Domains, stableHosts: readonly string[] = []): readonly string[] {
  const live = Object.entries(domains).filter(([, { status }]) => status !== 'EXPIRE')
  const hosts = live.flatMap(([key, domain]) => [...(namespaceOfAll(key) === undefined ? [] : [key]), ...domain.hosts])
  // host names are ASCII: JavaScript's order of UTF-16 units is that of bytes
  return [...new Set([...hosts, ...stableHosts].map(egressHost))].sort()
}

function egressHost(host: string): string {
  return namespaceOfAll(host) === undefined ? `*/${host}` : host
}

function constantHosts(
  fenceNamespace: string,
  { mode, istioNamespace, slimeNamespace, clusterGsNamespace }: HostOptions,
): readonly string[] {
  const hosts = [`${istioNamespace}/*`, `${slimeNamespace}/*`]
  if (mode === 'namespace') return [...hosts, egressHost(serviceHost('global-sidecar', fenceNamespace))]
  // in slimeNamespace it is among that namespace's services
  if (mode === 'cluster' && clusterGsNamespace !== undefined && clusterGsNamespace !== slimeNamespace)
    return [...hosts, egressHost(serviceHost('global-sidecar', clusterGsNamespace))]
  return hosts
}
