/**
 * The module's JSON for its controller: the element of `spec.module` as written, unknown keys included, with what the controller
 * reads as text made text and with the decisions of the operator written into it (enabled, mode).
 */
import { isJsonObject, type Json, type JsonObject } from '../../runtime/object.ts'
import { goJson } from './go-json.ts'
import { CONTROLLER_MODE, parseMode } from './mode.ts'
import { allModules, dispatchesOf, isBundle, isEnabled, isLazyload, miscOf, nameOf, portsOf } from './modules.ts'
import { at, listAt, objectAt } from './read.ts'
import type { Mode } from './values.ts'

/** Data of a module's ConfigMap: `cfg`, and for a bundle `cfg_<name>` of every module that is no bundle itself, enabled or not (spec 8). */
export function moduleConfig(module: JsonObject, spec: JsonObject, mode: Mode): Record<string, string> {
  const items = isBundle(module) ? allModules(spec).filter((other) => !isBundle(other.module)) : []
  // The enabled module of a name comes last and wins over a disabled one.
  items.sort((a, b) => Number(isEnabled(a.module)) - Number(isEnabled(b.module)))
  return {
    cfg: text(module, spec, mode),
    ...Object.fromEntries(items.map((item) => [`cfg_${nameOf(item.module)}`, text(item.module, spec, mode)])),
  }
}

function text(module: JsonObject, spec: JsonObject, mode: Mode): string {
  return `${goJson(normalise(module, spec, mode))}\n`
}

function normalise(module: JsonObject, spec: JsonObject, mode: Mode): JsonObject {
  const misc = normaliseMisc(module, mode)
  const derived = derivedNamespaces(module, spec, mode)
  const global = { ...objectAt(module, 'global'), ...derived, ...(Object.keys(misc).length > 0 ? { misc } : {}) }
  const withGlobal = Object.keys(global).length > 0 ? { global } : {}
  const withFence = isJsonObject(at(module, 'fence')) ? { fence: normaliseFence(module) } : {}
  const withEnable = isEnabled(module) ? { enable: true } : {}
  return { ...module, ...withEnable, ...withGlobal, ...withFence }
}

/**
 * In mode cluster the controller looks for the catch-all in Istio's namespace and for the global-sidecar in its own: where these are not
 * the ones that it expects, it is told.
 */
function derivedNamespaces(module: JsonObject, spec: JsonObject, mode: Mode): JsonObject {
  if (mode !== 'cluster' || !isLazyload(module)) return {}
  const said = objectAt(module, 'global')
  const namespaces = { istioNamespace: at(spec, 'istioNamespace'), slimeNamespace: at(spec, 'namespace') }
  return Object.fromEntries(
    Object.entries(namespaces).filter(
      ([key, value]) => typeof value === 'string' && value !== CONTROLLER_DEFAULTS[key] && (said[key] ?? null) === null,
    ),
  ) as JsonObject
}

/** What the controller takes where nothing is said (lazyload/config.ts). */
const CONTROLLER_DEFAULTS: Readonly<Record<string, string>> = { istioNamespace: 'istio-system', slimeNamespace: 'mesh-operator' }

/**
 * All values are text. The mode is in the controller's own words. The controller reads it only here, so it is added where
 * the SlimeBoot says it elsewhere (`component.globalSidecar.type: cluster`, or no component); `namespace` is the controller's default.
 */
function normaliseMisc(module: JsonObject, mode: Mode): JsonObject {
  const misc = new Map<string, Json>()
  for (const [key, value] of Object.entries(miscOf(module))) {
    if (value !== null) misc.set(key, miscText(key, value))
  }
  if (!misc.has('global-sidecar-mode') && isLazyload(module) && mode !== 'namespaced')
    misc.set('global-sidecar-mode', CONTROLLER_MODE[mode])
  return Object.fromEntries(misc)
}

function miscText(key: string, value: Json): string {
  if (key === 'global-sidecar-mode') {
    const mode = parseMode(value)
    if (mode !== undefined) return CONTROLLER_MODE[mode]
  }
  // The controller compares with "on"; YAML 1.1 made a boolean of it.
  if (key === 'enable-leader-election' && typeof value === 'boolean') return value ? 'on' : 'off'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function normaliseFence(module: JsonObject): JsonObject {
  const fence = objectAt(module, 'fence')
  const ports = portsOf(module)
  const dispatches = dispatchesOf(module)
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
