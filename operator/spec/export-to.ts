/** To which namespaces a mesh exports what says nothing of it, as its configuration says: `default…ExportTo` of MeshConfig. */
import { isJsonObject } from '../../runtime/object.ts'

/** https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig; absent: to all. */
const DEFAULTS = {
  defaultServiceExportTo: 'Services and ServiceEntries',
  defaultVirtualServiceExportTo: 'VirtualServices',
  defaultDestinationRuleExportTo: 'DestinationRules',
} as const

/** Namespaces of a list that are read. */
const MAX_LISTED = 1000

type Setting = keyof typeof DEFAULTS

export type DefaultExportTo = Readonly<Partial<Record<Setting, readonly string[]>>>

/** What of them a mesh's configuration, as parsed from YAML, says. */
export function defaultExportTo(mesh: unknown): DefaultExportTo {
  if (!isJsonObject(mesh)) return {}
  const said = Object.keys(DEFAULTS).flatMap((setting) => {
    const value = mesh[setting]
    // the text of whoever may write that ConfigMap: nothing in it is expanded
    return Array.isArray(value) ? [[setting, value.slice(0, MAX_LISTED).filter((name) => typeof name === 'string')] as const] : []
  })
  return Object.fromEntries(said)
}

/** What a proxy in `namespace` does not see of other namespaces unless it says so itself. */
export interface HiddenKinds {
  readonly kinds: string
  /** `defaultServiceExportTo is ["."]` */
  readonly setting: string
  /** Without them it knows no hosts at all. */
  readonly isServices: boolean
}

export function hiddenFrom(exportTo: DefaultExportTo, namespace: string): readonly HiddenKinds[] {
  return (Object.keys(DEFAULTS) as Setting[]).flatMap((setting) => {
    const namespaces = exportTo[setting]
    if (namespaces === undefined || namespaces.includes('*') || namespaces.includes(namespace)) return []
    const text = `${setting} is ${JSON.stringify(namespaces)}`
    return [{ kinds: DEFAULTS[setting], setting: text, isServices: setting === 'defaultServiceExportTo' }]
  })
}
