/** Modules of a spec: which are enabled, of what kind, with which role, ports and source. Reads any JSON without throwing. */
import { isJsonObject, type Json, type JsonObject } from '../../runtime/object.ts'
import { LAZYLOAD_CLUSTER_ROLE } from './defaults.ts'
import { at, listAt, objectAt, textAt } from './read.ts'

/** A module and where it stands: `spec.module[0]`. */
export interface PlacedModule {
  readonly path: string
  readonly module: JsonObject
}

/** Keys of modules of other kinds (spec 6). */
const OTHER_KINDS = ['limiter', 'plugin']

/** All modules that are objects, in list order. */
export function allModules(spec: JsonObject): PlacedModule[] {
  return listAt(spec, 'module').flatMap((module, index) => (isJsonObject(module) ? [{ path: `spec.module[${index}]`, module }] : []))
}

/** The enabled ones: `enable` true, or `enable` absent and `fence.enable` true (spec 8, GAP a). */
export function enabledModules(spec: JsonObject): PlacedModule[] {
  return allModules(spec).filter(({ module }) => isEnabled(module))
}

export function isEnabled(module: JsonObject): boolean {
  return (at(module, 'enable') ?? at(module, 'fence', 'enable')) === true
}

/** Name for objects and messages; empty when it has none. */
export function nameOf(module: JsonObject): string {
  return textAt(module, 'name') ?? ''
}

/** Lazyload modules have a fence, say so, or do not say that they are anything else. */
export function isLazyload(module: JsonObject): boolean {
  if (hasFence(module)) return true
  const kind = at(module, 'kind')
  if (kind !== undefined) return kind === 'lazyload'
  return !OTHER_KINDS.some((key) => at(module, key) !== undefined)
}

export function hasFence(module: JsonObject): boolean {
  return Object.keys(objectAt(module, 'fence')).length > 0
}

/** ClusterRole to bind, or undefined when the module must name one. */
export function clusterRoleOf(module: JsonObject): string | undefined {
  return textAt(module, 'clusterRole') ?? (isLazyload(module) ? LAZYLOAD_CLUSTER_ROLE : undefined)
}

/** `global.misc` as written. */
export function miscOf(module: JsonObject): JsonObject {
  return objectAt(module, 'global', 'misc')
}

/** Where the module learns from; `prometheus` unless it says otherwise. */
export function metricSourceOf(module: JsonObject): Json {
  return at(miscOf(module), 'metric_source_type') ?? 'prometheus'
}

/** Entries of `fence.wormholePort` as written. */
export function portsOf(module: JsonObject): readonly Json[] {
  return listAt(module, 'fence', 'wormholePort')
}

/** Entries of `fence.dispatches` as written. */
export function dispatchesOf(module: JsonObject): readonly Json[] {
  return listAt(module, 'fence', 'dispatches')
}

/** A port as number, from a whole number or its decimal text; undefined for anything else or outside 1–65535. */
export function parsePort(value: unknown): number | undefined {
  const port = typeof value === 'string' && /^[1-9]\d{0,4}$/.test(value) ? Number(value) : value
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65535 ? port : undefined
}

/** A BundleItem runs in the process of the bundle that lists it, else of the first bundle, else of itself. */
export function processOf(module: JsonObject, modules: readonly JsonObject[]): JsonObject {
  if (at(module, 'mode') !== 'BundleItem') return module
  const bundles = modules.filter(isBundle)
  const lists = (bundle: JsonObject) => listAt(bundle, 'bundle', 'modules').some((item) => textAt(item, 'name') === nameOf(module))
  return bundles.find(lists) ?? bundles[0] ?? module
}

export function isBundle(module: JsonObject): boolean {
  return isJsonObject(at(module, 'bundle'))
}
