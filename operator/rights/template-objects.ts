/** The objects that the templates render, as far as their texts say without values: which kinds, and which of them under fixed names. */
import { MANAGED_TYPES } from '../api/kinds.ts'
import type { TemplateEntry } from '../render/inventory.ts'
import { type ResourceType, typeKey } from '../../runtime/resource.ts'

export interface RenderedType {
  readonly type: ResourceType
  /** Sorted; absent when a template takes the name from the values. */
  readonly names?: readonly string[]
}

/**
 * Kinds and names of the templates in `inventory`, in the order of MANAGED_TYPES. `templates`: texts by path.
 * Throws when a template lacks its kind or name, or a kind is not in operator/api/kinds.ts, or is never rendered.
 */
export function renderedTypes(inventory: readonly TemplateEntry[], templates: ReadonlyMap<string, string>): readonly RenderedType[] {
  const objects = inventory.map(({ template }) => headOf(template, templates.get(template) ?? ''))
  const known = new Set(MANAGED_TYPES.map(typeKey))
  const unknown = objects.find((object) => !known.has(typeKey(object)))
  if (unknown !== undefined) throw new Error(`templates/${unknown.template}: ${unknown.kind} is not in operator/api/kinds.ts`)
  return MANAGED_TYPES.map((type) => {
    const names = objects.filter((object) => typeKey(object) === typeKey(type)).map(({ name }) => name)
    if (names.length === 0) throw new Error(`operator/api/kinds.ts: no template renders a ${type.kind}`)
    return names.includes(undefined) ? { type } : { type, names: [...new Set(names as string[])].sort() }
  })
}

function headOf(template: string, text: string): { template: string; apiVersion: string; kind: string; name: string | undefined } {
  const read = (pattern: RegExp): string => {
    const found = pattern.exec(text)?.[1]
    if (found === undefined) throw new Error(`templates/${template}: no apiVersion, kind or metadata.name at the usual place`)
    return found
  }
  const name = read(/^metadata:\n {2}name: (.+)$/m)
  return { template, apiVersion: read(/^apiVersion: (\S+)$/m), kind: read(/^kind: (\w+)$/m), name: name.includes('{{') ? undefined : name }
}
