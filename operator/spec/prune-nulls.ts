/** `null` as the API server stores it, so that the command line sees the same spec as the operator. */
import { propertyOf, readCrdSchema, type CrdSchema } from '../api/crd-schema.ts'
import { isJsonObject, type Json, type JsonObject } from '../../runtime/object.ts'

let specSchema: CrdSchema | undefined

/**
 * The spec without nulls for fields that are not nullable: these count as not written, so their default stays.
 * A null that the CRD allows stays and removes a default (merge.ts). Nulls in lists stay: the schema refuses them.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable
 */
export function pruneNulls(spec: JsonObject): JsonObject {
  specSchema ??= propertyOf(readCrdSchema(), 'spec')
  return prune(spec, specSchema) as JsonObject
}

function prune(value: Json, schema: CrdSchema): Json {
  if (Array.isArray(value))
    return schema.items === undefined ? value : (value as readonly Json[]).map((item) => prune(item, schema.items ?? {}))
  if (!isJsonObject(value)) return value
  const kept: [string, Json][] = []
  for (const [key, item] of Object.entries(value)) {
    const known = memberSchema(schema, key)
    if (known === undefined) kept.push([key, item])
    else if (item !== null || known.nullable === true) kept.push([key, prune(item, known)])
  }
  return Object.fromEntries(kept)
}

/** Schema of a key's value: of the named property, else of all others. */
export function memberSchema(schema: CrdSchema, key: string): CrdSchema | undefined {
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, key)) return schema.properties[key]
  return schema.additionalProperties
}
