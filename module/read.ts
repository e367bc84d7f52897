/** Tolerant reading of JSON that may hold anything: a missing or wrongly typed part reads as empty. */
import { isJsonObject, type Json, type JsonObject } from '../runtime/object.ts'

/** The value at a path of own keys, or undefined. `null` reads as undefined. */
export function at(value: unknown, ...keys: readonly string[]): Json | undefined {
  let found: unknown = value
  for (const key of keys) {
    if (!isJsonObject(found) || !Object.hasOwn(found, key)) return undefined
    found = found[key]
  }
  return (found ?? undefined) as Json | undefined
}

/** The object at a path, or `{}`. */
export function objectAt(value: unknown, ...keys: readonly string[]): JsonObject {
  const found = at(value, ...keys)
  return isJsonObject(found) ? found : {}
}

/** The list at a path, or `[]`. */
export function listAt(value: unknown, ...keys: readonly string[]): readonly Json[] {
  const found = at(value, ...keys)
  return Array.isArray(found) ? (found as readonly Json[]) : []
}

/** The text at a path, or undefined. */
export function textAt(value: unknown, ...keys: readonly string[]): string | undefined {
  const found = at(value, ...keys)
  return typeof found === 'string' ? found : undefined
}

/** The number at a path, or undefined. */
export function numberAt(value: unknown, ...keys: readonly string[]): number | undefined {
  const found = at(value, ...keys)
  return typeof found === 'number' ? found : undefined
}

/** The text or number at a path as text; empty when there is none. */
export function textOrNumberAt(value: unknown, ...keys: readonly string[]): string {
  const found = at(value, ...keys)
  return typeof found === 'string' || typeof found === 'number' ? String(found) : ''
}
