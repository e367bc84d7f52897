/** Whatever JSON a SlimeBoot holds: validate judges it, and buildValues takes what validate accepts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readCrdSchema, type CrdSchema } from '../../../operator/api/crd-schema.ts'
import { buildValues } from '../../../operator/spec/build-values.ts'
import { GoTemplateError, runGoTemplate } from '../../../operator/spec/go-template.ts'
import { merge } from '../../../operator/spec/merge.ts'
import { validate } from '../../../operator/spec/validate.ts'
import type { Json, JsonObject } from '../../../runtime/object.ts'
import { bootWith, validSpec } from '../../helpers/specs.ts'

const RUNS = { numRuns: 500 }
const trickyText = fc.constantFrom(
  'no',
  'cluster',
  'namespaced',
  '9080',
  '*',
  '_GLOBAL_SIDECAR',
  '{{ .Values.foo }}',
  '{{',
  'lazyload',
  'BundleItem',
  'accesslog',
  '',
  '__proto__',
  '\u2028<&>',
)
const scalar = fc.oneof(
  trickyText,
  fc.string({ unit: 'binary' }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom(80, 9080, 15001, 0),
)
const anyJson = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(trickyText, fc.constantFrom('constructor', 'name', 'toString'), fc.string()), tie('value'), { maxKeys: 4 }),
  ),
})).value

/** Values that mostly have the type that the schema wants, so that they get further than the schema's check. */
function likely(schema: CrdSchema): fc.Arbitrary<Json> {
  return fc.oneof({ weight: 12, arbitrary: fitting(schema) }, { weight: 1, arbitrary: anyJson })
}

function fitting(schema: CrdSchema): fc.Arbitrary<Json> {
  if (schema.enum !== undefined) return fc.constantFrom<Json>(...schema.enum)
  if (schema.properties !== undefined) return objectOf(schema.properties)
  if (schema.additionalProperties !== undefined) return fc.dictionary(fc.string(), likely(schema.additionalProperties), { maxKeys: 3 })
  if (schema.items !== undefined) return fc.array(likely(schema.items), { maxLength: 3 })
  if (schema.type === 'integer') return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 9 })
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'object') return fc.dictionary(fc.string(), anyJson, { maxKeys: 2 })
  return fc.oneof(trickyText, fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 1, max: 100 }))
}

function objectOf(properties: Readonly<Record<string, CrdSchema>>): fc.Arbitrary<Json> {
  const fields = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, likely(schema)]))
  return fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Json>
}

/** Modules and components that fit together, for the part of the space that is valid. */
const port = fc.oneof(fc.integer({ min: 1, max: 14_999 }), fc.integer({ min: 1, max: 14_999 }).map(String))
const goodDispatch = fc.record({
  name: fc.oneof(fc.string({ minLength: 1 }), fc.integer()),
  domains: fc.uniqueArray(fc.stringMatching(/^[a-z]{6,12}(\.\*)?$/), { minLength: 1, maxLength: 3 }),
  cluster: fc.constantFrom('_GLOBAL_SIDECAR', 'PassthroughCluster', '{{ print .Values.namespace }}', '{{ .Values.gone | default "x" }}'),
})
const goodModule = fc.record(
  {
    enable: fc.boolean(),
    fence: fc.record({ wormholePort: fc.array(port), dispatches: fc.array(goodDispatch, { maxLength: 1 }) }, { requiredKeys: [] }),
    global: fc.record({ misc: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.boolean(), fc.integer())) }),
    general: anyJson.map((value) => ({ value })),
  },
  { requiredKeys: ['enable'] },
)
const goodSpec = fc
  .record(
    {
      module: fc.array(goodModule, { maxLength: 3 }).map((modules) => modules.map((module, index) => ({ ...module, name: `m${index}` }))),
      component: fc.constantFrom(
        {},
        { globalSidecar: { type: 'cluster' } },
        { globalSidecar: { type: 'namespaced', namespace: ['a', 'b'] } },
        { globalSidecar: { enable: false, type: 'x' } },
      ),
    },
    { requiredKeys: ['module'] },
  )
  .map((parts) => validSpec(parts as unknown as JsonObject))

/** A good spec with up to two of its top-level keys replaced by something that may not fit. */
const specProperties = readCrdSchema().properties?.['spec']?.properties ?? {}
const replaced = fc
  .constantFrom(...Object.keys(specProperties))
  .chain((key) => likely(specProperties[key] ?? {}).map((value) => ({ [key]: value })))
const likelySpec = fc.tuple(goodSpec, fc.array(replaced, { maxLength: 2 })).map(([spec, parts]) => parts.reduce<JsonObject>(merge, spec))
const facts = fc.record(
  {
    rootNamespace: fc.constantFrom('istio-system', 'a'),
    kubernetesVersion: fc.record({ major: fc.constant(1), minor: fc.integer({ min: 18, max: 40 }) }),
  },
  { requiredKeys: [] },
)

test('validate and buildValues never throw on a spec of any JSON', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        anyJson,
        anyJson.map((part) => ({ ...validSpec(), module: [part] as Json[] })),
      ),
      facts,
      (spec, known) => {
        judge(spec, known)
      },
    ),
    RUNS,
  )
})

test('validate and buildValues never throw on a spec that nearly fits, and both verdicts occur', () => {
  const verdicts = { valid: 0, invalid: 0 }
  fc.assert(
    fc.property(likelySpec, facts, (spec, known) => {
      verdicts[judge(spec, known)] += 1
    }),
    RUNS,
  )
  assert.ok(verdicts.valid > 50 && verdicts.invalid > 50, JSON.stringify(verdicts))
})

function judge(spec: Json, known: Parameters<typeof validate>[1]): 'valid' | 'invalid' {
  const boot = bootWith(spec)
  const { errors, warnings } = validate(boot, known)
  assert.deepEqual(validate(bootWith(JSON.parse(JSON.stringify(spec))), known), { errors, warnings }, 'the verdict is stable')
  for (const { path, message } of [...errors, ...warnings]) assert.ok(message.startsWith(path))
  assert.equal(new Set(errors.map(({ path }) => path)).size, errors.length, 'one error a path')
  if (errors.length > 0) return 'invalid'
  const values = buildValues(boot)
  assert.equal(values.controller.image.length > 0, true)
  for (const { config, clusterRole } of values.modules) {
    assert.ok(clusterRole.length > 0)
    for (const text of Object.values(config)) assert.equal(typeof JSON.parse(text), 'object')
  }
  return 'valid'
}

test('a spec of any depth and size gets a verdict', () => {
  let deep: Json = 'x'
  for (let depth = 0; depth < 100_000; depth += 1) deep = depth % 2 === 0 ? [deep] : { module: deep }
  assert.deepEqual(
    validate(bootWith(deep)).errors.map(({ path }) => path),
    ['spec'],
  )
  const ports = Array.from({ length: 50_000 }, (_, index) => index + 1)
  const wide = validSpec({ module: [{ name: 'a', enable: true, fence: { wormholePort: [...ports, ...ports.map(String)] } }] })
  assert.deepEqual(
    validate(bootWith(wide)).errors.map(({ path }) => path),
    ['spec'],
  )
})

test('a template gives text of bounded length or a GoTemplateError, whatever it is', () => {
  const piece = fc.constantFrom(
    '{{',
    '}}',
    '{{-',
    '-}}',
    ' ',
    '.Values',
    '.a',
    '.foo',
    '|',
    '(',
    ')',
    '"x"',
    '`',
    'print',
    'printf',
    '"%s%d"',
    'replace',
    'quote',
    'default',
    '1',
    '-',
    '\\',
    '"',
  )
  const template = fc.oneof(
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join('')),
    fc.array(piece, { maxLength: 12 }).map((pieces) => `{{ ${pieces.join(' ')} }}`),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(template, (source) => {
      try {
        assert.ok(runGoTemplate(source, { foo: 'bar', a: { foo: 1 } }).length <= 4096)
      } catch (error) {
        if (!(error instanceof GoTemplateError)) throw error
      }
    }),
    { numRuns: 5000 },
  )
})
