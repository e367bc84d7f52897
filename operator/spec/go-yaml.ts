/**
 * YAML as kubectl reads it: go-yaml v2's rules for plain scalars (sigs.k8s.io/yaml v1.6, go.yaml.in/yaml/v2 resolve.go), on js-yaml's parser.
 * `no` is false, `0644` and `0o644` are 420, `1_000` is 1000, dates and base-60 numbers stay text.
 * Stricter than kubectl on purpose: a repeated key (there the last wins), unknown tags and several JSON objects in a row are errors.
 */
import { defineMappingTag, defineScalarTag, loadAll, mapTag, mergeTag, NOT_RESOLVED, Schema, seqTag, strTag, YAMLException } from 'js-yaml'

import type { Json } from '../../runtime/object.ts'

/** Text that is not YAML; the message starts with file, line and column. */
export class YamlError extends Error {
  override readonly name = 'YamlError'
}

const NULL = new Set(['', '~', 'null', 'Null', 'NULL'])
const TRUE = new Set(['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'])
const FALSE = new Set(['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'])
/** Not numbers in JSON: kubectl refuses them. */
const NOT_FINITE = /^([+-]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$/
const INTEGER = /^[+-]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)$/
const FLOAT = /^[+-]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/
const DATE = /^\d{4}-\d{1,2}-\d{1,2}/

/** More values than this are an alias bomb. */
const MAX_NODES = 1_000_000

const scalar = (name: string, implicit: boolean, resolve: (source: string) => unknown) =>
  defineScalarTag(`tag:yaml.org,2002:${name}`, { implicit, resolve, identify: () => false })

/** Keys become text as sigs.k8s.io/yaml makes it; `null` and structures as keys are refused. */
const goMapTag = defineMappingTag<Record<string, unknown>>('tag:yaml.org,2002:map', {
  ...mapTag,
  addPair: (map, key, value) => (key === null ? 'null cannot be a key; write it in quotes' : mapTag.addPair(map, key, value)),
})

const SCHEMA = new Schema([
  strTag,
  seqTag,
  goMapTag,
  mergeTag,
  scalar('null', true, (source) => (NULL.has(source) ? null : NOT_RESOLVED)),
  scalar('bool', true, (source) => (TRUE.has(source) ? true : FALSE.has(source) ? false : NOT_RESOLVED)),
  scalar('int', true, (source) => integer(source) ?? NOT_RESOLVED),
  scalar('float', true, (source) => float(source) ?? NOT_RESOLVED),
  scalar('timestamp', false, (source) => source),
  scalar('binary', false, (source) => Buffer.from(source, 'base64').toString()),
])

/** Documents of a stream in order, `null` for an empty one. `file` is for messages. Throws YamlError. */
export function parseGoYaml(text: string, file: string): Json[] {
  try {
    const documents = loadAll(text.replace(/^\uFEFF/, ''), { schema: SCHEMA, filename: file }) as Json[]
    refuseBomb(documents, file)
    return documents
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    const place = error.mark === undefined ? file : `${file}:${error.mark.line + 1}:${error.mark.column + 1}`
    throw new YamlError(`${place}: ${error.reason}`, { cause: error })
  }
}

function integer(source: string): number | undefined {
  if (!/^[+\-0-9]/.test(source) || DATE.test(source)) return undefined
  const plain = source.replaceAll('_', '')
  if (!INTEGER.test(plain)) return undefined
  const negative = plain.startsWith('-')
  const digits = plain.replace(/^[+-]/, '')
  const octal = /^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits
  return Number(octal) * (negative ? -1 : 1) || 0 // no -0
}

function float(source: string): number | undefined {
  if (NOT_FINITE.test(source)) throw new YAMLException(`${source} is not a number that JSON knows; write it in quotes`)
  if (!/^[+\-.0-9]/.test(source) || DATE.test(source)) return undefined
  const plain = source.replace(source.startsWith('.') ? /(?<=\d)_(?=\d)/g : /_/g, '')
  const value = FLOAT.test(plain) ? Number(plain) : Number.NaN
  return Number.isFinite(value) ? value : undefined
}

/** Aliases share values, so a short text may stand for a very long one. */
function refuseBomb(documents: readonly Json[], file: string): void {
  let nodes = 0
  const visit = (value: unknown): void => {
    nodes += 1
    if (nodes > MAX_NODES) throw new YamlError(`${file}: its aliases expand to more than ${MAX_NODES} values`)
    if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) visit(item)
  }
  visit(documents)
}
