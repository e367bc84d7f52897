/** Deep merge of values: maps merge, lists and scalars replace, `null` removes what the base had. */
import { isJsonObject, type Json, type JsonObject } from '../../runtime/object.ts'

/**
 * `over` on top of `base`. Neither is changed. Keys such as `__proto__` are plain keys.
 * A `null` anywhere in `over` removes the key, whether `base` has it or not; nulls inside lists stay.
 */
export function merge(base: JsonObject, over: JsonObject): JsonObject {
  const result = new Map<string, Json>(Object.entries(base))
  for (const [key, value] of Object.entries(over)) {
    if (value === null) result.delete(key)
    else result.set(key, mergeValue(result.get(key), value))
  }
  return Object.fromEntries(result) // defines own properties, so `__proto__` cannot reach a prototype
}

function mergeValue(base: Json | undefined, over: Json): Json {
  if (!isJsonObject(over)) return over
  return merge(isJsonObject(base) ? base : {}, over)
}
