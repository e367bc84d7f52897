/** Writes operator/api/slimeboot-spec.ts: the TypeScript types of SlimeBoot's spec and status, from the CRD. `node tools/generate-api-types.ts` */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { propertyOf, readCrdSchema, type CrdSchema } from '../operator/api/crd-schema.ts'

const FILE = join(import.meta.dirname, '../operator/api/slimeboot-spec.ts')

const SCALARS: Readonly<Record<string, string>> = { string: 'string', integer: 'number', number: 'number', boolean: 'boolean' }

/** Text of the module. */
export function apiTypes(): string {
  const schema = readCrdSchema()
  return [
    '/** Types of SlimeBoot, generated from crds/slimeboots.config.netease.com.yaml by tools/generate-api-types.ts. Do not edit. */',
    '',
    declaration('SlimeBootSpec', propertyOf(schema, 'spec')),
    declaration('SlimeBootStatus', propertyOf(schema, 'status')),
  ].join('\n')
}

function declaration(name: string, schema: CrdSchema): string {
  return `${doc(schema, '')}export interface ${name} ${objectType(schema, '')}\n`
}

function typeOf(schema: CrdSchema, indent: string): string {
  const type = bareType(schema, indent)
  return schema.nullable === true && type !== 'unknown' ? `${type} | null` : type
}

function bareType(schema: CrdSchema, indent: string): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'number | string'
  if (schema.enum !== undefined) return schema.enum.map((value) => `'${value}'`).join(' | ')
  if (schema.type === 'array') return `readonly ${inList(typeOf(schema.items ?? {}, indent))}[]`
  if (schema.type === 'object') return objectType(schema, indent)
  return SCALARS[schema.type ?? ''] ?? 'unknown'
}

function inList(type: string): string {
  return type.includes(' | ') && !type.startsWith('{') ? `(${type})` : type
}

function objectType(schema: CrdSchema, indent: string): string {
  if (schema.additionalProperties !== undefined) return `{ readonly [key: string]: ${typeOf(schema.additionalProperties, indent)} }`
  if (schema.properties === undefined) return '{ readonly [key: string]: unknown }'
  const inner = `${indent}  `
  const required = new Set(schema.required)
  const members = Object.entries(schema.properties).map(
    ([name, property]) =>
      `${doc(property, inner)}${inner}readonly ${keyOf(name)}${required.has(name) ? '' : '?'}: ${typeOf(property, inner)}\n`,
  )
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true ? `${inner}readonly [key: string]: unknown\n` : ''
  return `{\n${members.join('')}${open}${indent}}`
}

function doc(schema: CrdSchema, indent: string): string {
  return schema.description === undefined ? '' : `${indent}/** ${schema.description.replaceAll('*/', '*\\/')} */\n`
}

function keyOf(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : `'${name}'`
}

if (import.meta.main) {
  writeFileSync(FILE, apiTypes())
  execFileSync(join(import.meta.dirname, '../node_modules/.bin/oxfmt'), [FILE])
}
