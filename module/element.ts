/** An element of `spec.module`: whether it runs, of what kind it is, in whose process. Reads any JSON without throwing. */
import { isJsonObject, type JsonObject } from '../runtime/object.ts'
import { at, listAt, objectAt, textAt } from './read.ts'

/** Keys of modules of other kinds. */
export const OTHER_KINDS = ['limiter', 'plugin']

/** `enable` true, or absent and `fence.enable` true. */
export function isEnabled(module: unknown): boolean {
  return (at(module, 'enable') ?? at(module, 'fence', 'enable')) === true
}

/** Name for objects and messages; empty when it has none. */
export function nameOf(module: unknown): string {
  return textAt(module, 'name') ?? ''
}

/** Lazyload modules say so, or have a fence, or do not say that they are anything else. */
export function isLazyload(module: unknown): boolean {
  const kind = at(module, 'kind')
  if (kind !== undefined && kind !== '') return kind === 'lazyload'
  if (Object.keys(objectAt(module, 'fence')).length > 0) return true
  return !OTHER_KINDS.some((key) => at(module, key) !== undefined)
}

export function isBundle(module: unknown): boolean {
  return isJsonObject(at(module, 'bundle'))
}

/** A BundleItem runs in the process of the bundle that lists it, else of the first bundle, else of itself. */
export function processOf(module: JsonObject, modules: readonly JsonObject[]): JsonObject {
  if (at(module, 'mode') !== 'BundleItem') return module
  const bundles = modules.filter(isBundle)
  const lists = (bundle: JsonObject): boolean => listAt(bundle, 'bundle', 'modules').some((item) => textAt(item, 'name') === nameOf(module))
  return bundles.find(lists) ?? bundles[0] ?? module
}
