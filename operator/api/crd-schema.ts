/** The schema of SlimeBoot, read from the CRD that ships: the same file that the API server checks with. */
import { load } from 'js-yaml'

import type { JsonObject } from '../../runtime/object.ts'
import { readAssets } from '../assets.ts'

/** The parts of a structural schema that our CRDs use (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema). */
export interface CrdSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  readonly description?: string
  readonly nullable?: boolean
  readonly properties?: Readonly<Record<string, CrdSchema>>
  readonly additionalProperties?: CrdSchema
  readonly items?: CrdSchema
  readonly required?: readonly string[]
  readonly enum?: readonly (string | number)[]
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly maxLength?: number
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}

interface Crd {
  readonly spec: { readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: CrdSchema } }[] }
}

/** `openAPIV3Schema` of a CRD file in `crds/` with a single version. */
export function readCrdSchema(file = 'slimeboots.config.netease.com.yaml'): CrdSchema {
  const text = readAssets('crds').get(file)
  if (text === undefined) throw new Error(`crds/${file} is missing. Install the package again.`)
  const [version] = (load(text) as Crd).spec.versions
  if (version === undefined) throw new Error(`crds/${file} has no version`)
  return version.schema.openAPIV3Schema
}

/** Schema of a property, or an empty one that allows anything. */
export function propertyOf(schema: CrdSchema, name: string): CrdSchema {
  return schema.properties?.[name] ?? {}
}

/**
 * The same schema as plain JSON schema: int-or-string and nullable become types, Kubernetes' own keywords go.
 * Unknown keys are allowed everywhere: they are warnings (spec/unknown-keys.ts), not errors.
 */
export function toJsonSchema(schema: CrdSchema): JsonObject {
  const types = schema['x-kubernetes-int-or-string'] === true ? ['integer', 'string'] : schema.type === undefined ? [] : [schema.type]
  return {
    ...(types.length > 0 ? { type: schema.nullable === true ? [...types, 'null'] : types } : {}),
    ...(schema.properties === undefined ? {} : { properties: mapValues(schema.properties) }),
    ...(schema.additionalProperties === undefined ? {} : { additionalProperties: toJsonSchema(schema.additionalProperties) }),
    ...(schema.items === undefined ? {} : { items: toJsonSchema(schema.items) }),
    ...(schema.required === undefined ? {} : { required: schema.required }),
    ...(schema.enum === undefined ? {} : { enum: schema.enum }),
    ...(schema.minimum === undefined ? {} : { minimum: schema.minimum }),
    ...(schema.maximum === undefined ? {} : { maximum: schema.maximum }),
    // of any type: only a list is measured, and checks say more of it
    ...(schema.maxItems === undefined || types.length === 0 ? {} : { maxItems: schema.maxItems }),
  }
}

function mapValues(properties: Readonly<Record<string, CrdSchema>>): JsonObject {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, toJsonSchema(schema)]))
}
