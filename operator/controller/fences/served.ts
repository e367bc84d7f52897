/** Which fences a SlimeBoot serves: those of its lazyload modules' revisions, in the namespaces where it has a global-sidecar. Pure. */
import { chooseItem, withBundle } from '../../../module/bundle.ts'
import { isBundle, isLazyload, nameOf } from '../../../module/element.ts'
import { textAt } from '../../../module/read.ts'
import { isJsonObject, type JsonObject, type KubeObject } from '../../../runtime/object.ts'
import { mergedSpec, type ValuesOptions } from '../../spec/build-values.ts'
import { resolveMode } from '../../spec/mode.ts'
import { listedNames, ownNamespaces } from '../../spec/module-namespaces.ts'
import { enabledModules, portsOf, runBy, settingOf } from '../../spec/modules.ts'

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
  /** Whether its modules would look at fences of this namespace. */
  readonly reaches: (namespace: string) => boolean
  /** Where its catch-all for `namespace` is; undefined where it has none, because it runs without global-sidecars. */
  readonly catchAllNamespace: (namespace: string) => string | undefined
  /** Namespace of its modules. */
  readonly home: string
  /** Its lazyload modules, `namespace/name`. */
  readonly modules: readonly string[]
}

/** What a SlimeBoot says of it, also one whose spec is wrong elsewhere. */
export function serviceOf(boot: KubeObject, options: ValuesOptions = {}): Service {
  const spec = mergedSpec(boot, options)
  const processes = enabledModules(spec).map(({ module }) => ({ name: nameOf(module), runs: runBy(spec, module) }))
  const modules = processes.filter(({ runs }) => isLazyload(runs))
  const serve = modules.map(({ runs }): Serves => {
    const [own, ofRevision] = [ownNamespaces(runs), revisionsOf(runs)]
    return ({ namespace, revision }) => (own.length === 0 || own.includes(namespace)) && ofRevision(revision)
  })
  const { mode } = resolveMode(spec)
  const listed = new Set(listedNames(spec))
  const reaches = (namespace: string): boolean => mode !== 'namespaced' || listed.has(namespace)
  // without ports there are no global-sidecars
  const hasPorts = enabledModules(spec).some(({ module }) => portsOf(module).entries.length > 0)
  const covers = (namespace: string): boolean => reaches(namespace) && (hasPorts || mode === 'none')
  return {
    serves: (place) => covers(place.namespace) && serve.some((serves) => serves(place)),
    reaches,
    catchAllNamespace: (namespace) =>
      mode === 'none' ? undefined : mode === 'cluster' ? (textAt(spec, 'istioNamespace') ?? '') : namespace,
    home: textAt(spec, 'namespace') ?? '',
    modules: modules.map(({ name }) => `${textAt(spec, 'namespace') ?? ''}/${name}`),
  }
}

/** What a module that runs serves, from the data of its ConfigMap; undefined where that is no configuration of a lazyload module. */
export function revisionsOfConfig(configMap: KubeObject): ((revision: string) => boolean) | undefined {
  const data = (configMap['data'] ?? {}) as Readonly<Record<string, unknown>>
  const module = parsed(data['cfg'])
  if (module === undefined) return undefined
  const item = isBundle(module) ? chooseItem(module, (name) => parsed(data[`cfg_${name}`])).item : undefined
  const runs = item === undefined ? module : (withBundle(item, module) as JsonObject)
  return isLazyload(runs) ? revisionsOf(runs) : undefined
}

function parsed(text: unknown): JsonObject | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** As lazyload does it (lazyload/fence/scope.ts). */
function revisionsOf(module: JsonObject): (revision: string) => boolean {
  const names = settingOf(module, 'revisions').value
  const strict = settingOf(module, 'strictRevisions').value
  return (revision) => names.length === 0 || names.includes(revision) || (revision === '' && !strict)
}
