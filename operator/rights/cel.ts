/**
 * Expressions of admission policies (CEL), as text: parts of a SlimeBoot read the way the operator reads them. `null` means "not set"
 * everywhere. Checked on Kubernetes 1.36; optional fields (`.?`) need 1.30.
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
import { SETTINGS } from '../../module/settings.ts'

export interface Variable {
  readonly name: string
  readonly expression: string
}

/** `path.key` or `fallback`, also where it is null; `path` must be a map. */
export function field(path: string, key: string, fallback: string): string {
  return `(has(${path}.${key}) && ${path}.${key} != null ? dyn(${path}.${key}) : dyn(${fallback}))`
}

/** Modules with namespaces of their own that CEL can look at: it cannot join any number of lists. More need the right for all. */
export const LISTING_MODULES = 4

/** A text in CEL. JSON's escapes are CEL's too. */
export function quoted(text: string): string {
  return JSON.stringify(text)
}

/** Variables for what both policies read: `spec`, `modules` (enabled ones), `component`, `sidecar`, `pilot`, `home` (M), `mesh` (I), `listed` (A). */
export function specVariables(defaults: { readonly namespace: string; readonly istioNamespace: string }): readonly Variable[] {
  return [
    { name: 'spec', expression: field('object', 'spec', '{}') },
    { name: 'modules', expression: `${field('variables.spec', 'module', '[]')}.filter(m, ${isEnabled('m')})` },
    { name: 'component', expression: field('variables.spec', 'component', '{}') },
    { name: 'sidecar', expression: field('variables.component', 'globalSidecar', '{}') },
    { name: 'sidecarOff', expression: `${field('variables.sidecar', 'enable', 'true')} == false` },
    { name: 'pilot', expression: `${field(field('variables.component', 'pilot', '{}'), 'enable', 'false')} == true` },
    { name: 'home', expression: field('variables.spec', 'namespace', quoted(defaults.namespace)) },
    { name: 'mesh', expression: field('variables.spec', 'istioNamespace', quoted(defaults.istioNamespace)) },
    { name: 'ownListed', expression: `variables.sidecarOff ? dyn([]) : ${field('variables.sidecar', 'namespace', '[]')}` },
    { name: 'moduleLists', expression: statements('variables.modules', SETTINGS.namespaces.places) },
    {
      name: 'listed',
      expression: `variables.sidecarOff ? dyn([]) : variables.ownListed${Array.from({ length: LISTING_MODULES }, (_, index) => ` + (size(variables.moduleLists) > ${index} ? variables.moduleLists[${index}] : dyn([]))`).join('')}`,
    },
    // operator/spec/mode.ts: today's upstream form has no type; cluster is its default
    { name: 'hasSidecar', expression: 'has(variables.component.globalSidecar) && variables.component.globalSidecar != null' },
    {
      name: 'byDefault',
      expression: `variables.hasSidecar && !variables.sidecarOff && ${field('variables.sidecar', 'type', 'null')} == null && size(${statements('variables.modules', SETTINGS.mode.places)}) == 0 && size(${statementsAt('variables.modules', 'general.wormholePort')}) > 0`,
    },
  ]
}

/** operator/spec/modules.ts: `enable` true, or absent and `fence.enable` true. */
function isEnabled(module: string): string {
  const fence = `(has(${module}.fence) && ${module}.fence != null && has(${module}.fence.enable) && ${module}.fence.enable == true)`
  return `has(${module}.enable) && ${module}.enable != null ? ${module}.enable == true : ${fence}`
}

/** What the modules of a list say of a setting, in every place that module/settings.ts knows: a list of values. */
export function statements(modules: string, places: readonly string[]): string {
  return places.map((place) => statementsAt(modules, place)).join(' + ')
}

/** The same at one place. */
export function statementsAt(modules: string, place: string): string {
  const keys = place.split('.')
  const parts = keys.map((_, index) => keys.slice(0, index + 1).reduce(member, 'm'))
  const there = keys.map((key, index) => isThere(index === 0 ? 'm' : parts[index - 1]!, key))
  const value = parts.at(-1)!
  return `${modules}.filter(m, ${there.join(' && ')} && ${value} != "").map(m, dyn(${value}))`
}

function isThere(path: string, key: string): string {
  const has = isIdentifier(key) ? `has(${member(path, key)})` : `${quoted(key)} in ${path}`
  return `${has} && ${member(path, key)} != null`
}

function member(path: string, key: string): string {
  return isIdentifier(key) ? `${path}.${key}` : `${path}[${quoted(key)}]`
}

function isIdentifier(key: string): boolean {
  return /^[A-Za-z_]\w*$/.test(key)
}
