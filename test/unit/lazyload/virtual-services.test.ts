/** Where VirtualServices lead (spec 2.8). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createVirtualServiceIndex, slimVirtualService, type VirtualServiceIndex } from '../../../lazyload/mesh/virtual-services.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const virtualService = (name: string, spec: unknown, namespace = 'default'): KubeObject =>
  slimVirtualService({ apiVersion: 'networking.istio.io/v1beta1', kind: 'VirtualService', metadata: { name, namespace }, spec })
const to = (...hosts: string[]): unknown => ({ route: hosts.map((host) => ({ destination: { host } })) })
const full = (name: string, namespace = 'default'): string => `${name}.${namespace}.svc.cluster.local`

function indexOf(...objects: KubeObject[]): VirtualServiceIndex {
  const index = createVirtualServiceIndex()
  for (const object of objects) index.change(undefined, object)
  return index
}

const cases: readonly (readonly [string, unknown, readonly string[]])[] = [
  ['full names', { hosts: [full('c')], http: [to(full('d'))] }, [full('d')]],
  ['short names', { hosts: ['c'], http: [to('d', 'c')] }, [full('d')]],
  ['tcp and tls routes', { hosts: ['c'], tcp: [to('t')], tls: [to('s')] }, [full('s'), full('t')]],
  [
    'mirrors',
    { hosts: ['c'], http: [{ mirror: { host: 'm' }, mirrors: [{ destination: { host: 'n' } }], route: [{ destination: { host: 'c' } }] }] },
    [full('m'), full('n')],
  ],
  ['wildcard hosts', { hosts: ['*.svc.cluster.local'], http: [to('d')] }, [full('d')]],
  ['routes without a destination', { hosts: ['c'], http: [{ route: [{}, null] }, null, { redirect: {} }], tcp: null }, []],
  ['the mesh among its gateways', { hosts: ['c'], gateways: ['ingress', 'mesh'], http: [to('d')] }, [full('d')]],
  ['gateways only', { hosts: ['c'], gateways: ['ingress'], http: [to('d')] }, []],
  ['no hosts', { http: [to('d')] }, []],
]
for (const [what, spec, destinations] of cases) {
  test(`a VirtualService with ${what}`, () => assert.deepEqual(indexOf(virtualService('v', spec)).destinationsOf(full('c')), destinations))
}

test('a change takes the old routes away and names the hosts that it concerns', () => {
  const [before, after] = [virtualService('v', { hosts: ['c'], http: [to('d')] }), virtualService('v', { hosts: ['e'], http: [to('f')] })]
  const index = indexOf(before)
  assert.deepEqual(index.change(before, after), [full('c'), full('e')])
  assert.deepEqual([index.destinationsOf(full('c')), index.destinationsOf(full('e'))], [[], [full('f')]])
  assert.deepEqual(index.change(after, undefined), [full('e')])
  assert.deepEqual([index.destinationsOf(full('e')), index.has(full('e'))], [[], false])
})

test('two VirtualServices for a host add up, and one of them may go', () => {
  const [one, two] = [
    virtualService('one', { hosts: ['c'], http: [to('d')] }),
    virtualService('two', { hosts: ['c.default.svc.cluster.local'], http: [to('d', 'e')] }, 'far'),
  ]
  const index = indexOf(one, two)
  assert.deepEqual(index.destinationsOf(full('c')), [full('d'), full('d', 'far'), full('e', 'far')])
  index.change(two, undefined)
  assert.deepEqual(index.destinationsOf(full('c')), [full('d')])
})

test('a delegate brings its routes to the host of its root', () => {
  const root = virtualService('root', { hosts: ['c'], http: [{ delegate: { name: 'part', namespace: 'far' } }] })
  const part = virtualService('part', { http: [to('d')] }, 'far')
  const index = indexOf(root)
  assert.deepEqual(index.change(undefined, part), [full('c')])
  assert.deepEqual(index.destinationsOf(full('c')), [full('d', 'far')])
})

test('of a whole namespace only what leads out of it counts', () => {
  const index = indexOf(virtualService('v', { hosts: ['c'], http: [to('d', 'e.far.svc.cluster.local')] }))
  assert.deepEqual(index.destinationsOfAll('default'), ['e.far.svc.cluster.local'])
  assert.deepEqual(index.destinationsOfAll('far'), [])
})
