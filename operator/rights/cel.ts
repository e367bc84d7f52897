/**
 * Expressions of admission policies (CEL), as text: parts of a SlimeBoot read the way the operator reads them. `null` means "not set"
 * everywhere. Checked on Kubernetes 1.36; optional fields (`.?`) need 1.30.
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */

export interface Variable {
  readonly name: string
  readonly expression: string
}

/** `path.key` or `fallback`, also where it is null; `path` must be a map. */
export function field(path: string, key: string, fallback: string): string {
  return `(has(${path}.${key}) && ${path}.${key} != null ? dyn(${path}.${key}) : dyn(${fallback}))`
}

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
    { name: 'listed', expression: `variables.sidecarOff ? dyn([]) : ${field('variables.sidecar', 'namespace', '[]')}` },
  ]
}

/** operator/spec/modules.ts: `enable` true, or absent and `fence.enable` true. */
function isEnabled(module: string): string {
  const fence = `(has(${module}.fence) && ${module}.fence != null && has(${module}.fence.enable) && ${module}.fence.enable == true)`
  return `has(${module}.enable) && ${module}.enable != null ? ${module}.enable == true : ${fence}`
}

/** Whether a module says the mode; then `modeOf` is what it says. */
export function saysMode(module: string): string {
  const misc = `${module}.global.misc`
  return [
    `has(${module}.global) && ${module}.global != null`,
    `has(${misc}) && ${misc} != null`,
    `"global-sidecar-mode" in ${misc} && ${modeOf(module)} != null`,
  ].join(' && ')
}

export function modeOf(module: string): string {
  return `${module}.global.misc["global-sidecar-mode"]`
}
