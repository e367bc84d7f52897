/** Which fences a SlimeBoot serves: those of its lazyload modules' revisions, in the namespaces where it has a global-sidecar. Pure. */
import { isJsonObject, type JsonObject, type KubeObject } from '../../../runtime/object.ts'
import { mergedSpec, type ValuesOptions } from '../../spec/build-values.ts'
import { resolveMode } from '../../spec/mode.ts'
import { enabledModules, isLazyload, nameOf, portsOf } from '../../spec/modules.ts'
import { at, listAt, objectAt, textAt, textOrNumberAt } from '../../spec/read.ts'

export const REVISION_LABEL = 'istio.io/rev'

/** A fence as far as it decides who serves it. */
export interface FencePlace {
  readonly namespace: string
  /** Empty: it names none. */
  readonly revision: string
}

type Serves = (place: FencePlace) => boolean

export interface Service {
  readonly serves: Serves
  /** Whether it has a global-sidecar for this namespace, or goes without any. */
  readonly covers: (namespace: string) => boolean
  /** Where its catch-all for `namespace` is; undefined where it has none, because it runs without global-sidecars. */
  readonly catchAllNamespace: (namespace: string) => string | undefined
  /** Its lazyload modules, `namespace/name`. */
  readonly modules: readonly string[]
}

/** What a SlimeBoot says of it, also one whose spec is wrong elsewhere. */
export function serviceOf(boot: KubeObject, options: ValuesOptions = {}): Service {
  const spec = mergedSpec(boot, options)
  const modules = enabledModules(spec)
    .map(({ module }) => module)
    .filter(isLazyload)
  const revisions = modules.map(revisionsOf)
  const { mode } = resolveMode(spec)
  const listed = new Set(listAt(spec, 'component', 'globalSidecar', 'namespace').map(String))
  // without ports there are no global-sidecars
  const hasPorts = enabledModules(spec).some(({ module }) => portsOf(module).length > 0)
  const covers = (namespace: string): boolean => mode === 'none' || (hasPorts && (mode === 'cluster' || listed.has(namespace)))
  return {
    serves: ({ namespace, revision }) => covers(namespace) && revisions.some((serve) => serve(revision)),
    covers,
    catchAllNamespace: (namespace) =>
      mode === 'none' ? undefined : mode === 'cluster' ? (textAt(spec, 'istioNamespace') ?? '') : namespace,
    modules: modules.map((module) => `${textAt(spec, 'namespace') ?? ''}/${nameOf(module)}`),
  }
}

/** What a module that runs serves, from the data of its ConfigMap; undefined where that is no configuration of a lazyload module. */
export function revisionsOfConfig(configMap: KubeObject): ((revision: string) => boolean) | undefined {
  const { cfg } = (configMap['data'] ?? {}) as { readonly cfg?: unknown }
  if (typeof cfg !== 'string') return undefined
  try {
    const module: unknown = JSON.parse(cfg)
    return isJsonObject(module) && isLazyload(module) ? revisionsOf(module) : undefined
  } catch {
    return undefined
  }
}

/** As lazyload reads `global.istioRev` and `strictRev` (docs/lazyload.md). */
function revisionsOf(module: JsonObject): (revision: string) => boolean {
  const global = objectAt(module, 'global')
  const said = at(global, 'istioRev')
  const names = (Array.isArray(said) ? said.filter((name) => typeof name === 'string') : textOrNumberAt(global, 'istioRev').split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '')
  const strict = at(global, 'strictRev') === true || ['true', 'on', 'yes'].includes(textOrNumberAt(global, 'strictRev').toLowerCase())
  return (revision) => names.length === 0 || names.includes(revision) || (revision === '' && !strict)
}
