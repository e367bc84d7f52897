/**
 * Live catch-alls: the EnvoyFilters that send traffic of unknown hosts to a global-sidecar. Their annotation says whose proxies
 * they patch and where the global-sidecar is: `<scope>=<namespace>`, scope a namespace or `*`.
 */
import type { KubeObject } from '../../runtime/object.ts'
import { CATCH_ALL_ANNOTATION } from '../api/slimeboot.ts'
import type { CatchAll } from '../render/manifest.ts'

/** Whether a live object is a catch-all: marked so when it was applied. */
export function isCatchAll(object: KubeObject): boolean {
  return object.metadata.annotations?.[CATCH_ALL_ANNOTATION] !== undefined
}

/** Value of the annotation. */
export function catchAllMark({ scope, globalSidecarNamespace }: Pick<CatchAll, 'scope' | 'globalSidecarNamespace'>): string {
  return `${scope}=${globalSidecarNamespace}`
}

/** Whose proxies a live catch-all patches: a namespace, or `*`. */
export function catchAllScope(object: KubeObject): string {
  return (object.metadata.annotations?.[CATCH_ALL_ANNOTATION] ?? '').split('=')[0] ?? ''
}

/** Namespace of the global-sidecar that a live catch-all sends to. */
export function globalSidecarNamespaceOf(object: KubeObject): string {
  return (object.metadata.annotations?.[CATCH_ALL_ANNOTATION] ?? '').split('=')[1] ?? ''
}

/** A live catch-all as the claims see it; its ports are the route configs that it patches. */
export function catchAllOf(object: KubeObject): CatchAll {
  const { configPatches = [] } = (object['spec'] ?? {}) as {
    configPatches?: readonly { match?: { routeConfiguration?: { name?: string } } }[]
  }
  const ports = configPatches.map(({ match }) => Number(match?.routeConfiguration?.name)).filter(Number.isInteger)
  return { scope: catchAllScope(object), ports: [...new Set(ports)], globalSidecarNamespace: globalSidecarNamespaceOf(object) }
}

/** Whether it is the Deployment of a global-sidecar: traffic may still come to it. */
export function isGlobalSidecar(object: KubeObject): boolean {
  return object.kind === 'Deployment' && object.metadata.name === 'global-sidecar'
}
