import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OWNED_ANNOTATION } from '../../../operator/api/slimeboot.ts'
import { markOwned, ownerOfKey } from '../../../operator/apply/ownership.ts'
import { planChanges, type Plan } from '../../../operator/apply/plan.ts'
import type { Manifest } from '../../../operator/render/manifest.ts'
import { identityOf, type KubeObject } from '../../../runtime/object.ts'

const OWNER = ownerOfKey('ns/boot')
const OTHER = ownerOfKey('ns/other')
const service = (name: string, spec: unknown = { type: 'ClusterIP' }, kind = 'Service'): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace: 'ns' },
  spec,
})
const ours = (object: KubeObject): KubeObject => markOwned(object, OWNER)

function plan(desired: readonly KubeObject[], live: readonly KubeObject[], adopt = false): Plan {
  const cluster = new Map(live.map((object) => [identityOf(object), object]))
  return planChanges({
    owner: OWNER,
    desired: desired.map((object) => ({
      manifest: { object, wave: 2, template: 'module/service.yaml.hbs' } satisfies Manifest,
      object: ours(object),
    })),
    wanted: new Set(desired.map(identityOf)),
    live: (object) => cluster.get(identityOf(object)),
    labelled: live,
    reach: { namespaces: new Set(['ns']), roots: new Set() },
    release: [],
    spec: {},
    adopt,
    settled: (_desired, _live, found) => found,
  })
}
const actions = ({ steps }: Plan): readonly string[] => steps.map(({ desired, action }) => `${action} ${desired.metadata.name}`)
const names = (objects: readonly KubeObject[]): readonly string[] => objects.map(({ metadata }) => metadata.name)

describe('a plan', () => {
  test('creates what is not there and leaves what is as desired', () => {
    assert.deepEqual(actions(plan([service('a'), service('b')], [ours(service('b'))])), ['create a', 'none b'])
  })
  test('tells a change of ours from a repair of what somebody else did', () => {
    const edited = { ...ours(service('a')), spec: { type: 'NodePort' } }
    assert.deepEqual(actions(plan([service('a')], [edited])), ['repair a'])
    assert.deepEqual(actions(plan([service('a')], [ours(service('a', { type: 'NodePort' }))])), ['change a'])
  })
  test('takes what is ours and no longer desired for stale', () => {
    assert.deepEqual(names(plan([service('a')], [ours(service('a')), ours(service('b'))]).stale), ['b'])
  })
  test('never takes objects of others or copies for stale', () => {
    const copy = { ...service('copy'), metadata: { ...ours(service('a')).metadata, name: 'copy' } }
    const found = plan([service('a')], [ours(service('a')), markOwned(service('b'), OTHER), service('c'), copy])
    assert.deepEqual(found.stale, [])
    assert.deepEqual(found.copies, ['Service/ns/copy'])
  })
})

describe('an object in the way', () => {
  const refused: readonly (readonly [string, KubeObject, RegExp])[] = [
    [
      'that is foreign',
      { ...service('a'), metadata: { ...service('a').metadata, managedFields: [{ manager: 'helm' }] } },
      /exists and is not ours \(managed by helm\).*adopt/,
    ],
    ['of another SlimeBoot', markOwned(service('a'), OTHER), /belongs to SlimeBoot ns\/other/],
    [
      'that is a copy',
      { ...service('a'), metadata: { ...service('a').metadata, annotations: { [OWNED_ANNOTATION]: 'ns/boot=/Service/ns/b' } } },
      /a copy of another object/,
    ],
  ]
  for (const [what, live, message] of refused) {
    test(`${what} is refused and named`, () => {
      const { refusals } = plan([service('a')], [live])
      assert.deepEqual(
        refusals.map(({ object }) => object),
        ['Service/ns/a'],
      )
      assert.match(refusals[0]!.message, message)
    })
  }
  test('is adopted only where it is foreign', () => {
    assert.deepEqual(plan([service('a')], [service('a')], true).refusals, [])
    assert.equal(plan([service('a')], [markOwned(service('a'), OTHER)], true).refusals.length, 1)
  })
  test('is never adopted where it is the configuration of Istio', () => {
    const config = service('istio', undefined, 'ConfigMap')
    const { refusals } = plan([config], [config], true)
    assert.equal(refusals.length, 1)
    assert.doesNotMatch(refusals[0]!.message, /adopt/)
  })
  test('is never adopted where it is a binding to another role, which would have to be deleted', () => {
    const binding = (role: string): KubeObject => ({
      ...service('cluster-admin', undefined, 'ClusterRoleBinding'),
      roleRef: { name: role },
    })
    const { refusals } = plan([binding('slime-lazyload')], [binding('cluster-admin')], true)
    assert.equal(refusals.length, 1)
    assert.match(refusals[0]!.message, /because it binds ClusterRole cluster-admin/)
    assert.deepEqual(plan([binding('slime-lazyload')], [binding('slime-lazyload')], true).refusals, [])
  })
  test('is never adopted where it is a binding by which somebody else has the role', () => {
    const binding = (...holders: readonly string[]): KubeObject => ({
      ...service('lazyload', undefined, 'ClusterRoleBinding'),
      roleRef: { name: 'slime-lazyload' },
      subjects: holders.map((name) => ({ kind: 'ServiceAccount', namespace: 'ns', name })),
    })
    const { refusals } = plan([binding('lazyload')], [binding('lazyload', 'theirs')], true)
    assert.equal(refusals.length, 1)
    assert.match(refusals[0]!.message, /because ServiceAccount ns\/theirs would lose ClusterRole slime-lazyload: delete or rename it/)
    assert.deepEqual(plan([binding('lazyload')], [binding('lazyload')], true).refusals, [])
    assert.deepEqual(plan([binding('lazyload')], [binding()], true).refusals, [])
  })
})
