/**
 * A Sidecar without workloadSelector holds for all pods of its namespace, one in the mesh's root namespace for the whole mesh. A fence's
 * Sidecar takes its place for the fence's pods (Istio never merges two), so what it says is carried over.
 * https://istio.io/latest/docs/reference/config/networking/sidecar/
 */
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { REVISION_LABEL } from '../kinds.ts'
import { serviceOf } from '../mesh/host-name.ts'

export interface NamespaceWide {
  /** `namespace/name`. */
  readonly sidecar: string
  /** These fields of its spec, for the fence's Sidecar. */
  readonly carried: Readonly<Record<string, unknown>>
  /** The hosts that it lets pods reach, `namespace/host`; undefined: all. */
  readonly hosts: readonly string[] | undefined
  /** A field that a fence's Sidecar cannot have too; undefined: it carries everything. */
  readonly obstacle: string | undefined
}

const CARRIED = ['outboundTrafficPolicy', 'ingress', 'inboundConnectionPool']
const READ = new Set([...CARRIED, 'egress', 'workloadSelector'])

export interface NamespaceWideIndex {
  /** Takes in a change of the cache; returns the namespace that it is about, undefined where the Sidecar is about some pods only. */
  readonly change: (previous: KubeObject | undefined, current: KubeObject | undefined) => string | undefined
  /**
   * What holds for the pods of `fence`: what its own namespace says, else what `rootNamespace` says. `revision`: the one that istiod
   * reads for them, where it is not what the fence's label says (a tag).
   */
  readonly of: (fence: KubeObject, rootNamespace: string, revision?: string) => NamespaceWide | undefined
}

export function createNamespaceWideIndex(): NamespaceWideIndex {
  const byNamespace = new Map<string, Map<string, KubeObject>>()

  /** Istio takes the oldest. */
  function oldestOf(namespace: string, revision: string): KubeObject | undefined {
    const all = [...(byNamespace.get(namespace)?.values() ?? [])].filter(({ metadata }) => {
      const own = metadata.labels?.[REVISION_LABEL] ?? ''
      return own === '' || revision === '' || own === revision
    })
    return all.sort((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1))[0]
  }

  return {
    change(previous, current) {
      const object = (current ?? previous)!
      const { namespace = '' } = object.metadata
      const before = byNamespace.get(namespace)?.has(keyOf(object)) === true
      const after = current !== undefined && isNamespaceWide(current)
      if (!before && !after) return undefined
      const sidecars = byNamespace.get(namespace) ?? new Map<string, KubeObject>()
      if (after) sidecars.set(keyOf(object), object)
      else sidecars.delete(keyOf(object))
      if (sidecars.size === 0) byNamespace.delete(namespace)
      else byNamespace.set(namespace, sidecars)
      return namespace
    },
    of(fence, rootNamespace, resolved) {
      const { namespace = '', labels } = fence.metadata
      const revision = resolved ?? labels?.[REVISION_LABEL] ?? ''
      const sidecar = oldestOf(namespace, revision) ?? oldestOf(rootNamespace, revision)
      return sidecar === undefined ? undefined : readNamespaceWide(sidecar)
    },
  }
}

function isNamespaceWide(sidecar: KubeObject): boolean {
  const { workloadSelector } = (sidecar['spec'] ?? {}) as { readonly workloadSelector?: object | null }
  return workloadSelector === undefined || workloadSelector === null
}

function ageOf({ metadata }: KubeObject): string {
  return `${metadata.creationTimestamp ?? ''} ${metadata.name}`
}

export function readNamespaceWide(sidecar: KubeObject): NamespaceWide {
  const spec = (sidecar['spec'] ?? {}) as Readonly<Record<string, unknown>>
  const egress = (Array.isArray(spec['egress']) ? spec['egress'] : []) as readonly (Readonly<Record<string, unknown>> | null)[]
  const carried = Object.fromEntries(CARRIED.flatMap((field) => (isSaid(spec[field]) ? [[field, spec[field]]] : [])))
  const hosts = egress.flatMap((listener) => (listener?.['hosts'] ?? []) as readonly string[])
  return {
    sidecar: keyOf(sidecar),
    carried,
    hosts: egress.length === 0 || hosts.includes('*/*') ? undefined : hosts,
    obstacle: obstacleOf(spec, egress),
  }
}

function obstacleOf(
  spec: Readonly<Record<string, unknown>>,
  egress: readonly (Readonly<Record<string, unknown>> | null)[],
): string | undefined {
  const field = Object.keys(spec).find((key) => !READ.has(key) && isSaid(spec[key]))
  if (field !== undefined) return `spec.${field}`
  for (const [index, listener] of egress.entries()) {
    const special = Object.entries(listener ?? {}).find(([key, value]) => key !== 'hosts' && isSaid(value) && value !== 'DEFAULT')
    if (special !== undefined) return `spec.egress[${index}].${special[0]}`
  }
  return undefined
}

function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && (!Array.isArray(value) || value.length > 0)
}

/**
 * What of `hosts`, each `namespace/host` as a Sidecar has it, lies within `limit`; `namespace` is what `.` stands for. An entry that
 * lies within it in part is narrowed to that part.
 */
export function withinLimit(hosts: readonly string[], limit: readonly string[], namespace: string): readonly string[] {
  const allowed = limit
    .map((entry) => split(entry))
    .flatMap(([of, host]) => (of === '~' ? [] : [[of === '.' ? namespace : of, host] as const]))
  return [
    ...new Set(
      hosts.flatMap((entry) => {
        const [of, host] = split(entry)
        const home = serviceOf(host)?.split('/')[0]
        const isWithin = ([limitOf, limitHost]: readonly [string, string]): boolean =>
          (limitOf === '*' || limitOf === of) && covers(limitHost, host)
        if (allowed.some(isWithin)) return [entry]
        return allowed.flatMap(([allowedOf, allowedHost]) => {
          const commonHost = commonHostOf(host, allowedHost)
          const commonNamespace = of === '*' ? allowedOf : allowedOf === '*' || allowedOf === of ? of : undefined
          if (commonHost === undefined || commonNamespace === undefined) return []
          // a Service is in its own namespace only
          if (home !== undefined) return commonNamespace === '*' || commonNamespace === home ? [entry] : []
          return [`${commonNamespace}/${commonHost}`]
        })
      }),
    ),
  ]
}

function split(entry: string): readonly [namespace: string, host: string] {
  const slash = entry.indexOf('/')
  return [entry.slice(0, slash), entry.slice(slash + 1).toLowerCase()]
}

/** The narrower of the two; undefined where no host is in both. */
function commonHostOf(a: string, b: string): string | undefined {
  if (covers(b, a)) return a
  return covers(a, b) ? b : undefined
}

function covers(pattern: string, host: string): boolean {
  return pattern === '*' || pattern === host || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1)))
}
