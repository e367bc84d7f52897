/** The namespaces whose fences a lazyload module serves, and in which alone it may write. */
import { isLazyload } from '../../module/element.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { LAZYLOAD_CLUSTER_ROLE } from './defaults.ts'
import { clusterRoleOf, listedNamespaces, runBy, settingOf } from './modules.ts'
import type { Mode } from './values.ts'

/**
 * In mode namespaced the namespaces of the global-sidecars, or those of them that `general.namespaces` of the module names, each once;
 * undefined: it may write everywhere. A bundle serves what its lazyload module serves.
 */
export function namespacesOf(module: JsonObject, spec: JsonObject, mode: Mode): readonly string[] | undefined {
  const hasItsRole = isLazyload(module) || clusterRoleOf(module) === LAZYLOAD_CLUSTER_ROLE
  if (!hasItsRole || mode !== 'namespaced') return undefined
  const own = ownNamespaces(runBy(spec, module))
  return [...new Set(own.length > 0 ? own : listedNames(spec))]
}

/** `general.namespaces`; empty where the module says none. */
export function ownNamespaces(module: JsonObject): readonly string[] {
  return settingOf(module, 'servedNamespaces').value
}

/** The namespaces of the applications that are text. */
export function listedNames(spec: JsonObject): readonly string[] {
  return listedNamespaces(spec).flatMap(({ name }) => (typeof name === 'string' ? [name] : []))
}
