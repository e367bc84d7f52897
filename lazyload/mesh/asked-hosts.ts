/**
 * Which hosts of the mesh a caller meant with what it wrote into a request: besides the names of Services and ServiceEntries also the
 * names of single pods, hosts below a wildcard, and addresses. The answer is what a Sidecar has to list for them.
 */
import { isIP } from 'node:net'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { canonicalAddress } from './endpoints.ts'
import { isHostName } from '../../module/names.ts'
import { CLUSTER_DOMAIN, coversCluster, serviceHost, wildcardsFor } from './host-name.ts'
import { clusterIPsOf, isHeadless, type KnownHosts } from './known-hosts.ts'

export interface AskedHosts {
  /** Takes in a change of the cache of Services. */
  readonly changeService: (previous: KubeObject | undefined, current: KubeObject | undefined) => void
  /**
   * The hosts for `name` (lower case, no port, no brackets) as a caller in `namespace` means it; several only for the address of a pod
   * behind several Services. None for what the mesh does not know.
   */
  readonly hostsFor: (name: string, namespace: string) => readonly string[]
}

export interface AskedHostsOptions {
  readonly known: Pick<KnownHosts, 'resolve' | 'isExternal'>
  /** By `namespace/name`. */
  readonly service: (key: string) => KubeObject | undefined
  /** `namespace/name` of the Services behind which an address is. */
  readonly servicesOf: (address: string) => readonly string[]
}

const NONE: readonly string[] = []

export function createAskedHosts({ known, service, servicesOf }: AskedHostsOptions): AskedHosts {
  /** ClusterIP to Service. No two Services have the same. */
  const byAddress = new Map<string, string>()

  /** A pod of a StatefulSet: `web-0.web`, `web-0.web.default`, `web-0.web.default.svc`, with or without the rest. */
  function servicesOfPodName(name: string, namespace: string): readonly string[] {
    const inCluster = name.endsWith(`.${CLUSTER_DOMAIN}`)
    const [, of = '', home = namespace, svc, ...rest] = (inCluster ? name.slice(0, -REST.length) : name).split('.')
    if (rest.length > 0 || (svc !== undefined && svc !== 'svc') || (inCluster && svc === undefined)) return NONE
    const found = service(`${home}/${of}`)
    if (found === undefined) return NONE
    // below a Service with an address DNS knows no names, and `shop.dev` need not mean a Service called dev
    return svc === 'svc' || isHeadless(found) ? [serviceHost(of, home)] : NONE
  }

  function hostsForAddress(address: string): readonly string[] {
    const key = byAddress.get(address)
    return (key === undefined ? servicesOf(address) : [key]).map((each) => {
      const [namespace = '', name = ''] = each.split('/')
      return serviceHost(name, namespace)
    })
  }

  return {
    changeService(previous, current) {
      const key = keyOf((current ?? previous)!)
      for (const address of clusterIPsOf(previous).map(canonicalAddress)) if (byAddress.get(address) === key) byAddress.delete(address)
      for (const address of clusterIPsOf(current).map(canonicalAddress)) byAddress.set(address, key)
    },
    hostsFor(name, namespace) {
      const host = known.resolve(name, namespace)
      if (host !== undefined) return [host]
      if (!isHostName(name)) return isIP(name) === 0 ? NONE : hostsForAddress(canonicalAddress(name))
      const services = servicesOfPodName(name, namespace)
      if (services.length > 0) return services
      // Envoy takes the longest, too
      const wildcard = wildcardsFor(name).find((pattern) => isUsable(pattern) && known.isExternal(pattern))
      return wildcard === undefined ? NONE : [wildcard]
    },
  }
}

const isUsable = (pattern: string): boolean => isHostName(pattern) && !coversCluster(pattern)

/** What follows `svc` in a full name. */
const REST = CLUSTER_DOMAIN.slice('svc'.length)
