/** Which fences a change elsewhere concerns: of a namespace, a Service, a route, a host. */
import { isDeepStrictEqual } from 'node:util'
import { keyOf, type KubeObject } from '../runtime/object.ts'
import { specOf, statusOf } from './fence/fence.ts'
import { MAX_SELECTED } from './fence/status.ts'
import { keyOfHost } from './learn/metric-key.ts'
import { serviceOf } from './mesh/host-name.ts'

interface Objects {
  readonly values: () => Iterable<KubeObject>
}

type Labels = Readonly<Record<string, string>>

export interface Concerned {
  /** Services and fences of a namespace. */
  readonly ofNamespace: (namespace: string) => ReadonlySet<string>
  /** Fences that depend on one of these hosts. */
  readonly byHosts: (hosts: readonly string[]) => readonly string[]
  /** Fences that have learned one of these hosts, or a name that may mean it, or have it in their spec. */
  readonly byNames: (hosts: readonly string[]) => readonly string[]
  /** Fences that select Services by labels which this Service has, or had; and those that name it, when it comes or goes. */
  readonly byService: (previous: KubeObject | undefined, current: KubeObject | undefined) => readonly string[]
  /** Services, in any namespace, with all these labels. */
  readonly servicesWith: (labels: Labels) => readonly KubeObject[]
}

export function createConcerned({ fences, services }: { readonly fences: Objects; readonly services: Objects }): Concerned {
  const keysWhere = (test: (fence: KubeObject) => boolean): readonly string[] => [...fences.values()].filter(test).map(keyOf)
  return {
    ofNamespace(namespace) {
      const inside = ({ metadata }: KubeObject): boolean => metadata.namespace === namespace
      return new Set([...[...services.values()].filter(inside), ...[...fences.values()].filter(inside)].map(keyOf))
    },
    byHosts(hosts) {
      const namespaces = new Set(hosts.map((host) => `${serviceOf(host)?.split('/')[0] ?? ''}/*`))
      const exact = new Set(hosts)
      const wildcards = hosts.filter((host) => host.startsWith('*')).map((host) => host.slice(1))
      return keysWhere((fence) => {
        const domains = statusOf(fence).domains ?? {}
        const names = Object.keys(domains)
        // of what selectors bring the status names only the first
        if (names.length >= MAX_SELECTED && names.filter((name) => domains[name]?.source === 'labelSelector').length >= MAX_SELECTED)
          return true
        return names.some((name) => exact.has(name) || namespaces.has(name) || wildcards.some((suffix) => name.endsWith(suffix)))
      })
    },
    byNames(hosts) {
      const names = hosts.filter((host) => host.split('.').length <= 2).map((host) => ({ host, key: keyOfHost(host) }))
      if (names.length === 0) return []
      return keysWhere((fence) => names.some(({ host, key }) => statusOf(fence).metricStatus?.[key] !== undefined || isNamed(fence, host)))
    },
    byService(previous, current) {
      const [before, after] = [previous?.metadata.labels, current?.metadata.labels]
      if (previous !== undefined && current !== undefined && isDeepStrictEqual(before, after)) return []
      const { name, namespace } = (current ?? previous)!.metadata
      const names = previous === undefined || current === undefined ? [`${name}.${namespace}`, `${name}.${namespace}.svc`] : []
      return keysWhere(
        (fence) =>
          names.some((host) => isNamed(fence, host)) ||
          (specOf(fence).labelSelector ?? []).some((entry) => matches(before, entry?.selector) || matches(after, entry?.selector)),
      )
    },
    servicesWith: (labels) => [...services.values()].filter(({ metadata }) => matches(metadata.labels, labels)),
  }
}

/** In `spec.host`, as it is usually written. */
function isNamed(fence: KubeObject, host: string): boolean {
  return specOf(fence).host?.[host] !== undefined
}

function matches(labels: Labels | undefined, wanted: Labels | null | undefined): boolean {
  const pairs = Object.entries(wanted ?? {})
  return pairs.length > 0 && pairs.every(([key, value]) => labels?.[key] === value)
}
