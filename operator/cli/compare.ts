/** Field-level differences between two objects as people read them: `spec.replicas: 1 → 2`. */
import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, type KubeObject } from '../../runtime/object.ts'
import { APPLIED_ANNOTATION } from '../api/slimeboot.ts'

export interface FieldChange {
  /** `spec.template.spec.containers[slime].image` */
  readonly path: string
  /** Undefined where the field is new or goes. */
  readonly from: unknown
  readonly to: unknown
}

/** Metadata that the server keeps for itself, and our own hash, which follows from the rest. */
const IGNORED: ReadonlySet<string> = new Set([
  'metadata.managedFields',
  'metadata.resourceVersion',
  'metadata.generation',
  'metadata.uid',
  'metadata.creationTimestamp',
  'status',
  `metadata.annotations.${APPLIED_ANNOTATION}`,
  'metadata.annotations.deployment.kubernetes.io/revision',
])

/** Every field that differs, but for what the server keeps for itself and status; empty when none does. */
export function compareObjects(from: KubeObject, to: KubeObject): readonly FieldChange[] {
  const found: FieldChange[] = []
  walk(from, to, '', found)
  return found
}

function walk(from: unknown, to: unknown, path: string, found: FieldChange[]): void {
  if (IGNORED.has(path) || isDeepStrictEqual(from, to)) return
  if (isJsonObject(from) && isJsonObject(to)) {
    for (const key of new Set([...Object.keys(from), ...Object.keys(to)]))
      walk(from[key], to[key], path === '' ? key : `${path}.${key}`, found)
  } else if (Array.isArray(from) && Array.isArray(to)) walkList(from as unknown[], to as unknown[], path, found)
  else found.push({ path, from, to })
}

/** Elements with a name are compared by it, others by position. */
function walkList(from: readonly unknown[], to: readonly unknown[], path: string, found: FieldChange[]): void {
  const nameOf = (element: unknown): string | undefined =>
    isJsonObject(element) && typeof element['name'] === 'string' ? element['name'] : undefined
  const named = [...from, ...to].every((element) => nameOf(element) !== undefined)
  if (named) {
    for (const name of new Set([...from, ...to].map(nameOf)))
      walk(
        from.find((element) => nameOf(element) === name),
        to.find((element) => nameOf(element) === name),
        `${path}[${name}]`,
        found,
      )
  } else for (let index = 0; index < Math.max(from.length, to.length); index++) walk(from[index], to[index], `${path}[${index}]`, found)
}

/** A value on one line, cut at `limit` characters. */
export function short(value: unknown, limit = 160): string {
  if (value === undefined) return '(none)'
  const text = JSON.stringify(value)
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`
}
