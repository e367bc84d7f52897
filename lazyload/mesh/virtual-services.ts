/** What VirtualServices say: who asks for a host needs the hosts that it is routed to (spec 2.8). */
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { completeShortName, serviceOf, wildcardsFor } from './host-name.ts'

/** A VirtualService cut down to names, short ones completed with its namespace as Istio does it. */
export interface RoutedHosts {
  readonly hosts: readonly string[]
  readonly destinations: readonly string[]
  /** `namespace/name` of VirtualServices that hold some of the routes. */
  readonly delegates: readonly string[]
}

interface Destination {
  readonly destination?: { readonly host?: string } | null
}

interface HttpRoute {
  readonly route?: readonly (Destination | null)[] | null
  readonly mirror?: { readonly host?: string } | null
  readonly mirrors?: readonly (Destination | null)[] | null
  readonly delegate?: { readonly name?: string; readonly namespace?: string } | null
}

interface VirtualServiceSpec {
  readonly hosts?: readonly string[] | null
  readonly gateways?: readonly string[] | null
  readonly http?: readonly (HttpRoute | null)[] | null
  readonly tcp?: readonly ({ readonly route?: readonly (Destination | null)[] | null } | null)[] | null
  readonly tls?: readonly ({ readonly route?: readonly (Destination | null)[] | null } | null)[] | null
}

/** For the cache: only what is read. A VirtualService for gateways alone routes nothing in a sidecar. */
export function slimVirtualService(object: KubeObject): KubeObject {
  const { name, namespace = '', labels, uid, resourceVersion } = object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: { name, namespace, ...(labels === undefined ? {} : { labels }), uid: uid ?? '', resourceVersion: resourceVersion ?? '' },
    routed: readVirtualService(object['spec'] ?? {}, namespace),
  }
}

function readVirtualService({ hosts, gateways, http, tcp, tls }: VirtualServiceSpec, namespace: string): RoutedHosts {
  if (gateways !== undefined && gateways !== null && gateways.length > 0 && !gateways.includes('mesh'))
    return { hosts: [], destinations: [], delegates: [] }
  const complete = (host: string): string => completeShortName(host.toLowerCase(), namespace)
  const destinations = [
    ...[...(http ?? []), ...(tcp ?? []), ...(tls ?? [])].flatMap((route) => (route?.route ?? []).map((to) => to?.destination?.host)),
    ...(http ?? []).flatMap((route) => [route?.mirror?.host, ...(route?.mirrors ?? []).map((to) => to?.destination?.host)]),
  ]
  const delegates = (http ?? []).map((route) =>
    route?.delegate?.name === undefined ? undefined : `${route.delegate.namespace || namespace}/${route.delegate.name}`,
  )
  return {
    hosts: (hosts ?? []).map(complete),
    destinations: unique(destinations.filter(isText).map(complete)),
    delegates: unique(delegates.filter(isText)),
  }
}

export interface VirtualServiceIndex {
  /** Takes in a change of the cache; returns the hosts whose routes may be others now. */
  readonly change: (previous: KubeObject | undefined, current: KubeObject | undefined) => readonly string[]
  /** Where requests for `host` are routed to, without `host` itself; sorted. */
  readonly destinationsOf: (host: string) => readonly string[]
  /** Where requests for the services of `namespace` are routed to outside of it; sorted. */
  readonly destinationsOfAll: (namespace: string) => readonly string[]
  readonly has: (host: string) => boolean
}

export function createVirtualServiceIndex(): VirtualServiceIndex {
  const routed = new Map<string, RoutedHosts>()
  /** Host to the VirtualServices for it. */
  const byHost = new Map<string, Set<string>>()
  /** VirtualService to those that delegate to it. */
  const roots = new Map<string, Set<string>>()

  function put(key: string, value: RoutedHosts | undefined): void {
    const before = routed.get(key)
    for (const host of before?.hosts ?? []) removeFrom(byHost, host, key)
    for (const delegate of before?.delegates ?? []) removeFrom(roots, delegate, key)
    if (value === undefined) routed.delete(key)
    else routed.set(key, value)
    for (const host of value?.hosts ?? []) addTo(byHost, host, key)
    for (const delegate of value?.delegates ?? []) addTo(roots, delegate, key)
  }

  /** Istio follows one level of delegation. */
  const destinationsFrom = (key: string): readonly string[] => {
    const { destinations = [], delegates = [] } = routed.get(key) ?? {}
    return [...destinations, ...delegates.flatMap((delegate) => routed.get(delegate)?.destinations ?? [])]
  }

  return {
    change(previous, current) {
      const object = current ?? previous
      if (object === undefined) return []
      const key = keyOf(object)
      put(key, current === undefined ? undefined : routedOf(current))
      const affected = [previous, current].flatMap((each) => (each === undefined ? [] : routedOf(each).hosts))
      return unique([...affected, ...[...(roots.get(key) ?? [])].flatMap((root) => routed.get(root)?.hosts ?? [])])
    },
    destinationsOf(host) {
      const keys = [host, ...wildcardsFor(host)].flatMap((pattern) => [...(byHost.get(pattern) ?? [])])
      return unique(keys.flatMap(destinationsFrom))
        .filter((destination) => destination !== host)
        .sort()
    },
    destinationsOfAll(namespace) {
      const inside = (host: string): boolean => serviceOf(host)?.startsWith(`${namespace}/`) === true
      const keys = [...byHost].filter(([host]) => inside(host)).flatMap(([, found]) => [...found])
      return unique(keys.flatMap(destinationsFrom))
        .filter((destination) => !inside(destination))
        .sort()
    },
    has: (host) => byHost.has(host),
  }
}

function routedOf(object: KubeObject): RoutedHosts {
  return object['routed'] as RoutedHosts
}

function addTo(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key)
  if (set === undefined) map.set(key, new Set([value]))
  else set.add(value)
}

function removeFrom(map: Map<string, Set<string>>, key: string, value: string): void {
  const set = map.get(key)
  set?.delete(value)
  if (set?.size === 0) map.delete(key)
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)]
}

function isText(value: string | undefined): value is string {
  return value !== undefined && value !== ''
}
