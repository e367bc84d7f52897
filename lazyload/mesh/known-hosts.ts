/** Which hosts the mesh knows: Services, ServiceEntries, VirtualServices. Turns what a caller wrote into a host that a Sidecar can list. */
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { isHostName } from '../../module/names.ts'
import { exposureOfEntry, exposureOfService } from '../keep/exposure.ts'
import { CLUSTER_DOMAIN, serviceHost, serviceOf } from './host-name.ts'

/** What follows `svc` in a full name. */
const REST = CLUSTER_DOMAIN.slice('svc'.length)

export interface KnownHosts {
  /** Takes in a change of the cache of ServiceEntries. */
  readonly changeEntry: (previous: KubeObject | undefined, current: KubeObject | undefined) => void
  /** Known as it is, outside of the cluster's own domain. */
  readonly isExternal: (host: string) => boolean
  /** The full host of `name` (lower case, no port) as a caller in `namespace` means it; undefined when nothing is known under it. */
  readonly resolve: (name: string, namespace: string) => string | undefined
}

export interface HostSources {
  /** By `namespace/name`. */
  readonly hasService: (key: string) => boolean
  readonly hasVirtualService: (host: string) => boolean
}

export function createKnownHosts({ hasService, hasVirtualService }: HostSources): KnownHosts {
  /** Host to the ServiceEntries that have it. */
  const entries = new Map<string, Set<string>>()

  const isExternal = (host: string): boolean => !host.endsWith(`.${CLUSTER_DOMAIN}`) && (entries.has(host) || hasVirtualService(host))

  /** `details`, `details.default`, `details.default.svc`: what the resolver of a pod in `namespace` would try. */
  function asService(name: string, namespace: string): string | undefined {
    const [service = '', of, svc, ...rest] = (name.endsWith(`.${CLUSTER_DOMAIN}`) ? name.slice(0, -REST.length) : name).split('.')
    if (rest.length > 0 || (svc !== undefined && svc !== 'svc')) return undefined
    return hasService(`${of ?? namespace}/${service}`) ? serviceHost(service, of ?? namespace) : undefined
  }

  return {
    isExternal,
    changeEntry(previous, current) {
      const key = keyOf((current ?? previous)!)
      for (const host of hostsOf(previous)) {
        const keys = entries.get(host)
        keys?.delete(key)
        if (keys?.size === 0) entries.delete(host)
      }
      for (const host of hostsOf(current)) entries.set(host, (entries.get(host) ?? new Set()).add(key))
    },
    resolve(name, namespace) {
      if (!isHostName(name)) return undefined
      const service = asService(name, namespace)
      if (service !== undefined) return service
      return isExternal(name) || entries.has(name) || (serviceOf(name) !== undefined && hasVirtualService(name)) ? name : undefined
    },
  }
}

function hostsOf(entry: KubeObject | undefined): readonly string[] {
  return (entry?.['hosts'] ?? []) as readonly string[]
}

/** For the cache: the hosts, and how they are exposed. */
export function slimServiceEntry(object: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '' } = object.metadata
  const { hosts } = (object['spec'] ?? {}) as { readonly hosts?: readonly string[] | null }
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: { name, namespace, uid, resourceVersion },
    hosts: (hosts ?? []).map((host) => host.toLowerCase()),
    exposure: exposureOfEntry(object),
  }
}

/** Labels of a Service that are kept: memory for indexes is not a stranger's to take. */
const MAX_LABELS = 256

/** The first of them by name, where there are more than any Service needs. */
function boundedLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.keys(labels)
  if (names.length <= MAX_LABELS) return labels
  const kept = names.sort().slice(0, MAX_LABELS)
  return Object.fromEntries(kept.map((name) => [name, labels[name]!]))
}

/** For the cache: labels, selector, addresses, and how it is exposed. */
export function slimService(object: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '', labels, deletionTimestamp } = object.metadata
  const { selector, type, clusterIP, clusterIPs } = (object['spec'] ?? {}) as {
    readonly selector?: Readonly<Record<string, string>> | null
    readonly type?: string
    readonly clusterIP?: string
    readonly clusterIPs?: readonly string[] | null
  }
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion,
      ...(labels === undefined ? {} : { labels: boundedLabels(labels) }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
    // an ExternalName Service selects nothing, whatever it says
    selector: type === 'ExternalName' ? undefined : (selector ?? undefined),
    clusterIPs: (clusterIPs ?? [clusterIP ?? '']).filter((address) => address !== ''),
    exposure: exposureOfService(object),
  }
}

/** Without addresses of its own (`clusterIP: None`): its name stands for its pods, and each of them may have a name below it. */
export function isHeadless(service: KubeObject | undefined): boolean {
  return (service?.['clusterIPs'] as readonly string[] | undefined)?.includes(HEADLESS) === true
}

/** The addresses that a Service has for itself, as they are written. */
export function clusterIPsOf(service: KubeObject | undefined): readonly string[] {
  return ((service?.['clusterIPs'] ?? []) as readonly string[]).filter((address) => address !== HEADLESS)
}

const HEADLESS = 'None'

export function selectorOf(service: KubeObject | undefined): Readonly<Record<string, string>> | undefined {
  return service?.['selector'] as Readonly<Record<string, string>> | undefined
}
