/** Which SlimeBoot keeps fences that several would serve, and which are looked at again when one changes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createModuleScopes } from '../../../operator/controller/module-scopes.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'

const namespaced = (...namespace: readonly string[]): JsonObject => ({ component: { globalSidecar: { type: 'namespaced', namespace } } })

function setUp() {
  const boots = new Map<string, KubeObject>()
  const scopes = createModuleScopes({ get: (key) => boots.get(key) })
  let generation = 0
  const put = (name: string, age: number, parts: JsonObject = {}, namespace = 'm'): readonly string[] => {
    const module = { name: 'lazyload', enable: true, fence: { wormholePort: ['80'] } }
    boots.set(`${namespace}/${name}`, {
      apiVersion: 'config.netease.com/v1alpha1',
      kind: 'SlimeBoot',
      metadata: { name, namespace, uid: name, generation: ++generation, creationTimestamp: `2026-01-01T00:00:${60 - age}Z` },
      spec: { image: { repository: 'r' }, module: [module], ...parts },
    })
    return scopes.change(`${namespace}/${name}`)
  }
  const remove = (name: string): readonly string[] => {
    boots.delete(`m/${name}`)
    return scopes.change(`m/${name}`)
  }
  const before = (name: string, facts = {}): unknown =>
    scopes.before(boots.get(`m/${name}`)!, facts).map(({ by, namespaces }) => [by.replace('module lazyload of SlimeBoot ', ''), namespaces])
  return { put, remove, before }
}

test('of the same kind the older keeps its fences; others are looked at again when it comes, changes and goes', () => {
  const { put, remove, before } = setUp()
  assert.deepEqual(put('young', 10), [])
  assert.deepEqual(put('old', 20), ['m/young'])
  assert.deepEqual([before('young'), before('old')], [[['m/old', undefined]], []])
  assert.deepEqual(put('old', 20, { module: [{ name: 'lazyload', enable: true, global: { istioRev: '1', strictRev: true } }] }), [
    'm/young',
  ])
  assert.deepEqual(put('young', 10, { module: [{ name: 'lazyload', enable: true, global: { istioRev: '2', strictRev: true } }] }), [])
  assert.deepEqual(before('young'), [])
  assert.deepEqual(remove('old'), [])
})

test('one with global-sidecars keeps the fences of its namespaces, whatever its age', () => {
  const { put, before } = setUp()
  put('everywhere', 30)
  assert.deepEqual(put('team', 10, namespaced('a', 'b')), ['m/everywhere'])
  put('other', 20, namespaced('b', 'c'))
  assert.deepEqual(before('everywhere'), [
    ['m/other', ['b', 'c']],
    ['m/team', ['a', 'b']],
  ])
  assert.deepEqual(before('team'), [['m/other', ['b', 'c']]])
  assert.deepEqual(before('other'), [])
})

test('one whose spec is wrong keeps nothing, nor one that is not honoured, and a thousand that want the same are told of one', () => {
  const { put, before } = setUp()
  put('wrong', 50, { image: {} })
  put('elsewhere', 40, {}, 'tenant')
  for (let age = 10; age < 30; age++) put(`b${age}`, age)
  assert.deepEqual(before('b10', { honouredNamespace: 'm' }), [['m/b29', undefined]])
  assert.deepEqual(before('b10'), [['tenant/elsewhere', undefined]])
})
