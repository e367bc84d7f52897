/** A SlimeBoot of another generation as one would write it today: settings at the places that documents use, and nothing that means nothing. Pure. */
import { isLazyload } from '../../module/element.ts'
import { at, listAt, objectAt, textAt } from '../../module/read.ts'
import { valueAt } from '../../module/setting.ts'
import { SETTINGS } from '../../module/settings.ts'
import { isJsonObject, type Json, type JsonObject } from '../../runtime/object.ts'
import { resolveMode } from './mode.ts'
import { allModules, isForeignItem, listedNamespaces } from './modules.ts'
import { isUpstreamApplication, NOTES, upstreamRevision } from './upstream.ts'

export interface Conversion {
  readonly spec: JsonObject
  /** One sentence for each change, in the order of the document. */
  readonly changes: readonly string[]
}

/** Settings that have other names, but for the mode, which becomes the component's type. */
const MOVED = (Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]).filter((name) => SETTINGS[name].places.length > 1 && name !== 'mode')
const SIDECAR = 'component.globalSidecar'

/** `spec` must be valid: of a contradiction nobody knows which half is meant. */
export function convertSpec(spec: JsonObject): Conversion {
  const changes: string[] = []
  const { mode } = resolveMode(spec)
  const namespaces = listedNamespaces(spec)
  const revision = upstreamRevision(at(spec, 'component', 'globalSidecar') ?? null)
  const modules = listAt(spec, 'module').flatMap((module, index): Json[] => {
    if (!isJsonObject(module)) return [module]
    const path = `spec.module[${index}]`
    if (isForeignItem(module)) {
      changes.push(`${path} is left out: it is no lazyload, and this image has no program for it.`)
      return []
    }
    return [isLazyload(module) ? convertModule(module, path, mode !== 'none', changes) : module]
  })
  let result: JsonObject = { ...spec, module: withoutItems(modules, spec, changes) }
  if (
    mode !== 'none' &&
    at(spec, 'component', 'globalSidecar', 'type') === undefined &&
    isJsonObject(at(spec, 'component', 'globalSidecar'))
  ) {
    result = put(result, `${SIDECAR}.type`, mode)
    changes.push(`spec.${SIDECAR}.type says the mode.`)
  }
  if (mode === 'namespaced' && namespaces.some(({ path }) => !path.startsWith(`spec.${SIDECAR}`))) {
    result = put(
      result,
      `${SIDECAR}.namespace`,
      namespaces.map(({ name }) => name),
    )
    changes.push(`spec.${SIDECAR}.namespace lists the namespaces.`)
  }
  if (isUpstreamApplication(at(spec, 'component', 'globalSidecar', 'image'))) {
    result = take(result, `${SIDECAR}.image`)
    changes.push(
      `spec.${SIDECAR}.image is left out: the global-sidecar is a proxy of the mesh itself, with the image that Istio's injection gives it.`,
    )
  }
  if (revision !== undefined && at(spec, 'component', 'globalSidecar', 'revision') === undefined) {
    result = put(result, `${SIDECAR}.revision`, revision)
    changes.push(`spec.${SIDECAR}.sidecarInject.labels["istio.io/rev"] is now spec.${SIDECAR}.revision.`)
  }
  if (listAt(spec, 'volumeMounts').length > 0) {
    result = put(take(result, 'volumeMounts'), 'containers.slime.volumeMounts', [
      ...listAt(spec, 'containers', 'slime', 'volumeMounts'),
      ...listAt(spec, 'volumeMounts'),
    ])
    changes.push('spec.volumeMounts is now spec.containers.slime.volumeMounts.')
  }
  for (const [path, note] of NOTES) {
    const place = path.replace(/^spec\./, '')
    if (path.includes('[]') || valueAt(result, place) === undefined) continue
    result = take(result, place)
    changes.push(`${path} is left out: it ${note}`)
  }
  return { spec: result, changes }
}

function convertModule(module: JsonObject, path: string, hasComponent: boolean, changes: string[]): JsonObject {
  let result = module
  for (const name of MOVED) {
    const [first, ...others] = SETTINGS[name].places
    for (const place of others) {
      const value = valueAt(module, place)
      if (value === undefined) continue
      result = take(result, place)
      if (valueAt(result, first) === undefined) result = put(result, first, value as Json)
      changes.push(`${path}.${place} is now ${path}.${first}.`)
    }
  }
  const [usual] = SETTINGS.mode.places
  for (const place of SETTINGS.mode.places) {
    const value = valueAt(module, place)
    if (value === undefined || (place === usual && !hasComponent)) continue
    result = take(result, place)
    if (!hasComponent) result = put(result, usual, value as Json)
    changes.push(hasComponent ? `${path}.${place} is left out: the component says the mode.` : `${path}.${place} is now ${path}.${usual}.`)
  }
  const [list] = SETTINGS.namespaces.places
  if (valueAt(result, list) !== undefined) {
    result = take(result, list)
    changes.push(`${path}.${list} is left out: the component lists the namespaces.`)
  }
  for (const [key, note] of NOTES) {
    const place = key.replace('spec.module[].', '')
    if (place === key || valueAt(result, place) === undefined) continue
    result = take(result, place)
    changes.push(`${path}.${place} is left out: it ${note}`)
  }
  return result
}

/** Bundles no longer name what was left out. */
function withoutItems(modules: readonly Json[], spec: JsonObject, changes: string[]): readonly Json[] {
  const gone = new Set(allModules(spec).flatMap(({ module }) => (isForeignItem(module) ? [textAt(module, 'name')] : [])))
  if (gone.size === 0) return modules
  return modules.map((module) => {
    const items = listAt(module, 'bundle', 'modules')
    const left = items.filter((item) => !gone.has(textAt(item, 'name')))
    if (!isJsonObject(module) || left.length === items.length) return module
    changes.push(`${textAt(module, 'name') ?? 'the bundle'}: bundle.modules names only what runs.`)
    return { ...module, bundle: { ...objectAt(module, 'bundle'), modules: left } }
  })
}

function put(value: JsonObject, place: string, what: Json): JsonObject {
  const [key = '', ...rest] = place.split('.')
  return { ...value, [key]: rest.length === 0 ? what : put(objectAt(value, key), rest.join('.'), what) }
}

/** Without what stands at a place, and without maps that become empty by it. */
function take(value: JsonObject, place: string): JsonObject {
  const [key = '', ...rest] = place.split('.')
  const { [key]: found, ...others } = value
  if (rest.length === 0 || !isJsonObject(found)) return others
  const inner = take(found, rest.join('.'))
  return Object.keys(inner).length === 0 ? others : { ...value, [key]: inner }
}
