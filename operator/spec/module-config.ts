/**
 * The module's JSON for its program: the element of `spec.module` as written, unknown keys included, with what the program reads as
 * text made text. What the operator knows otherwise (mode, namespaces, ports) is written into it where the program would read
 * something else, so that both do the same.
 */
import { isBundle, isEnabled, isLazyload, nameOf, processOf } from '../../module/element.ts'
import { withBundle } from '../../module/bundle.ts'
import { at, listAt, objectAt, textAt } from '../../module/read.ts'
import { SETTINGS } from '../../module/settings.ts'
import { isJsonObject, type Json, type JsonObject } from '../../runtime/object.ts'
import { goJson } from './go-json.ts'
import type { ServedElsewhere } from './module-scope.ts'
import { CONTROLLER_MODE, parseMode } from './mode.ts'
import { allModules, clusterNamespace, enabledModules, runBy, settingOf } from './modules.ts'
import { podPorts } from './pod-ports.ts'
import type { Mode } from './values.ts'

/** Data of a module's ConfigMap: `cfg`, and for a bundle `cfg_<name>` of every module that is no bundle itself, enabled or not (spec 8). */
export function moduleConfig(
  module: JsonObject,
  spec: JsonObject,
  mode: Mode,
  elsewhere: ReadonlyMap<string, readonly ServedElsewhere[]>,
): Record<string, string> {
  const all = allModules(spec)
  const text = (each: JsonObject): string => {
    const left = elsewhere.get(all.find((placed) => placed.module === each)?.path ?? '') ?? []
    const written = configured(each, spec, mode)
    return `${goJson(normalise(left.length === 0 ? written : withValue(written, SERVED_ELSEWHERE, left as unknown as Json)))}\n`
  }
  const items = isBundle(module) ? all.filter((other) => !isBundle(other.module)) : []
  // The enabled module of a name comes last and wins over a disabled one.
  items.sort((a, b) => Number(isEnabled(a.module)) - Number(isEnabled(b.module)))
  return {
    cfg: text(module),
    ...Object.fromEntries(items.map((item) => [`cfg_${nameOf(item.module)}`, text(item.module)])),
  }
}

/** The element with what the operator decides: what the program gets, but for the spelling of its values. */
export function configured(module: JsonObject, spec: JsonObject, mode: Mode): JsonObject {
  if (!isLazyload(module)) return module
  return derived(module, spec, mode).reduce((result, { place, value }) => withValue(result, place, value), module)
}

const [SERVED_ELSEWHERE] = SETTINGS.servedElsewhere.places

/** What the operator decides and the program would read otherwise. */
function derived(module: JsonObject, spec: JsonObject, mode: Mode): readonly { readonly place: string; readonly value: string }[] {
  const modules = enabledModules(spec).map((each) => each.module)
  const process = processOf(module, modules)
  const seen = process === module ? module : (withBundle({ name: nameOf(module), module }, process) as JsonObject)
  const { probe, logSource } = podPorts(spec, runBy(spec, process))
  const read = settingOf(seen, 'mode')
  const aux = settingOf(seen, 'auxAddress')
  const log = settingOf(seen, 'logSourceAddress')
  const namespaceOf = (name: 'istioNamespace' | 'slimeNamespace', said: string | undefined): readonly [string, string] | undefined => {
    const setting = settingOf(seen, name)
    return setting.said !== undefined || said === undefined || said === setting.value ? undefined : [SETTINGS[name].places[0], said]
  }
  // in mode cluster the program looks for the global-sidecar here
  const home =
    mode === 'cluster' && settingOf(seen, 'clusterGsNamespace').said === undefined
      ? textAt({ of: clusterNamespace(spec) ?? null }, 'of')
      : undefined
  const slime = settingOf(seen, 'slimeNamespace')
  const readHome = slime.said === undefined ? textAt(spec, 'namespace') : slime.value
  return [
    read.said !== undefined || read.value === CONTROLLER_MODE[mode]
      ? undefined
      : ([SETTINGS.mode.places[0], CONTROLLER_MODE[mode]] as const),
    namespaceOf('istioNamespace', textAt(spec, 'istioNamespace')),
    namespaceOf('slimeNamespace', textAt(spec, 'namespace')),
    home === undefined || home === readHome ? undefined : ([SETTINGS.clusterGsNamespace.places[0], home] as const),
    aux.said !== undefined || aux.value?.port === probe ? undefined : ([SETTINGS.auxAddress.places[0], `:${probe}`] as const),
    log.said !== undefined || log.value.port === logSource ? undefined : ([SETTINGS.logSourceAddress.places[0], `:${logSource}`] as const),
  ].flatMap((each) => (each === undefined ? [] : [{ place: each[0], value: each[1] }]))
}

function withValue(module: JsonObject, place: string, value: Json): JsonObject {
  const [key = '', ...rest] = place.split('.')
  return { ...module, [key]: rest.length === 0 ? value : withValue(objectAt(module, key), rest.join('.'), value) }
}

function normalise(module: JsonObject): JsonObject {
  const misc = Object.fromEntries(
    Object.entries(objectAt(module, 'global', 'misc')).flatMap(([key, value]): [string, Json][] =>
      value === null ? [] : [[key, miscText(key, value)]],
    ),
  )
  const withMisc = Object.keys(misc).length > 0 ? { global: { ...objectAt(module, 'global'), misc } } : {}
  const withFence = isJsonObject(at(module, 'fence')) ? { fence: normaliseFence(objectAt(module, 'fence')) } : {}
  const withEnable = isEnabled(module) ? { enable: true } : {}
  return { ...module, ...withEnable, ...withMisc, ...withFence }
}

/** Upstream's controllers take nothing but text here, in their own words. */
function miscText(key: string, value: Json): string {
  if (key === 'global-sidecar-mode') {
    const mode = parseMode(value)
    if (mode !== undefined) return CONTROLLER_MODE[mode]
  }
  // They compare with "on"; YAML 1.1 made a boolean of it.
  if (key === 'enable-leader-election' && typeof value === 'boolean') return value ? 'on' : 'off'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function normaliseFence(fence: JsonObject): JsonObject {
  const ports = listAt(fence, 'wormholePort')
  const dispatches = listAt(fence, 'dispatches')
  return {
    ...fence,
    ...(ports.length > 0 ? { wormholePort: ports.map(scalarText) } : {}),
    ...(dispatches.length > 0 ? { dispatches: dispatches.map(normaliseDispatch) } : {}),
  }
}

function normaliseDispatch(dispatch: Json): Json {
  if (!isJsonObject(dispatch)) return dispatch
  const name = at(dispatch, 'name')
  const domains = listAt(dispatch, 'domains')
  return {
    ...dispatch,
    ...(name === undefined ? {} : { name: scalarText(name) }),
    ...(domains.length > 0 ? { domains: domains.map(scalarText) } : {}),
  }
}

function scalarText(value: Json): Json {
  return typeof value === 'number' ? String(value) : value
}
