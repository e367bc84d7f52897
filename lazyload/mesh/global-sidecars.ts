/**
 * Whether what a Sidecar lacks can still be reached: that takes the Service `global-sidecar`, a ready endpoint behind it, and the
 * catch-all, the EnvoyFilter that sends unknown hosts there.
 *
 * In mode namespace all three are in the fence's own namespace, so whoever forges one misleads nobody but himself. In mode cluster they
 * are in the module's and in Istio's namespace, and nowhere else.
 */
import type { KubeObject } from '../../runtime/object.ts'
import { CATCH_ALL_ANNOTATION, GLOBAL_SIDECAR, LEAVING_ANNOTATION } from '../kinds.ts'
import { globalSidecarHome, type HostOptions } from '../sidecar/hosts.ts'

export interface GlobalSidecarsOptions {
  readonly hosts: Pick<HostOptions, 'mode' | 'istioNamespace' | 'slimeNamespace' | 'clusterGsNamespace'>
  /** Whether there is a Service `namespace/name`. */
  readonly hasService: (key: string) => boolean
  /** What `missing` says may have changed: for fences of this namespace, or for all where it is undefined. */
  readonly onChange: (namespace: string | undefined) => void
}

/** What a fence needs and does not find. */
export interface Missing {
  /** Where the global-sidecar should be. */
  readonly home: string
  /** In words; empty when nothing is missing. */
  readonly parts: readonly string[]
  /** Not even the Service is there: most likely nobody asked for a global-sidecar here. */
  readonly service: boolean
}

export interface GlobalSidecars {
  /** Take in changes of the caches: EnvoyFilters called `to-global-sidecar`, EndpointSlices of Services called `global-sidecar`, these Services. */
  readonly changeFilter: (previous: KubeObject | undefined, current: KubeObject | undefined) => void
  readonly changeSlice: (previous: KubeObject | undefined, current: KubeObject | undefined) => void
  readonly changeService: (namespace: string) => void
  /** What fences of `namespace` miss; undefined where nothing is missing, or no global-sidecar is to be. */
  readonly missing: (namespace: string) => Missing | undefined
}

export function createGlobalSidecars({ hosts, hasService, onChange }: GlobalSidecarsOptions): GlobalSidecars {
  /** Namespaces with an EnvoyFilter that counts as a catch-all. */
  const catchAlls = new Set<string>()
  /** By namespace the slices with a ready endpoint. */
  const ready = new Map<string, Set<string>>()
  const filterNamespaceOf = (namespace: string): string => (hosts.mode === 'cluster' ? hosts.istioNamespace : namespace)

  function told(namespace: string, place: 'home' | 'filter'): void {
    if (hosts.mode === 'namespace') onChange(namespace)
    else if (namespace === (place === 'home' ? globalSidecarHome('', hosts) : hosts.istioNamespace)) onChange(undefined)
  }

  return {
    changeFilter(previous, current) {
      const { namespace = '' } = (current ?? previous)!.metadata
      const before = catchAlls.has(namespace)
      if (current !== undefined && isCatchAll(current)) catchAlls.add(namespace)
      else catchAlls.delete(namespace)
      if (before !== catchAlls.has(namespace)) told(namespace, 'filter')
    },
    changeSlice(previous, current) {
      const { namespace = '', name } = (current ?? previous)!.metadata
      const slices = ready.get(namespace) ?? new Set<string>()
      const before = slices.size > 0
      if (current?.['ready'] === true) slices.add(name)
      else slices.delete(name)
      if (slices.size > 0) ready.set(namespace, slices)
      else ready.delete(namespace)
      if (before !== slices.size > 0) told(namespace, 'home')
    },
    changeService: (namespace) => told(namespace, 'home'),
    missing(namespace) {
      const home = globalSidecarHome(namespace, hosts)
      if (home === undefined) return undefined
      const filterNamespace = filterNamespaceOf(namespace)
      const service = !hasService(`${home}/${GLOBAL_SIDECAR}`)
      const parts = [
        ...(service ? [`Service ${home}/${GLOBAL_SIDECAR}`] : []),
        ...(catchAlls.has(filterNamespace) ? [] : [`the catch-all (EnvoyFilter ${filterNamespace}/to-global-sidecar)`]),
        ...(service || ready.has(home) ? [] : [`a ready endpoint of Service ${home}/${GLOBAL_SIDECAR}`]),
      ]
      return parts.length === 0 ? undefined : { home, parts, service }
    },
  }

  /**
   * By its name, which every install gives it. One of the operator's also says whose proxies it patches and where it sends them: that
   * must be what the fences here need. One that is on its way out, or is for some pods only, does not count.
   */
  function isCatchAll({ metadata, selective }: KubeObject & { readonly selective?: boolean }): boolean {
    const { namespace = '', annotations = {}, deletionTimestamp } = metadata
    if (deletionTimestamp !== undefined || annotations[LEAVING_ANNOTATION] !== undefined || selective === true) return false
    const scope = hosts.mode === 'cluster' ? '*' : namespace
    const mark = annotations[CATCH_ALL_ANNOTATION]
    return mark === undefined || mark === `${scope}=${globalSidecarHome(namespace, hosts)}`
  }
}

/** For the cache: whose it is, and whether it is for all pods. */
export function slimCatchAll(object: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '', annotations = {}, deletionTimestamp } = object.metadata
  const { workloadSelector } = (object['spec'] ?? {}) as { readonly workloadSelector?: { readonly labels?: object | null } | null }
  const marks = Object.entries(annotations).filter(([key]) => key === CATCH_ALL_ANNOTATION || key === LEAVING_ANNOTATION)
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion,
      annotations: Object.fromEntries(marks),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
    selective: Object.keys(workloadSelector?.labels ?? {}).length > 0,
  }
}

/** For the cache: whether one of its endpoints takes calls. A condition that is not said counts as true, as the API says. */
export function slimReadiness(object: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '' } = object.metadata
  const { endpoints } = object as {
    readonly endpoints?: readonly { readonly conditions?: { readonly ready?: boolean | null } | null }[] | null
  }
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: { name, namespace, uid, resourceVersion },
    ready: (endpoints ?? []).some(({ conditions }) => conditions?.ready !== false),
  }
}
