/** Which fences modules share, and who serves them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commonOf, contains, type FenceSet, scopesOf, servedElsewhere } from '../../../operator/spec/module-scope.ts'
import type { JsonObject } from '../../../runtime/object.ts'

const module = (name: string, parts: JsonObject = {}): JsonObject => ({ name, enable: true, fence: { wormholePort: ['80'] }, ...parts })
const rev = (istioRev: JsonObject[string], strictRev: JsonObject[string] = null): JsonObject => ({ global: { istioRev, strictRev } })
const specOf = (modules: readonly JsonObject[], listed: readonly string[] = []): JsonObject => ({
  module: modules,
  ...(listed.length === 0 ? {} : { component: { globalSidecar: { type: 'namespaced', namespace: listed } } }),
})

const COMMON: readonly (readonly [string, FenceSet, FenceSet, FenceSet | undefined])[] = [
  ['everything and everything', {}, {}, {}],
  ['everything and two namespaces', {}, { namespaces: ['a', 'b'] }, { namespaces: ['a', 'b'] }],
  ['other namespaces', { namespaces: ['a'] }, { namespaces: ['b'] }, undefined],
  ['one namespace in common', { namespaces: ['a', 'b'] }, { namespaces: ['b', 'c'] }, { namespaces: ['b'] }],
  ['other revisions', { revisions: ['1'] }, { revisions: ['2'] }, undefined],
  ['fences without a revision', { revisions: ['1', ''] }, { revisions: ['2', ''] }, { revisions: [''] }],
  ['the same namespace, other revisions', { namespaces: ['a'], revisions: ['1'] }, { namespaces: ['a'], revisions: ['2'] }, undefined],
  ['a revision of all', { namespaces: ['a'] }, { revisions: ['1'] }, { namespaces: ['a'], revisions: ['1'] }],
]
for (const [title, a, b, expected] of COMMON)
  test(`common to both: ${title}`, () => {
    assert.deepEqual(commonOf(a, b), expected)
    assert.equal(commonOf(b, a) === undefined, expected === undefined)
    if (expected !== undefined) assert.ok(contains(a, expected) && contains(b, expected))
  })

test('the revisions of a module are those of istioRev, and without strictRev the fences that name none', () => {
  const revisions = (parts: JsonObject): unknown => scopesOf(specOf([module('a', parts)]), 'none')[0]?.revisions
  assert.deepEqual(
    [
      {},
      rev(''),
      rev('1-19'),
      rev('1-19, 1-20'),
      rev(['1-19']),
      rev('1-19', true),
      rev('1-19', 'on'),
      rev('1-19', 'false'),
      rev('', true),
    ].map(revisions),
    [undefined, undefined, ['1-19', ''], ['1-19', '1-20', ''], ['1-19', ''], ['1-19'], ['1-19'], ['1-19', ''], undefined],
  )
})

test('an item of a bundle has the revision of the bundle where it says none, and the bundle itself serves nothing', () => {
  const bundle = { name: 'all', enable: true, bundle: { modules: [{ name: 'item' }] }, ...rev('1-20', true) }
  assert.deepEqual(scopesOf(specOf([bundle, module('item', { mode: 'BundleItem' })]), 'none'), [
    { module: 'item', path: 'spec.module[1]', revisions: ['1-20'] },
  ])
})

test('the first of two modules serves what both would; one per revision leaves nothing but fences without a revision', () => {
  const left = (modules: readonly JsonObject[]): unknown => Object.fromEntries(servedElsewhere(specOf(modules, ['x', 'y']), 'namespaced'))
  assert.deepEqual(left([module('a'), module('b')]), {
    'spec.module[0]': [],
    'spec.module[1]': [{ by: 'module a', namespaces: ['x', 'y'] }],
  })
  assert.deepEqual(left([module('a', rev('1')), module('b', rev('2')), module('c', rev('3', true))]), {
    'spec.module[0]': [],
    'spec.module[1]': [{ by: 'module a', namespaces: ['x', 'y'], revisions: [''] }],
    'spec.module[2]': [],
  })
  assert.deepEqual(left([module('a', { general: { namespaces: ['x'] } }), module('b', { general: { namespaces: 'y' } })]), {
    'spec.module[0]': [],
    'spec.module[1]': [],
  })
})

test('modules of older SlimeBoots come before those of the same one, and nothing is named twice', () => {
  const older = [
    { boot: 'm/old', by: 'module lazyload of SlimeBoot m/old', namespaces: ['x'] },
    { boot: 'm/newer', by: 'module lazyload of SlimeBoot m/newer', namespaces: ['x'], revisions: ['1'] },
  ]
  assert.deepEqual(Object.fromEntries(servedElsewhere(specOf([module('a'), module('b')]), 'none', older)), {
    'spec.module[0]': [{ by: 'module lazyload of SlimeBoot m/old', namespaces: ['x'] }],
    'spec.module[1]': [{ by: 'module lazyload of SlimeBoot m/old', namespaces: ['x'] }, { by: 'module a' }],
  })
})
