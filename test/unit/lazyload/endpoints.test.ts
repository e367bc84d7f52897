/** Whose an address is (spec 3.2): from EndpointSlices, ready or not, of however many Services. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEndpointIndex, slimEndpointSlice } from '../../../lazyload/mesh/endpoints.ts'
import type { KubeObject } from '../../../runtime/object.ts'

function slice(name: string, service: string | undefined, addresses: readonly string[], extra: object = {}): KubeObject {
  const labels = service === undefined ? {} : { labels: { 'kubernetes.io/service-name': service } }
  return slimEndpointSlice({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', ...labels },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: false, serving: false } })),
    ...extra,
  })
}
const all = (index: ReturnType<typeof createEndpointIndex>, ...addresses: readonly string[]): readonly (readonly string[])[] =>
  addresses.map((address) => [...index.servicesOf(address)].sort())

test('an address belongs to every Service that has it, also while its pod is not ready', () => {
  const index = createEndpointIndex()
  index.change(undefined, slice('a-1', 'a', ['10.0.0.1', '10.0.0.2']))
  index.change(undefined, slice('a-2', 'a', ['10.0.0.2', '10.0.0.3']))
  index.change(undefined, slice('b-1', 'b', ['10.0.0.2']))
  assert.deepEqual(all(index, '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'), [
    ['default/a'],
    ['default/a', 'default/b'],
    ['default/a'],
    [],
  ])
})

test('a change takes back what the slice said before, also after it was asked for', () => {
  const index = createEndpointIndex()
  const before = slice('a-1', 'a', ['10.0.0.1', '10.0.0.2'])
  index.change(undefined, before)
  assert.deepEqual(all(index, '10.0.0.1', '10.0.0.2'), [['default/a'], ['default/a']])
  const after = slice('a-1', 'a', ['10.0.0.2', '10.0.0.9'])
  index.change(before, after)
  assert.deepEqual(all(index, '10.0.0.1', '10.0.0.2', '10.0.0.9'), [[], ['default/a'], ['default/a']])
  const other = slice('b-1', 'b', ['10.0.0.9'])
  index.change(undefined, other)
  assert.deepEqual(all(index, '10.0.0.9'), [['default/a', 'default/b']])
  index.change(after, undefined)
  assert.deepEqual(all(index, '10.0.0.2', '10.0.0.9'), [[], ['default/b']])
})

test('slices without a Service, without endpoints, or with names instead of addresses say nothing', () => {
  const index = createEndpointIndex()
  index.change(undefined, slice('x', undefined, ['10.0.0.1']))
  index.change(undefined, slice('y', 'y', [], { endpoints: null }))
  index.change(undefined, slice('z', 'z', ['10.0.0.1'], { addressType: 'FQDN' }))
  assert.deepEqual(all(index, '10.0.0.1'), [[]])
})

test('IPv6 is known in one spelling', () => {
  const index = createEndpointIndex()
  index.change(undefined, slice('a-1', 'a', ['2001:DB8:0:0:0:0:0:1'], { addressType: 'IPv6' }))
  assert.deepEqual(all(index, '2001:db8::1'), [['default/a']])
})
