/** Which fences select a pod, and when its Services say it without the pod. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCallersOf } from '../../../lazyload/accesslog/callers.ts'
import { createSelectingFences } from '../../../lazyload/fence/selecting.ts'
import { type Labels, workloadLabels } from '../../../lazyload/sidecar/sidecar.ts'
import type { KubeObject } from '../../../runtime/object.ts'

type Fences = Readonly<Record<string, { readonly labels?: Labels; readonly fromService?: boolean; readonly enable?: boolean }>>

function indexOf(fences: Fences, services: Readonly<Record<string, Labels>>): ReturnType<typeof createSelectingFences> {
  const fence = (key: string): KubeObject | undefined => {
    const [namespace = '', name = ''] = key.split('/')
    const { labels, fromService, enable = true } = fences[key] ?? {}
    if (fences[key] === undefined) return undefined
    return {
      apiVersion: 'v1',
      kind: 'ServiceFence',
      metadata: { name, namespace },
      spec: { enable, workloadSelector: { labels, fromService } },
    }
  }
  const index = createSelectingFences({
    fence,
    inScope: () => true,
    labelsOf: ({ metadata, spec }) =>
      workloadLabels(metadata.name, spec as object, 'app', services[`${metadata.namespace}/${metadata.name}`]),
    selectorOf: (key) => services[key],
  })
  for (const key of Object.keys(fences)) index.changeFence(key)
  return index
}

test('a fence stands apart where the Service of its name does not have all of its pods', () => {
  const fences: Fences = {
    'a/same': {},
    'a/wider': { labels: { app: 'wider', version: 'v1' } },
    'a/narrower': {},
    'a/other': {},
    'a/job': {},
    'a/from-service': { fromService: true },
    'a/nothing': { fromService: true },
    'a/off': { enable: false },
  }
  const index = indexOf(fences, {
    'a/same': { app: 'same' },
    'a/wider': { app: 'wider' },
    'a/narrower': { app: 'narrower', version: 'v1' },
    'a/other': { 'app.kubernetes.io/name': 'other' },
    'a/from-service': { x: 'y' },
  })
  assert.deepEqual(Object.keys(fences).filter(index.isApart), ['a/narrower', 'a/other', 'a/job'])
  assert.deepEqual(index.apart(), ['a'])
  assert.deepEqual(index.of('a', { app: 'wider', version: 'v1', more: 'x' }), ['a/wider'])
  assert.deepEqual(index.of('b', { app: 'job' }), [])
})

const cases: readonly (readonly [string, Fences, Readonly<Record<string, Labels>>, readonly string[], boolean])[] = [
  ['no fence stands apart', { 'a/x': {} }, { 'a/x': { app: 'x' } }, [], false],
  ['the selector says it', { 'a/orders': {} }, { 'a/svc': { app: 'orders' } }, ['a/orders'], false],
  ['the selector says the contrary', { 'a/orders': {} }, { 'a/svc': { app: 'else' } }, [], false],
  ['the selector says nothing of it', { 'a/orders': {} }, { 'a/svc': { name: 'orders' } }, [], true],
  ['it says half of it', { 'a/orders': { labels: { app: 'o', tier: 't' } } }, { 'a/svc': { app: 'o' } }, [], true],
  [
    'two say it together',
    { 'a/orders': { labels: { app: 'o', tier: 't' } } },
    { 'a/svc': { app: 'o' }, 'a/two': { tier: 't' } },
    ['a/orders'],
    false,
  ],
]
for (const [what, fences, services, expected, open] of cases)
  test(`of the pods behind a Service: ${what}`, () => {
    assert.deepEqual(indexOf(fences, services).judge('a', Object.keys(services)), { fences: expected, open })
  })

test('endpoints without a selector may be written by hand: they say nothing of the pod', () => {
  assert.deepEqual(indexOf({ 'a/orders': {} }, {}).judge('a', ['a/by-hand']), { fences: [], open: true })
})

test('callers: Services that the sender may teach for, fences beside them, and where the pod must be asked for', () => {
  const fences: Fences = { 'a/orders': {}, 'b/job': {} }
  const services = { 'a/svc': { app: 'orders' }, 'b/front': { app: 'front' } }
  const index = indexOf(fences, services)
  const callersOf = createCallersOf({ selecting: index, namespaces: [] })
  const [all, onlyA, onlyB] = [{ namespaces: undefined }, { namespaces: new Set(['a']) }, { namespaces: new Set(['b']) }]
  const of = (list: readonly string[], grant: { readonly namespaces: ReadonlySet<string> | undefined }): readonly unknown[] => {
    const { fences: found, places } = callersOf(list, grant)
    return [found, places]
  }
  assert.deepEqual(of(['a/svc'], onlyA), [['a/svc', 'a/orders'], []])
  // who writes endpoints in namespace a cannot hide a pod of namespace b
  assert.deepEqual(of(['a/svc'], onlyB), [[], ['b']])
  assert.deepEqual(of(['a/svc'], all), [['a/svc', 'a/orders'], ['']])
  assert.deepEqual(of([], onlyB), [[], ['b']])
  assert.deepEqual(createCallersOf({ selecting: index, namespaces: ['a', 'b'] })([], all).places, ['a', 'b'])
  const list = ['b/front']
  assert.deepEqual(of(list, onlyB), [['b/front'], []])
  assert.equal(callersOf(list, onlyB), callersOf(list, onlyB))
  index.changeService('b/front')
  assert.deepEqual(of(list, onlyB), [['b/front'], []])
})
