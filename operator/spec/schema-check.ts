/** Types of a spec, by ajv against the CRD's schema; its errors as sentences that say what to write instead. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'

import { propertyOf, readCrdSchema, toJsonSchema } from '../api/crd-schema.ts'
import { child, problem, type Problem, show } from './problems.ts'

/** A list of a hundred thousand wrong entries is wrong in one way; to say it so often takes seconds. */
const DESCRIBED = 1000

let compiled: ValidateFunction | undefined

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: 'a map',
  array: 'a list',
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
}

/** What in `spec` has a type which the CRD refuses, in the order of the document; the first thousand. */
export function schemaProblems(spec: unknown): Problem[] {
  // the schema ships with the program: whether it is one is tested, not asked at every start (that takes longer than to compile it)
  compiled ??= new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, verbose: true, validateSchema: false, meta: false }).compile(
    toJsonSchema(propertyOf(readCrdSchema(), 'spec')),
  )
  if (compiled(spec)) return []
  return (compiled.errors ?? []).slice(0, DESCRIBED).map(describe)
}

function describe(error: ErrorObject): Problem {
  const path = pathOf(error.instancePath)
  const value = error.data
  switch (error.keyword) {
    case 'type':
      return problem(path, `must be ${typeWords(path, error.schema)}, got ${show(value)}.${typeHint(path, error.schema, value)}`)
    case 'enum':
      return problem(path, `must be ${alternatives(error.schema as string[])}, got ${show(value)}.`)
    case 'minimum':
    case 'maximum':
      return problem(path, `must be ${range(path, error)}, got ${show(value)}.`)
    default:
      return problem(path, `${error.message ?? 'is not allowed'}, got ${show(value)}.`)
  }
}

function typeWords(path: string, schema: unknown): string {
  if (isPort(path)) return 'a port from 1 to 65535'
  const types = (Array.isArray(schema) ? (schema as string[]) : [String(schema)]).filter((type) => type !== 'null')
  return types.map((type) => TYPE_WORDS[type] ?? type).join(' or ')
}

function typeHint(path: string, schema: unknown, value: unknown): string {
  if (path.includes('.wormholePort[')) return ' Write the number of a Service port, for example "9080".'
  if (path.endsWith(']') && value === null) return ' Remove the entry or fill it in.'
  const types = Array.isArray(schema) ? (schema as string[]) : [schema]
  if (value === null) return ' Remove the key to get the default.'
  if (types.includes('string') && (typeof value === 'number' || typeof value === 'boolean'))
    return ` Write it in quotes: ${show(String(value))}.`
  if (types.includes('boolean') && (value === 'true' || value === 'false')) return ` Write ${value} without quotes.`
  if (types.includes('integer') && typeof value === 'string' && /^\d+$/.test(value)) return ` Write ${value} without quotes.`
  if (types.includes('array') && value !== undefined) return ' Write each entry on a line of its own that starts with "- ".'
  return ''
}

function range(path: string, error: ErrorObject): string {
  if (isPort(path)) return 'a port from 1 to 65535'
  return error.keyword === 'minimum' ? `${show(error.schema)} or more` : `${show(error.schema)} or less`
}

function isPort(path: string): boolean {
  return /(\.port|Port|\.wormholePort\[\d+\])$/.test(path) && !path.endsWith('.wormholePort')
}

function alternatives(values: readonly string[]): string {
  return `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
}

/** `/module/0/name` as `spec.module[0].name`. A key of digits under a map looks like an index: maps with such keys hold no typed values. */
function pathOf(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => child(path, /^\d+$/.test(part) ? Number(part) : part), 'spec')
}
