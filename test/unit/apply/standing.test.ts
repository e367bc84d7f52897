import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CATCH_ALL_ANNOTATION, OWNED_ANNOTATION, OWNER_LABEL } from '../../../operator/api/slimeboot.ts'
import { catchAllOf, isCatchAll } from '../../../operator/apply/catch-all.ts'
import { claimedOwner, ownerOfKey } from '../../../operator/apply/ownership.ts'
import { type Reach, reachOf, standingOf } from '../../../operator/apply/standing.ts'
import { identityOf, type KubeObject, type ManagedFieldsEntry } from '../../../runtime/object.ts'

const OWNER = ownerOfKey('mesh-operator/lazyload')
const REACH: Reach = { namespaces: new Set(['mesh-operator', 'shop']), roots: new Set(['istio-system']) }
const APPLIED: ManagedFieldsEntry = { manager: 'slimeboot', operation: 'Apply' }

function marked(namespace: string, owned?: string, managedFields: readonly ManagedFieldsEntry[] = []): KubeObject {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace } }
  const annotations = { [OWNED_ANNOTATION]: owned ?? `${OWNER.key}=${identityOf(object)}` }
  return { ...object, metadata: { ...object.metadata, labels: { [OWNER_LABEL]: OWNER.label }, annotations, managedFields } }
}

describe('an object with the marks of a SlimeBoot is', () => {
  const cases: readonly (readonly [string, KubeObject, string])[] = [
    ['in a namespace that it renders into', marked('shop'), 'ours'],
    ['elsewhere', marked('tenant'), 'forged'],
    ['elsewhere, applied under our name', marked('tenant', undefined, [APPLIED]), 'left-behind'],
    ['elsewhere, its status applied under our name', marked('tenant', undefined, [{ ...APPLIED, subresource: 'status' }]), 'forged'],
    ['elsewhere, updated under our name', marked('tenant', undefined, [{ ...APPLIED, operation: 'Update' }]), 'forged'],
    ['with the annotation of another object', marked('tenant', `${OWNER.key}=/ConfigMap/tenant/y`, [APPLIED]), 'copy'],
    ['with the annotation of another SlimeBoot', marked('shop', 'other/boot=/ConfigMap/shop/x', [APPLIED]), 'forged'],
    ['with an annotation that nobody writes', marked('shop', 'foo=/ConfigMap/shop/x', [APPLIED]), 'forged'],
  ]
  for (const [what, object, expected] of cases) test(`${what}: ${expected}`, () => assert.equal(standingOf(object, OWNER, REACH), expected))
})

test('an annotation names an owner only in exactly our form and on a kind that we render', () => {
  const object = marked('tenant')
  const identity = identityOf(object)
  const wrong = [
    '',
    '=',
    'x=y',
    `foo=${identity}`,
    `/x=${identity}`,
    `a/=${identity}`,
    `a/b/c=${identity}`,
    `A/b=${identity}`,
    `a/b =${identity}`,
    `a/b=${identity}\n`,
  ]
  for (const text of wrong) assert.equal(claimedOwner(marked('tenant', text)), undefined, JSON.stringify(text))
  assert.equal(claimedOwner(object), OWNER.key)
  assert.equal(claimedOwner({ ...object, kind: 'Secret' }), undefined)
})

describe('a catch-all', () => {
  const filter = (namespace: string, mark: string, change: Partial<KubeObject> = {}, name = 'to-global-sidecar'): KubeObject => ({
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'EnvoyFilter',
    metadata: { name, namespace, annotations: { [CATCH_ALL_ANNOTATION]: mark } },
    ...change,
  })

  test('is an EnvoyFilter of that name with a mark that fits its namespace', () => {
    for (const mark of ['shop=shop', '*=mesh-operator']) assert.ok(isCatchAll(filter('shop', mark)), mark)
    for (const mark of ['', '=', '*', '*=', '*=*', '*=A B', 'other=other', 'shop=other', 'shop=shop=shop', '*=a/b'])
      assert.ok(!isCatchAll(filter('shop', mark)), mark)
    assert.ok(!isCatchAll(filter('shop', 'shop=shop', { kind: 'ConfigMap', apiVersion: 'v1' })))
    assert.ok(!isCatchAll(filter('shop', 'shop=shop', {}, 'other')))
  })

  test('reaches the whole mesh in its root namespace only', () => {
    const of = (object: KubeObject): readonly string[] => {
      const { scope, globalSidecarNamespace } = catchAllOf(object, REACH.roots)
      return [scope, globalSidecarNamespace]
    }
    assert.deepEqual(of(filter('istio-system', '*=mesh-operator')), ['*', 'mesh-operator'])
    assert.deepEqual(of(filter('tenant', '*=mesh-operator')), ['tenant', 'tenant'])
    assert.deepEqual(of(filter('shop', 'shop=shop')), ['shop', 'shop'])
  })

  test('of whatever form has the ports that can be read', () => {
    const ports = (spec: unknown): readonly number[] => catchAllOf(filter('shop', 'shop=shop', { spec }), REACH.roots).ports
    const patch = (name: unknown): object => ({ match: { routeConfiguration: { name } } })
    assert.deepEqual(
      ports({ configPatches: [patch('9080'), patch('9080'), patch('80'), patch('a'), patch(null), patch('-1'), patch('')] }),
      [9080, 80],
    )
    for (const spec of [
      undefined,
      null,
      1,
      'a',
      [],
      {},
      { configPatches: null },
      { configPatches: {} },
      { configPatches: [null, 1, 'a', {}, { match: null }] },
    ])
      assert.deepEqual(ports(spec), [], JSON.stringify(spec))
  })
})

test('the reach of a SlimeBoot is read from whatever stands in its spec', () => {
  const namespaces = (spec: unknown): readonly string[] => [
    ...reachOf({ apiVersion: '', kind: '', metadata: { name: '' }, spec }, []).namespaces,
  ]
  assert.deepEqual(namespaces({ namespace: 'm', istioNamespace: 'i', component: { globalSidecar: { namespace: ['a', 1, null, 'b'] } } }), [
    'm',
    'i',
    'a',
    'b',
  ])
  const general = { wormholePort: [80], namespace: ['shop'], clusterGsNamespace: 'gateways' }
  assert.deepEqual(namespaces({ module: [{ enable: true, general }] }).toSorted(), ['gateways', 'istio-system', 'mesh-operator', 'shop'])
  for (const spec of [undefined, null, 'a', [], { component: [] }, { component: { globalSidecar: 'a' } }, { namespace: 1 }])
    assert.deepEqual(namespaces(spec), ['mesh-operator', 'istio-system'], JSON.stringify(spec))
})
