/** What VirtualServices say: who asks for a host needs the hosts that it is routed to (spec 2.8). */
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { REVISION_LABEL } from '../kinds.ts'
import type { ExportTo } from '../keep/visibility.ts'
import { createPostings } from '../postings.ts'
import { completeShortName, serviceOf, wildcardsFor } from './host-name.ts'

/** Destinations of one VirtualService, and of one host, that are taken: what whoever writes VirtualServices adds to the Sidecars of all. */
export const MAX_DESTINATIONS = 1000
/** The same, counted as often as VirtualServices name them. */
const MAX_LOOKED_AT = 50_000

/** A VirtualService cut down to names, short ones completed with its namespace as Istio does it. */
export interface RoutedHosts {
  readonly hosts: readonly string[]
  readonly destinations: readonly string[]
  /** `namespace/name` of VirtualServices that hold some of the routes. */
  readonly delegates: readonly string[]
  /** Its own. */
  readonly namespace: string
  readonly exportTo: ExportTo
  /** A match of it looks at who calls, so that nobody else can route for the caller. */
  readonly byCaller: boolean
}

interface Destination {
  readonly destination?: { readonly host?: string } | null
}

interface Match {
  readonly sourceLabels?: object | null
  readonly sourceNamespace?: string | null
  readonly gateways?: readonly string[] | null
}

interface Route {
  readonly match?: readonly (Match | null)[] | null
  readonly route?: readonly (Destination | null)[] | null
}

interface HttpRoute extends Route {
  readonly mirror?: { readonly host?: string } | null
  readonly mirrors?: readonly (Destination | null)[] | null
  readonly delegate?: { readonly name?: string; readonly namespace?: string } | null
}

interface VirtualServiceSpec {
  readonly hosts?: readonly string[] | null
  readonly gateways?: readonly string[] | null
  readonly http?: readonly (HttpRoute | null)[] | null
  readonly tcp?: readonly (Route | null)[] | null
  readonly tls?: readonly (Route | null)[] | null
  readonly exportTo?: readonly string[] | null
}

/** For the cache: only what is read. A VirtualService for gateways alone routes nothing in a sidecar. */
export function slimVirtualService(object: KubeObject): KubeObject {
  const { name, namespace = '', labels, uid, resourceVersion } = object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      namespace,
      ...(labels?.[REVISION_LABEL] === undefined ? {} : { labels: { [REVISION_LABEL]: labels[REVISION_LABEL] } }),
      uid: uid ?? '',
      resourceVersion: resourceVersion ?? '',
    },
    routed: readVirtualService(object['spec'] ?? {}, namespace),
  }
}

function readVirtualService({ hosts, gateways, http, tcp, tls, exportTo }: VirtualServiceSpec, namespace: string): RoutedHosts {
  const common = { namespace, exportTo: exportTo ?? undefined }
  if (gateways !== undefined && gateways !== null && gateways.length > 0 && !gateways.includes('mesh'))
    return { ...common, hosts: [], destinations: [], delegates: [], byCaller: false }
  const complete = (host: string): string => completeShortName(host.toLowerCase(), namespace)
  const destinations = [
    ...[...(http ?? []), ...(tcp ?? []), ...(tls ?? [])].flatMap((route) => (route?.route ?? []).map((to) => to?.destination?.host)),
    ...(http ?? []).flatMap((route) => [route?.mirror?.host, ...(route?.mirrors ?? []).map((to) => to?.destination?.host)]),
  ]
  const delegates = (http ?? []).map((route) =>
    route?.delegate?.name === undefined ? undefined : `${route.delegate.namespace || namespace}/${route.delegate.name}`,
  )
  return {
    hosts: unique((hosts ?? []).map(complete)),
    destinations: firstOf(unique(destinations.filter(isText).map(complete))),
    delegates: firstOf(unique(delegates.filter(isText))),
    ...common,
    byCaller: [...(http ?? []), ...(tcp ?? []), ...(tls ?? [])].some((route) => (route?.match ?? []).some(looksAtCaller)),
  }
}

function looksAtCaller(match: Match | null): boolean {
  const { sourceLabels, sourceNamespace, gateways } = match ?? {}
  return Object.keys(sourceLabels ?? {}).length > 0 || isText(sourceNamespace ?? undefined) || (gateways ?? []).length > 0
}

/** Itself, or together with those that it delegates to or that delegate to it. */
export function mayLookAtCaller(virtualService: KubeObject | undefined): boolean {
  if (virtualService === undefined) return false
  const { byCaller, delegates, hosts } = routedOf(virtualService)
  return byCaller || delegates.length > 0 || hosts.length === 0
}

export interface VirtualServiceIndex {
  /** Takes in a change of the cache; returns the hosts whose routes may be others now. */
  readonly change: (previous: KubeObject | undefined, current: KubeObject | undefined) => readonly string[]
  /** Where requests for `host` are routed to, without `host` itself; those of each pattern sorted. */
  readonly destinationsOf: (host: string) => readonly string[]
  /** Where requests for the services of `namespace` are routed to outside of it; sorted. */
  readonly destinationsOfAll: (namespace: string) => readonly string[]
  readonly has: (host: string) => boolean
  /** The VirtualServices that look at who calls, themselves or in what they delegate to, with all that they route to. */
  readonly byCaller: () => readonly RoutedHosts[]
}

export function createVirtualServiceIndex(): VirtualServiceIndex {
  const routed = new Map<string, RoutedHosts>()
  /** VirtualServices by their hosts. */
  const byHost = createPostings()
  /** Hosts that have VirtualServices, by the namespace of their Service. */
  const hostsIn = createPostings()
  /** VirtualServices by those that they delegate to. */
  const roots = createPostings()
  /** What the VirtualServices of one host, or of one wildcard, lead to; until one of them changes. */
  const known = new Map<string, ReadonlySet<string>>()

  function put(key: string, value: RoutedHosts | undefined): void {
    const concerned = [...(routed.get(key)?.hosts ?? []), ...(value?.hosts ?? [])]
    byHost.set(key, value?.hosts ?? [])
    roots.set(key, value?.delegates ?? [])
    if (value === undefined) routed.delete(key)
    else routed.set(key, value)
    for (const host of concerned) {
      const namespace = serviceOf(host)?.split('/')[0]
      if (namespace !== undefined) hostsIn.set(host, byHost.get(host).size === 0 ? [] : [namespace])
    }
    known.clear()
  }

  /** Where these VirtualServices lead to. Istio follows one level of delegation. */
  function collect(keys: Iterable<string>, isWanted: (destination: string) => boolean): readonly string[] {
    const found = new Set<string>()
    let room = MAX_LOOKED_AT
    for (const key of keys) {
      const { destinations = [], delegates = [] } = routed.get(key) ?? {}
      for (const list of [destinations, ...delegates.map((delegate) => routed.get(delegate)?.destinations ?? [])]) {
        room -= list.length
        for (const destination of list) if (isWanted(destination)) found.add(destination)
        if (found.size >= MAX_DESTINATIONS || room < 0) return [...found].slice(0, MAX_DESTINATIONS).sort()
      }
    }
    return [...found].sort()
  }

  /** In their order. */
  function destinationsUnder(pattern: string): ReadonlySet<string> {
    const before = known.get(pattern)
    if (before !== undefined) return before
    const found = new Set(collect(byHost.get(pattern), () => true))
    known.set(pattern, found)
    return found
  }

  return {
    change(previous, current) {
      const object = current ?? previous
      if (object === undefined) return []
      const key = keyOf(object)
      put(key, current === undefined ? undefined : routedOf(current))
      const affected = [previous, current].flatMap((each) => (each === undefined ? [] : routedOf(each).hosts))
      return unique([...affected, ...[...roots.get(key)].flatMap((root) => routed.get(root)?.hosts ?? [])])
    },
    destinationsOf(host) {
      // most hosts have no VirtualService, some have one; those of the host itself come first
      const all = [host, ...wildcardsFor(host)].flatMap((pattern) => (byHost.get(pattern).size === 0 ? [] : [destinationsUnder(pattern)]))
      const [last, ...before] = all.toReversed()
      if (last === undefined) return NONE
      const inner = before
        .toReversed()
        .flatMap((set) => [...set])
        .filter((destination) => !last.has(destination))
      const list = inner.length === 0 ? [...last] : [...new Set(inner), ...last].slice(0, MAX_DESTINATIONS)
      return last.has(host) || inner.includes(host) ? list.filter((destination) => destination !== host) : list
    },
    destinationsOfAll(namespace) {
      const keys = new Set([...hostsIn.get(namespace)].flatMap((host) => [...byHost.get(host)]))
      return collect(keys, (host) => serviceOf(host)?.startsWith(`${namespace}/`) !== true)
    },
    has: (host) => byHost.get(host).size > 0,
    byCaller: () =>
      [...routed].flatMap(([key, value]) => {
        const looks = value.byCaller || value.delegates.some((delegate) => routed.get(delegate)?.byCaller === true)
        return looks && value.hosts.length > 0 ? [{ ...value, destinations: collect([key], () => true) }] : []
      }),
  }
}

const NONE: readonly string[] = []

function firstOf(names: readonly string[]): readonly string[] {
  return names.length > MAX_DESTINATIONS ? names.slice(0, MAX_DESTINATIONS) : names
}

function routedOf(object: KubeObject): RoutedHosts {
  return object['routed'] as RoutedHosts
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)]
}

function isText(value: string | undefined): value is string {
  return value !== undefined && value !== ''
}
