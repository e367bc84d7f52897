import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JSON_SCHEMA, YAML11_SCHEMA, load, loadAll } from 'js-yaml'
import type { Json } from '../../runtime/object.ts'
import { RenderError } from '../../operator/render/render-error.ts'
import { render, renderText } from '../../operator/render/render.ts'
import type { Values } from '../../operator/spec/values.ts'
import { valuesOf } from '../helpers/shapes.ts'

const RUNS = { numRuns: 400 }

/** What some YAML reader takes for a line break, cannot read, or takes for a byte order mark; only escaped in our text. */
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]|\p{Surrogate}/u

/** Values in which every optional place is filled, in both shapes. */
const FULL: readonly Values[] = (['pilot', 'stock'] as const).map((shape) => {
  const values = valuesOf({ mode: 'namespaced', source: 'accesslog', shape, volumes: true, dispatches: true, namespaces: ['default'] })
  const pod = {
    imagePullSecrets: [{ name: 'pull' }],
    nodeSelector: { disk: 'ssd' },
    tolerations: [{ operator: 'Exists' }],
    affinity: { nodeAffinity: { a: 'b' } },
  }
  return {
    ...values,
    controller: { ...values.controller, ...pod, podSecurityContext: { runAsUser: 1 }, containerSecurityContext: { privileged: false } },
    globalSidecar: {
      ...values.globalSidecar,
      ...pod,
      image: 'istio/proxyv2:1.30',
      revision: '1-30',
      priorityClassName: 'high',
      networkPolicy: true,
    },
    ...(values.pilot === undefined ? {} : { pilot: { ...values.pilot, imagePullSecrets: [{ name: 'pull' }] } }),
  }
})

/** Strings that some YAML reader takes for something else, or that end a scalar, line or document. */
const NASTY = [
  '',
  ' ',
  'no',
  'Y',
  'off',
  'True',
  'null',
  '~',
  '=',
  '<<',
  '0644',
  '0o17',
  '0x1F',
  '1_000',
  '12:30',
  '1e3',
  '.inf',
  '-.5',
  '2026-11-22',
  '- a',
  'a: b',
  'a #b',
  '#a',
  '&a',
  '*a',
  '!a',
  '|',
  '>',
  '%a',
  '@a',
  '`a',
  '"',
  "'",
  '\\',
  '[',
  '{',
  ',',
  '?',
  '? a',
  ':',
  '---',
  '...',
  '\n---\n',
  '{{x}}',
  '{{{x}}}',
  '$(A)',
  '\0',
  '\u001b',
  '\u007f',
  '\u0085',
  '\u00a0',
  '\u2028',
  '\u2029',
  '\ufeff',
  '\ufffe',
  '\uffff',
  '\ud800',
  '\udfff',
  '\ud83d\ude00',
  'a\r\nb',
  '\t',
  'a\n  b: c\n',
  '__proto__',
  'constructor',
]
const anyString = fc.oneof(
  fc.constantFrom(...NASTY),
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.oneof(
        fc.constantFrom(...NASTY),
        fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
      ),
    )
    .map((parts) => parts.join('')),
)
const anyJson: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    anyString,
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value')),
    fc.dictionary(anyString, tie('value')),
  ),
})).value
const anyStructure = fc.oneof(fc.dictionary(anyString, anyJson, { minKeys: 1 }), fc.array(anyJson, { minLength: 1 })).map(asParsed)

type Path = readonly (string | number)[]
interface Place {
  readonly values: Values
  readonly path: Path
}

const MARKER = 'marker-that-nothing-else-has'

/** Every string of the values that reaches a template. */
const stringPlaces: readonly Place[] = FULL.flatMap((values) =>
  leaves(values, (value) => typeof value === 'string')
    .filter(([first]) => first !== 'shape' && first !== 'mode')
    .filter((path) => JSON.stringify(documentsOf(set(values, path, MARKER))).includes(MARKER))
    .map((path) => ({ values, path })),
)
/** Every structure that is copied as a whole. */
const STRUCTURES =
  /^(controller|globalSidecar|pilot)\.(resources|nodeSelector|affinity|podSecurityContext|containerSecurityContext|imagePullSecrets\.0|tolerations\.0|volumes\.0|volumeMounts\.0)$/
const structurePlaces: readonly Place[] = FULL.flatMap((values) =>
  leaves(values, (_, path) => STRUCTURES.test(path.join('.'))).map((path) => ({ values, path })),
)

test('the places are the ones that a SlimeBoot fills', () => {
  const paths = new Set([...stringPlaces, ...structurePlaces].map(({ path }) => path.join('.')))
  for (const expected of [
    'namespace',
    'controller.image',
    'controller.service.type',
    'modules.0.name',
    'modules.0.clusterRole',
    'modules.0.config.cfg',
    'globalSidecars.0.namespace',
    'globalSidecars.0.filterNamespace',
    'globalSidecar.image',
    'globalSidecar.revision',
    'pilot.image',
    'accessLogs.0.address',
    'ports.0.dispatches.0.name',
    'ports.0.dispatches.0.domains.0',
    'ports.0.dispatches.0.cluster',
    'controller.volumes.0',
    'pilot.resources',
    'globalSidecar.tolerations.0',
  ]) {
    assert.ok(paths.has(expected), expected)
  }
})

test('any string at any place is read back exactly there, and nothing else changes', () => {
  fc.assert(
    fc.property(fc.constantFrom(...stringPlaces), anyString, ({ values, path }, text) => {
      if (text === '' && isOptional(path)) return
      const expected = replaceStrings(documentsOf(set(values, path, MARKER)), (found) => found.replaceAll(MARKER, () => text))
      assert.deepEqual(documentsOf(set(values, path, text)), expected)
    }),
    RUNS,
  )
})

test('any structure at any place is read back exactly there, and nothing else changes', () => {
  const marker = { [MARKER]: true }
  fc.assert(
    fc.property(fc.constantFrom(...structurePlaces), anyStructure, ({ values, path }, structure) => {
      const before = documentsOf(set(values, path, marker))
      assert.ok(JSON.stringify(before).includes(MARKER), `${path.join('.')} reaches no template`)
      assert.deepEqual(documentsOf(set(values, path, structure)), replaceStructure(before, marker, structure))
    }),
    RUNS,
  )
})

test('render gives manifests or throws RenderError, whatever the strings and structures are', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...stringPlaces, ...structurePlaces),
      fc.oneof(anyString, anyStructure, anyJson),
      ({ values, path }, value) => {
        try {
          render(set(values, path, value))
        } catch (error) {
          assert.ok(error instanceof RenderError, String(error))
        }
      },
    ),
    RUNS,
  )
})

/** Rendered objects, which YAML 1.1 must read alike; JSON and YAML inside a string are opened, so that escapes within them do not count. */
function documentsOf(values: Values): unknown {
  const text = renderText(values)
  assert.doesNotMatch(text, UNSAFE)
  const documents = loadAll(text, { schema: JSON_SCHEMA })
  assert.deepEqual(loadAll(text, { schema: YAML11_SCHEMA }), documents)
  return openTexts(documents)
}

function openTexts(value: unknown, key = ''): unknown {
  if (typeof value === 'string' && ['custom_bootstrap.json', 'mesh', 'PROXY_CONFIG'].includes(key))
    return load(value, { schema: JSON_SCHEMA })
  if (Array.isArray(value)) return value.map((item) => openTexts(item))
  if (typeof value !== 'object' || value === null) return value
  const name = 'name' in value && value.name === 'PROXY_CONFIG' ? 'PROXY_CONFIG' : ''
  return Object.fromEntries(Object.entries(value).map(([field, item]) => [field, openTexts(item, field === 'value' ? name : field)]))
}

/** Keys that are left out when their value is empty. */
function isOptional(path: Path): boolean {
  return /^(globalSidecar\.(image|revision|priorityClassName)|modules\.\d+\.namespaces\.0)$/.test(path.join('.'))
}

/** As it comes from the API server: own keys only, also `__proto__`. */
function asParsed<Structure>(structure: Structure): Structure {
  return JSON.parse(JSON.stringify(structure)) as Structure
}

function replaceStrings(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === 'string') return replace(value)
  if (Array.isArray(value)) return value.map((item) => replaceStrings(item, replace))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaceStrings(item, replace)]))
}

function replaceStructure(value: unknown, marker: object, structure: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (JSON.stringify(value) === JSON.stringify(marker)) return structure
  if (Array.isArray(value)) return value.map((item) => replaceStructure(item, marker, structure))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaceStructure(item, marker, structure)]))
}

function leaves(value: unknown, wanted: (value: unknown, path: Path) => boolean, path: Path = []): Path[] {
  if (wanted(value, path)) return [path]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => leaves(item, wanted, [...path, Array.isArray(value) ? Number(key) : key]))
}

function set<Container>(container: Container, [key, ...rest]: Path, value: unknown): Container {
  if (key === undefined) return value as Container
  const copy = (Array.isArray(container) ? [...container] : { ...container }) as Record<string | number, unknown>
  copy[key] = set(copy[key], rest, value)
  return copy as Container
}
