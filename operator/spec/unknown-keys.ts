/** Keys that nobody reads: kept, because dispatch templates and controllers may read them, but warned about with the likely meant one. */
import { type CrdSchema, propertyOf, readCrdSchema } from '../api/crd-schema.ts'
import { isJsonObject, type JsonObject } from '../../runtime/object.ts'
import { isLazyload } from '../../module/element.ts'
import { GoTemplateError, valuesKeysOf } from './go-template.ts'
import { allModules, dispatchesOf } from './modules.ts'
import { memberSchema } from './prune-nulls.ts'
import { child, show, warning, type Warning } from './problems.ts'
import { textAt } from '../../module/read.ts'
import { upstreamNote } from './upstream.ts'

const MAX_WARNINGS = 100

/** A warning for each key of `spec` that the CRD does not describe, except top-level keys that a dispatch template reads, and what modules of other kinds have under `general`. At most 100. */
export function unknownKeys(spec: JsonObject): Warning[] {
  const warnings: Warning[] = []
  const schema = propertyOf(readSchema(), 'spec')
  const read = keysReadByTemplates(spec)
  walk(spec, schema, 'spec', warnings, (key) => read.has(key))
  const theirs = allModules(spec)
    .filter(({ module }) => !isLazyload(module))
    .map(({ path }) => `${path}.general.`)
  return warnings.filter(({ path }) => !theirs.some((general) => path.startsWith(general))).slice(0, MAX_WARNINGS)
}

let schemaRead: CrdSchema | undefined
function readSchema(): CrdSchema {
  schemaRead ??= readCrdSchema()
  return schemaRead
}

function walk(value: unknown, schema: CrdSchema, path: string, warnings: Warning[], isRead: (key: string) => boolean): void {
  if (warnings.length >= MAX_WARNINGS) return
  if (Array.isArray(value)) {
    const { items } = schema
    if (items !== undefined) for (const [index, item] of value.entries()) walk(item, items, child(path, index), warnings, () => false)
    return
  }
  if (!isJsonObject(value)) return
  for (const [key, item] of Object.entries(value)) {
    const known = memberSchema(schema, key)
    if (known !== undefined) walk(item, known, child(path, key), warnings, () => false)
    else if (schema.properties !== undefined && !isRead(key)) warnings.push(unknownKey(key, path, Object.keys(schema.properties)))
  }
}

function unknownKey(key: string, path: string, siblings: readonly string[]): Warning {
  const note = upstreamNote(child(path, key))
  if (note !== undefined) return warning('NotNeeded', child(path, key), note)
  const meant = closest(key, siblings)
  return warning('UnknownKey', child(path, key), `is not a known key.${meant === undefined ? '' : ` Did you mean ${show(meant)}?`}`)
}

function keysReadByTemplates(spec: JsonObject): ReadonlySet<string> {
  const templates = allModules(spec).flatMap(({ module }) =>
    dispatchesOf(module).entries.map((dispatch) => textAt(dispatch, 'cluster') ?? ''),
  )
  return new Set(templates.flatMap(keysRead))
}

function keysRead(template: string): string[] {
  try {
    return valuesKeysOf(template)
  } catch (error) {
    if (error instanceof GoTemplateError) return []
    throw error
  }
}

/** The candidate that differs in the fewest letters, if these are at most 2 and less than half of the key. */
export function closest(key: string, candidates: readonly string[]): string | undefined {
  const limit = Math.min(2, Math.floor((key.length - 1) / 2))
  const close = candidates
    .filter((candidate) => Math.abs(candidate.length - key.length) <= limit)
    .map((candidate) => ({ candidate, distance: distance(key.toLowerCase(), candidate.toLowerCase()) }))
    .filter((each) => each.distance <= limit)
  return close.toSorted((a, b) => a.distance - b.distance)[0]?.candidate
}

/** Levenshtein distance: inserted, removed and replaced letters. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of Array.from(a).entries()) {
    const next = [i + 1]
    for (const [j, other] of Array.from(b).entries()) {
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
