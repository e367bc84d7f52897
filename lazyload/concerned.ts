/**
 * Which fences a change elsewhere concerns, and which Services labels select: indexes, so that neither depends on how many fences and
 * Services there are.
 */
import { isDeepStrictEqual } from 'node:util'
import { keyOf, type KubeObject } from '../runtime/object.ts'
import type { Selected } from './fence/domains.ts'
import { type FenceSpec, specOf, statusOf } from './fence/fence.ts'
import { isTooLarge } from './fence/limits.ts'
import { MAX_SELECTED } from './fence/status.ts'
import { keyOfHost } from './learn/metric-key.ts'
import { serviceHost, serviceOf } from './mesh/host-name.ts'
import { createPostings } from './postings.ts'

type Change = (previous: KubeObject | undefined, current: KubeObject | undefined) => void
type Labels = Readonly<Record<string, string>>

export interface Concerned {
  /** Take in a change of the cache of fences, of Services. */
  readonly changeFence: Change
  readonly changeService: Change
  /** Services and fences of a namespace. */
  readonly ofNamespace: (namespace: string) => ReadonlySet<string>
  /** Fences that depend on one of these hosts. */
  readonly byHosts: (hosts: readonly string[]) => Iterable<string>
  /** Fences that have learned one of these hosts, or a name that may mean it, or have it in their spec. */
  readonly byNames: (hosts: readonly string[]) => Iterable<string>
  /** Fences that select Services by labels which this Service has, or had; and those that name it, when it comes or goes. */
  readonly byService: (previous: KubeObject | undefined, current: KubeObject | undefined) => Iterable<string>
  /** Hosts of the Services, in any namespace, with all these labels; undefined where more than `limit` had to be looked at. */
  readonly servicesWith: (labels: Labels, limit: number) => Selected | undefined
}

export function createConcerned(service: (key: string) => KubeObject | undefined): Concerned {
  const servicesIn = createPostings()
  /** By `label=value`. */
  const servicesBy = createPostings()
  const fencesIn = createPostings()
  /** By what `status.domains` names. */
  const fencesOn = createPostings()
  /** By `*.suffix` of what `status.domains` names. */
  const fencesBelow = createPostings()
  /** By the keys of `status.metricStatus` that are short names, and by the names in `spec.host`. */
  const fencesNaming = createPostings()
  /** By one `label=value` of each selector. */
  const fencesSelecting = createPostings()
  /** Of what their selectors bring the status names only the first. */
  const manySelected = new Set<string>()
  /** Of each fence its selectors, by that pair. */
  const selectors = new Map<string, ReadonlyMap<string, readonly Labels[]>>()

  return {
    changeService(previous, current) {
      const key = keyOf((current ?? previous)!)
      servicesIn.set(key, current === undefined ? [] : [current.metadata.namespace ?? ''])
      if (!isDeepStrictEqual(previous?.metadata.labels, current?.metadata.labels)) servicesBy.set(key, pairsOf(current?.metadata.labels))
    },

    changeFence(previous, current) {
      const key = keyOf((current ?? previous)!)
      const spec: FenceSpec = current === undefined || isTooLarge(current) ? {} : specOf(current)
      const { domains, metricStatus } = current === undefined ? {} : statusOf(current)
      const names = Object.keys(domains ?? {})
      fencesIn.set(key, current === undefined ? [] : [current.metadata.namespace ?? ''])
      fencesOn.set(key, names)
      fencesBelow.set(key, new Set(names.flatMap(wildcardsFor)))
      fencesNaming.set(key, [...Object.keys(metricStatus ?? {}).filter(isShortKey), ...Object.keys(spec.host ?? {})])
      const wanted = Map.groupBy(selectorsOf(spec), onePairOf)
      fencesSelecting.set(key, wanted.keys())
      if (wanted.size === 0) selectors.delete(key)
      else selectors.set(key, wanted)
      let selected = 0
      for (const name of names) if (domains?.[name]?.source === 'labelSelector') selected++
      if (selected >= MAX_SELECTED) manySelected.add(key)
      else manySelected.delete(key)
    },

    ofNamespace: (namespace) => new Set([...servicesIn.get(namespace), ...fencesIn.get(namespace)]),

    byHosts(hosts) {
      const found = new Set(manySelected)
      for (const host of hosts) {
        addAll(found, fencesOn.get(host))
        addAll(found, fencesOn.get(`${serviceOf(host)?.split('/')[0] ?? ''}/*`))
        if (host === '*') addAll(found, fencesOn.all())
        else if (host.startsWith('*')) addAll(found, fencesBelow.get(host))
      }
      return found
    },

    byNames(hosts) {
      const found = new Set<string>()
      for (const host of hosts) {
        if (host.split('.', 3).length > 2) continue
        addAll(found, fencesNaming.get(keyOfHost(host)))
        addAll(found, fencesNaming.get(host))
      }
      return found
    },

    byService(previous, current) {
      const [before, after] = [previous?.metadata.labels, current?.metadata.labels]
      if (previous !== undefined && current !== undefined && isDeepStrictEqual(before, after)) return []
      const found = new Set<string>()
      const { name, namespace } = (current ?? previous)!.metadata
      if (previous === undefined || current === undefined)
        for (const host of [`${name}.${namespace}`, `${name}.${namespace}.svc`]) addAll(found, fencesNaming.get(host))
      for (const labels of [before, after])
        for (const pair of pairsOf(labels))
          for (const key of fencesSelecting.get(pair))
            if (
              !found.has(key) &&
              selectors
                .get(key)
                ?.get(pair)
                ?.some((wanted) => matches(labels, wanted)) === true
            )
              found.add(key)
      return found
    },

    servicesWith(labels, limit) {
      // whoever has all of them has the rarest
      const [rarest] = pairsOf(labels)
        .map((pair) => servicesBy.get(pair))
        .sort((a, b) => a.size - b.size)
      if (rarest === undefined) return { hosts: [], lookedAt: 0 }
      if (rarest.size > limit) return undefined
      const found = [...rarest].flatMap((key) => service(key) ?? []).filter(({ metadata }) => matches(metadata.labels, labels))
      return { hosts: found.map(({ metadata }) => serviceHost(metadata.name, metadata.namespace ?? '')), lookedAt: rarest.size }
    },
  }
}

function addAll(found: Set<string>, keys: Iterable<string>): void {
  for (const key of keys) found.add(key)
}

function pairsOf(labels: Labels | undefined): readonly string[] {
  return Object.entries(labels ?? {}).map(([label, value]) => `${label}=${value}`)
}

function selectorsOf({ labelSelector }: FenceSpec): readonly Labels[] {
  return (labelSelector ?? []).flatMap((entry) => {
    const selector = entry?.selector ?? {}
    return Object.keys(selector).length === 0 ? [] : [selector]
  })
}

/** Any of them does, if it is always the same. */
function onePairOf(selector: Labels): string {
  for (const label in selector) return `${label}=${selector[label]}`
  return ''
}

/** `{destination_service="details.default"}`: a host of one or two labels may mean different things. */
function isShortKey(key: string): boolean {
  return key.split('.', 3).length <= 2
}

/** `*.b.c`, `*.c` for `a.b.c`. */
function wildcardsFor(host: string): readonly string[] {
  const found: string[] = []
  for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) found.push(`*${host.slice(dot)}`)
  return found
}

function matches(labels: Labels | undefined, wanted: Labels): boolean {
  for (const label in wanted) if (labels?.[label] !== wanted[label]) return false
  return true
}
