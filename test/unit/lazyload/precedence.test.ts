/** Which Sidecar Istio takes for a pod, and which selectors can meet. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { createLabelIndex, isDisjoint, isSubset, type Labels } from '../../../lazyload/mesh/label-index.ts'
import { createSidecarPrecedence, takenBy } from '../../../lazyload/sidecar/precedence.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const labels = fc.dictionary(fc.constantFrom('app', 'version', 'constructor'), fc.constantFrom('a', 'b'), { maxKeys: 3 })

test('two selectors are disjoint when no pod can have the labels of both; one covers the other when each of its pods has them', () => {
  fc.assert(
    fc.property(labels, labels, (a, b) => {
      const both = { ...a, ...b }
      assert.equal(isDisjoint(a, b), !isSubset(a, both))
      assert.equal(isSubset(a, b), Object.keys(both).length === Object.keys(b).length && !isDisjoint(a, b))
    }),
  )
})

test('the index finds what a comparison with each of them finds, whatever came, changed and went', () => {
  const step = fc.tuple(fc.constantFrom('one/a', 'one/b', 'one/c', 'two/a'), fc.option(labels, { nil: undefined }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), labels, (steps, wanted) => {
      const index = createLabelIndex()
      const known = new Map<string, Labels>()
      for (const [key, value] of steps) {
        index.put(key, value)
        if (value === undefined) known.delete(key)
        else known.set(key, value)
      }
      const expected = [...known].filter(([key, value]) => key.startsWith('one/') && !isDisjoint(value, wanted)).map(([key]) => key)
      assert.deepEqual([...index.overlapping('one', wanted)].sort(), expected.sort())
    }),
  )
})

const sidecar = (name: string, seconds: number, selector: Labels | null | undefined, revision?: string): KubeObject => ({
  apiVersion: 'networking.istio.io/v1beta1',
  kind: 'Sidecar',
  metadata: {
    name,
    namespace: 'ns',
    creationTimestamp: `2026-01-01T00:00:0${seconds}Z`,
    ...(revision === undefined ? {} : { labels: { 'istio.io/rev': revision } }),
  },
  spec: { egress: [], ...(selector === undefined ? {} : { workloadSelector: selector === null ? null : { labels: selector } }) },
})

test('before one come those that are older, or as old with a smaller name, and may be read by the same control plane', () => {
  const precedence = createSidecarPrecedence()
  for (const each of [
    sidecar('older', 1, { app: 'a' }),
    sidecar('oldest', 0, { version: 'v1' }),
    sidecar('as-old', 2, { app: 'a' }),
    sidecar('zz-as-old', 2, { app: 'a' }),
    sidecar('younger', 3, { app: 'a' }),
    sidecar('others', 0, { app: 'b' }),
    sidecar('all-pods', 1, {}),
    sidecar('namespace-wide', 0, undefined),
    sidecar('no-selector', 0, null),
    sidecar('same-revision', 1, { app: 'a' }, '1-20'),
    sidecar('other-revision', 1, { app: 'a' }, '1-19'),
    sidecar('ours', 2, { app: 'a' }, '1-20'),
  ])
    precedence.change(undefined, each)
  assert.deepEqual(
    precedence.before('ns/ours').map(({ name }) => name),
    ['oldest', 'all-pods', 'older', 'same-revision', 'as-old'],
  )
  assert.deepEqual(precedence.before('ns/namespace-wide'), [])
  assert.deepEqual(precedence.before('ns/unknown'), [])
})

test('only a change of selector, age, revision or owner concerns others', () => {
  const precedence = createSidecarPrecedence()
  const first = sidecar('one', 1, { app: 'a' })
  assert.deepEqual(precedence.change(undefined, first), [{ app: 'a' }])
  assert.deepEqual(precedence.change(first, { ...first, spec: { ...(first['spec'] as object), egress: [{ hosts: ['*/*'] }] } }), [])
  assert.deepEqual(precedence.change(first, sidecar('one', 1, { app: 'b' })), [{ app: 'a' }, { app: 'b' }])
  assert.deepEqual(precedence.change(first, sidecar('one', 1, undefined)), [{ app: 'b' }])
  assert.deepEqual(precedence.change(first, undefined), [])
})

test('a pod takes the first that has a subset of its labels, and that its control plane reads', () => {
  const precedence = createSidecarPrecedence()
  for (const each of [
    sidecar('canary', 0, { app: 'a' }, 'canary'),
    sidecar('v2', 1, { app: 'a', version: 'v2' }),
    sidecar('a', 2, { app: 'a' }),
    sidecar('ours', 3, { tier: 'front' }),
  ])
    precedence.change(undefined, each)
  const candidates = precedence.before('ns/ours')
  const taken = (pod: Labels, revision?: string): string | undefined => takenBy(candidates, { labels: pod, revision })?.name
  assert.equal(taken({ app: 'a', version: 'v2', tier: 'front' }, 'default'), 'v2')
  assert.equal(taken({ app: 'a', version: 'v1', tier: 'front' }, 'default'), 'a')
  assert.equal(taken({ app: 'a', version: 'v1', tier: 'front' }, 'canary'), 'canary')
  assert.equal(taken({ tier: 'front' }), undefined)
})
