/** Modules of a spec: which are enabled, with which role, and what they say. Reads any JSON without throwing. */
import { chooseItem, withBundle } from '../../module/bundle.ts'
import { isBundle, isEnabled, isLazyload, nameOf, OTHER_KINDS } from '../../module/element.ts'
import { at, listAt, objectAt, textAt } from '../../module/read.ts'
import { AUTO, parsePortEntry, portEntries } from '../../module/ports.ts'
import { readSettings, type Said, valueAt } from '../../module/setting.ts'
import { SETTINGS, type SettingValues } from '../../module/settings.ts'
import { isJsonObject, type Json, type JsonObject } from '../../runtime/object.ts'
import { LAZYLOAD_CLUSTER_ROLE } from './defaults.ts'
import type { FoundPort } from './found-ports.ts'

/** A module and where it stands: `spec.module[0]`. */
export interface PlacedModule {
  readonly path: string
  readonly module: JsonObject
}

/** All modules that are objects, in list order. */
export function allModules(spec: JsonObject): PlacedModule[] {
  return listAt(spec, 'module').flatMap((module, index) => (isJsonObject(module) ? [{ path: `spec.module[${index}]`, module }] : []))
}

/** The enabled ones. */
export function enabledModules(spec: JsonObject): PlacedModule[] {
  return allModules(spec).filter(({ module }) => isEnabled(module))
}

/** What a module says that it is, or the key that tells. */
export function kindOf(module: JsonObject): string {
  return textAt(module, 'kind') ?? OTHER_KINDS.find((key) => isJsonObject(module[key])) ?? 'lazyload'
}

/** An item of a bundle that no program of ours runs, and that names no role with which another would. */
export function isForeignItem(module: JsonObject): boolean {
  return textAt(module, 'mode') === 'BundleItem' && !isLazyload(module) && textAt(module, 'clusterRole') === undefined
}

/** ClusterRole to bind, or undefined when the module must name one. */
export function clusterRoleOf(module: JsonObject): string | undefined {
  return textAt(module, 'clusterRole') ?? (isLazyload(module) ? LAZYLOAD_CLUSTER_ROLE : undefined)
}

/** What the process of an enabled module runs: the module itself, or of a bundle the item that the lazyload program would choose. */
export function runBy(spec: JsonObject, module: JsonObject): JsonObject {
  if (!isBundle(module)) return module
  const { item } = chooseItem(module, (name) => itemNamed(spec, name))
  return item === undefined ? module : (withBundle(item, module) as JsonObject)
}

/** One setting of a module of any kind. */
export function settingOf<Name extends keyof SettingValues>(
  module: JsonObject,
  name: Name,
): { readonly value: SettingValues[Name]; readonly said: Said | undefined } {
  const { values, said } = readSettings({ [name]: SETTINGS[name] } as never, module, [])
  return { value: (values as SettingValues)[name], said: (said as Readonly<Record<string, Said>>)[name] }
}

/** Entries of the wormhole ports as written, and where; `auto` among them where another setting says so. */
export function portsOf(module: JsonObject): { readonly path: string; readonly entries: readonly Json[] } {
  const { places } = SETTINGS.ports
  const path = places.find((place) => valueAt(module, place) !== undefined) ?? places[0]
  const entries = (portEntries(valueAt(module, path)) ?? []) as readonly Json[]
  const said = entries.some((entry) => parsePortEntry(entry) === AUTO)
  return { path, entries: said || !settingOf(module, 'autoPort').value ? entries : [...entries, AUTO] }
}

/** Whether its ports are those of the Services of the mesh. */
export function findsPorts(module: JsonObject): boolean {
  return portsOf(module).entries.some((entry) => parsePortEntry(entry) === AUTO)
}

/** Numbers of the ports that it serves, in the order of its list; then what `auto` found. */
export function portNumbersOf(module: JsonObject, found: readonly FoundPort[] = []): readonly number[] {
  const { listed, excluded } = settingOf(module, 'ports').value
  const all = [...listed, ...(findsPorts(module) ? found.map(({ port }) => port) : [])]
  return [...new Set(all)].filter((port) => !excluded.includes(port))
}

/** Entries of the dispatches as written, and where. */
export function dispatchesOf(module: JsonObject): { readonly path: string; readonly entries: readonly Json[] } {
  return listOf(module, 'dispatches')
}

function listOf(module: JsonObject, name: 'dispatches' | 'namespaces'): { readonly path: string; readonly entries: readonly Json[] } {
  const { places } = SETTINGS[name]
  const path = places.find((place) => valueAt(module, place) !== undefined) ?? places[0]
  const value = valueAt(module, path)
  return { path, entries: Array.isArray(value) ? (value as readonly Json[]) : [] }
}

/** Namespaces that get a global-sidecar in mode namespaced, as written, each with its path: of the component, and of modules. */
export function listedNamespaces(spec: JsonObject): readonly { readonly path: string; readonly name: Json }[] {
  const ofComponent = listAt(spec, 'component', 'globalSidecar', 'namespace').map((name, index) => ({
    path: `spec.component.globalSidecar.namespace[${index}]`,
    name,
  }))
  const ofModules = enabledModules(spec).flatMap(({ path, module }) => {
    const list = listOf(module, 'namespaces')
    return list.entries.map((name, index) => ({ path: `${path}.${list.path}[${index}]`, name }))
  })
  // the same list may stand in both
  const known = new Set(ofComponent.map(({ name }) => name))
  return [...ofComponent, ...ofModules.filter(({ name }) => !known.has(name))]
}

/** In mode cluster the namespace of the global-sidecar, as written: the first module that says it decides, else it is that of the modules. */
export function clusterNamespace(spec: JsonObject): Json | undefined {
  const said = enabledModules(spec).flatMap(({ module }) => settingOf(module, 'clusterGsNamespace').said?.value ?? [])
  return (said[0] as Json | undefined) ?? at(spec, 'namespace')
}

/** The module that a bundle finds under a name: the operator writes every one that is no bundle, and of a name the enabled one. */
export function itemNamed(spec: JsonObject, name: string): JsonObject | undefined {
  const named = allModules(spec).filter(({ module }) => nameOf(module) === name && !isBundle(module))
  return (named.find(({ module }) => isEnabled(module)) ?? named[0])?.module
}

/** Whether it says anything of the global-sidecars that send access logs to it. */
export function hasFence(module: JsonObject): boolean {
  return Object.keys(objectAt(module, 'fence')).length > 0 || portsOf(module).entries.length > 0
}
