/**
 * Live catch-alls: the EnvoyFilters that send traffic of unknown hosts to a global-sidecar. Their annotation says whose proxies
 * they patch and where the global-sidecar is: `<scope>=<namespace>`, scope a namespace or `*`. Whoever may write in a namespace can
 * write that annotation too, so it counts only where it can be true.
 */
import { groupOf, type KubeObject } from '../../runtime/object.ts'
import { CATCH_ALL_ANNOTATION } from '../api/slimeboot.ts'
import type { CatchAll } from '../render/manifest.ts'

/** The name that every catch-all has: one in a namespace. */
export const CATCH_ALL_NAME = 'to-global-sidecar'
const NAMESPACE_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/** Value of the annotation. */
export function catchAllMark({ scope, globalSidecarNamespace }: Pick<CatchAll, 'scope' | 'globalSidecarNamespace'>): string {
  return `${scope}=${globalSidecarNamespace}`
}

/** Whether a live object is a catch-all: an EnvoyFilter of that name, marked for its own namespace or for the whole mesh. */
export function isCatchAll(object: KubeObject): boolean {
  return markOf(object) !== undefined
}

/**
 * A live catch-all as it takes effect; its ports are the route configs that it patches. `roots`: namespaces whose EnvoyFilters reach the
 * whole mesh. One that is marked for the whole mesh elsewhere reaches its own namespace only, as any EnvoyFilter there does.
 */
export function catchAllOf(object: KubeObject, roots: ReadonlySet<string>): CatchAll {
  const mark = markOf(object)
  const { namespace = '' } = object.metadata
  const reachesAll = mark?.scope === '*' && roots.has(namespace)
  return {
    scope: reachesAll ? '*' : namespace,
    ports: portsOf(object),
    globalSidecarNamespace: reachesAll ? mark.globalSidecarNamespace : namespace,
  }
}

/** Whether it is the Deployment of a global-sidecar: traffic may still come to it. */
export function isGlobalSidecar(object: KubeObject): boolean {
  return object.kind === 'Deployment' && object.metadata.name === 'global-sidecar'
}

function markOf({ apiVersion, kind, metadata }: KubeObject): Pick<CatchAll, 'scope' | 'globalSidecarNamespace'> | undefined {
  const text = metadata.annotations?.[CATCH_ALL_ANNOTATION]
  const isFilter = kind === 'EnvoyFilter' && groupOf(apiVersion) === 'networking.istio.io' && metadata.name === CATCH_ALL_NAME
  if (text === undefined || !isFilter) return undefined
  const [scope = '', globalSidecarNamespace = '', ...rest] = text.split('=')
  if (rest.length > 0 || !NAMESPACE_NAME.test(globalSidecarNamespace)) return undefined
  const isOwn = scope === metadata.namespace && globalSidecarNamespace === metadata.namespace
  return isOwn || scope === '*' ? { scope, globalSidecarNamespace } : undefined
}

/** Whatever the object holds there: a foreigner's may have any form. */
function portsOf(object: KubeObject): readonly number[] {
  const { configPatches } = (object['spec'] ?? {}) as { readonly configPatches?: unknown }
  if (!Array.isArray(configPatches)) return []
  const names = (configPatches as readonly (ConfigPatch | null)[]).map((patch) => patch?.match?.routeConfiguration?.name)
  return [...new Set(names.map(Number).filter((port) => Number.isInteger(port) && port > 0))]
}

interface ConfigPatch {
  readonly match?: { readonly routeConfiguration?: { readonly name?: unknown } | null } | null
}
