/** How large objects may be: the bounds in the CRDs are those of the programs, and what was stored before them is refused at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { excessOf as excessOfFence, FENCE_LIMITS } from '../../lazyload/fence/limits.ts'
import { propertyOf, readCrdSchema } from '../../operator/api/crd-schema.ts'
import { SPEC_LIMITS } from '../../operator/spec/limits.ts'
import { validate } from '../../operator/spec/validate.ts'
import type { Json, JsonObject } from '../../runtime/object.ts'
import { bootWith, lazyload, validSpec } from '../helpers/specs.ts'

const list = <Item>(count: number, make: (index: number) => Item): readonly Item[] =>
  Array.from({ length: count }, (_, index) => make(index))
const map = (count: number): JsonObject => Object.fromEntries(list(count, (index) => [`key-${index}`, 'x']))

test('the CRD of ServiceFence has the bounds of lazyload', () => {
  const spec = propertyOf(readCrdSchema('servicefences.microservice.slime.io.yaml'), 'spec')
  assert.equal(propertyOf(spec, 'host').maxProperties, FENCE_LIMITS.host)
  assert.equal(propertyOf(spec, 'namespaceSelector').maxItems, FENCE_LIMITS.namespaceSelector)
  assert.equal(propertyOf(spec, 'labelSelector').maxItems, FENCE_LIMITS.labelSelector)
  assert.equal(propertyOf(propertyOf(spec, 'labelSelector').items!, 'selector').maxProperties, FENCE_LIMITS.labels)
  assert.equal(propertyOf(propertyOf(spec, 'workloadSelector'), 'labels').maxProperties, FENCE_LIMITS.labels)
})

test('the CRD of SlimeBoot has the bounds of the operator', () => {
  const spec = propertyOf(readCrdSchema(), 'spec')
  // with a bound of its own a SlimeBoot stored with more keys would take neither status nor finalizer
  assert.equal(spec.maxProperties, undefined)
  const modules = propertyOf(spec, 'module')
  assert.equal(modules.maxItems, SPEC_LIMITS.modules)
  const fence = propertyOf(modules.items!, 'fence')
  assert.equal(propertyOf(fence, 'wormholePort').maxItems, SPEC_LIMITS.wormholePorts)
  assert.equal(propertyOf(fence, 'dispatches').maxItems, SPEC_LIMITS.dispatches)
  assert.equal(propertyOf(propertyOf(fence, 'dispatches').items!, 'domains').maxItems, SPEC_LIMITS.domains)
  const namespaces = propertyOf(propertyOf(propertyOf(spec, 'component'), 'globalSidecar'), 'namespace')
  assert.equal(namespaces.maxItems, SPEC_LIMITS.namespaces)
})

const FENCES: readonly (readonly [what: string, spec: JsonObject, status?: JsonObject])[] = [
  ['spec.host', { host: map(1001) }],
  ['spec.namespaceSelector', { namespaceSelector: list(1001, String) }],
  ['spec.labelSelector', { labelSelector: list(501, () => ({ selector: { a: 'b' } })) }],
  ['one selector of labels', { labelSelector: [{ selector: map(65) }] }],
  ['one selector of labels', { workloadSelector: { labels: map(65) } }],
  ['status.metricStatus', {}, { metricStatus: map(2001) }],
]
for (const [what, spec, status = {}] of FENCES)
  test(`a fence whose ${what} is too large is refused, with the number`, () => {
    const fence = (parts: JsonObject) => ({ apiVersion: 'a/v1', kind: 'ServiceFence', metadata: { name: 'a' }, spec: parts, status })
    assert.match(excessOfFence(fence(spec)) ?? '', new RegExp(`^${what} has \\d+ entries; at most \\d+ are taken\\.$`))
    assert.equal(excessOfFence({ ...fence({ host: map(1000), labelSelector: null }), status: {} }), undefined)
  })

const dispatches = (count: number, domains: number): Json =>
  list(count, (index) => ({ name: `d${index}`, domains: list(domains, (each) => `h${index}-${each}.com`), cluster: 'x' }))
const SPECS: readonly (readonly [path: string, spec: JsonObject])[] = [
  ['spec', map(201)],
  ['spec', { foo: 'x'.repeat(600_000) }],
  ['spec', { foo: list(20_001, (index) => index) }],
  ['spec', { foo: list(300, () => map(100)) }],
  ['spec.module', { module: list(51, (index) => lazyload({ name: `m${index}` })) }],
  ['spec.component.globalSidecar.namespace', { component: { globalSidecar: { namespace: list(1001, (index) => `n${index}`) as Json } } }],
  ['spec.module[0].fence.wormholePort', { module: [lazyload({ fence: { wormholePort: list(101, (index) => 1000 + index) as Json } })] }],
  ['spec.module[0].fence.dispatches', { module: [lazyload({ fence: { dispatches: dispatches(101, 1) } })] }],
  [
    'spec.module[0].fence.dispatches[1].domains',
    { module: [lazyload({ fence: { dispatches: [{}, { domains: list(101, String) as Json }] } })] },
  ],
  [
    'spec.module[0].fence.dispatches',
    { module: [lazyload({ fence: { wormholePort: list(11, (index) => 1000 + index) as Json, dispatches: dispatches(95, 1) } })] },
  ],
  ['spec.module[0].fence.dispatches', { module: [lazyload({ fence: { wormholePort: [80, 81], dispatches: dispatches(20, 80) } })] }],
]
for (const [path, parts] of SPECS)
  test(`${JSON.stringify(parts).slice(0, 60)} is refused as too large at ${path}, and nothing else is looked for`, () => {
    const { errors, warnings } = validate(bootWith(validSpec(parts)))
    assert.deepEqual(
      errors.map((error) => error.path),
      [path],
    )
    assert.deepEqual(warnings, [])
    assert.ok(errors[0]!.message.length < 400)
  })
