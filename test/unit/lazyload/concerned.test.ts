import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Concerned, createConcerned } from '../../../lazyload/concerned.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'

type Labels = Readonly<Record<string, string>>
const host = (name: string, namespace = 'shop'): string => `${name}.${namespace}.svc.cluster.local`
const service = (name: string, labels: Labels, namespace = 'shop'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace, labels },
})
const fence = (name: string, spec: JsonObject, status: JsonObject = {}, namespace = 'shop'): KubeObject => ({
  apiVersion: 'microservice.slime.io/v1alpha1',
  kind: 'ServiceFence',
  metadata: { name, namespace },
  spec,
  status,
})

/** An index of these objects, and how many Services were looked at so far. */
function indexOf(services: readonly KubeObject[], fences: readonly KubeObject[] = []): Concerned & { readonly looks: () => number } {
  const byKey = new Map(services.map((each) => [`${each.metadata.namespace}/${each.metadata.name}`, each]))
  let looks = 0
  const concerned = createConcerned((key) => {
    looks++
    return byKey.get(key)
  })
  for (const each of services) concerned.changeService(undefined, each)
  for (const each of fences) concerned.changeFence(undefined, each)
  return { ...concerned, looks: () => looks }
}
const sorted = (keys: Iterable<string>): readonly string[] => [...keys].sort()

test('labels select the Services that have all of them, in any namespace', () => {
  const { servicesWith } = indexOf([
    service('a', { team: 'x', tier: 'web' }),
    service('b', { team: 'x' }, 'other'),
    service('c', { team: 'y', tier: 'web' }),
  ])
  const hosts = (labels: Labels): readonly string[] => sorted(servicesWith(labels, 100)?.hosts ?? ['too many'])
  assert.deepEqual(hosts({ team: 'x' }), [host('a'), host('b', 'other')])
  assert.deepEqual(hosts({ team: 'x', tier: 'web' }), [host('a')])
  assert.deepEqual(hosts({ team: 'z' }), [])
  assert.deepEqual(hosts({ team: 'x', none: 'y' }), [])
})

test('of 10,000 Services only those are looked at that have the rarest of the labels, and no more than is allowed', () => {
  const index = indexOf(Array.from({ length: 10_000 }, (_, n) => service(`s${n}`, { all: 'yes', one: `n${n % 2000}` })))
  assert.equal(index.servicesWith({ all: 'yes', one: 'n7' }, 100)?.hosts.length, 5)
  assert.equal(index.looks(), 5)
  for (let n = 0; n < 36_000; n++) index.servicesWith({ all: 'yes', none: `x${n}` }, 100)
  assert.equal(index.looks(), 5)
  assert.equal(index.servicesWith({ all: 'yes' }, 9999), undefined)
  assert.equal(index.looks(), 5)
})

test('a Service concerns the fences that select it by labels that it has or had, and those that name it', () => {
  const { byService } = indexOf(
    [],
    [
      fence('by-label', { labelSelector: [{ selector: { app: 'a' } }, { selector: { team: 'x', tier: 'web' } }] }),
      fence('other', { labelSelector: [{ selector: { team: 'x', tier: 'data' } }] }),
      fence('naming', { host: { 'a.shop': {}, 'b.shop.svc': {} } }),
    ],
  )
  assert.deepEqual(sorted(byService(undefined, service('a', { app: 'a' }))), ['shop/by-label', 'shop/naming'])
  assert.deepEqual(sorted(byService(service('c', { team: 'x', tier: 'data' }), service('c', { team: 'x', tier: 'web' }))), [
    'shop/by-label',
    'shop/other',
  ])
  assert.deepEqual(sorted(byService(service('b', {}), undefined)), ['shop/naming'])
  assert.deepEqual(sorted(byService(service('a', { app: 'a' }), service('a', { app: 'a' }))), [])
})

test('hosts concern the fences whose domains they are, lie below, or are a namespace of', () => {
  const domains = (...names: readonly string[]): JsonObject => ({ domains: Object.fromEntries(names.map((name) => [name, { hosts: [] }])) })
  const { byHosts, changeFence } = indexOf(
    [],
    [
      fence('exact', {}, domains(host('a'))),
      fence('all', {}, domains('shop/*')),
      fence('outside', {}, domains('www.example.com')),
      fence('none', {}),
    ],
  )
  assert.deepEqual(sorted(byHosts([host('a')])), ['shop/all', 'shop/exact'])
  assert.deepEqual(sorted(byHosts(['*.example.com'])), ['shop/outside'])
  assert.deepEqual(sorted(byHosts(['*.com', host('x', 'other')])), ['shop/outside'])
  assert.deepEqual(sorted(byHosts(['*'])), ['shop/all', 'shop/exact', 'shop/outside'])
  changeFence(fence('exact', {}, domains(host('a'))), undefined)
  assert.deepEqual(sorted(byHosts([host('a')])), ['shop/all'])
})

test('names concern the fences that have learned them or name them', () => {
  const { byNames } = indexOf(
    [],
    [
      fence('learned', {}, { metricStatus: { '{destination_service="api.dev"}': '1' } }),
      fence('named', { host: { 'api.dev': {} } }),
      fence('neither', { host: { 'www.example.com': {} } }),
    ],
  )
  assert.deepEqual(sorted(byNames(['api.dev', 'www.example.com'])), ['shop/learned', 'shop/named'])
})

test('of a fence that is too large only what its status names counts', () => {
  const many = Array.from({ length: 36_000 }, (_, n) => ({ selector: { app: `x${n}` } }))
  const { byService, ofNamespace } = indexOf([], [fence('large', { labelSelector: many, host: { 'a.shop': {} } })])
  assert.deepEqual(sorted(byService(undefined, service('a', { app: 'x7' }))), [])
  assert.deepEqual(sorted(ofNamespace('shop')), ['shop/large'])
})
