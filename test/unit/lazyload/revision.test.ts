/** Which revision of Istio a fence made by labels is for, and when it follows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { revisionToFollow, wantedRevision } from '../../../lazyload/auto-fence/revision.ts'
import { createScope } from '../../../lazyload/fence/scope.ts'
import { createRevisions } from '../../../lazyload/mesh/revisions.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const object = (kind: string, name: string, labels: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, labels },
})
const labelled = (revision: string | undefined): KubeObject =>
  object('Thing', 'thing', revision === undefined ? {} : { 'istio.io/rev': revision })

/** Revisions 1-18 to 1-20; tags: stable is 1-19, canary 1-20, torn two of them. */
const revisions = createRevisions()
for (const [name, revision, tag] of [
  ['a', '1-18'],
  ['b', '1-19'],
  ['c', '1-20'],
  ['d', '1-19', 'stable'],
  ['e', '1-20', 'canary'],
  ['f', '1-19', 'torn'],
  ['g', '1-20', 'torn'],
  ['h', 'default', 'default'],
] as const)
  revisions.change(undefined, object('Webhook', name, { 'istio.io/rev': revision, ...(tag === undefined ? {} : { 'istio.io/tag': tag }) }))

for (const [name, is, means] of [
  ['1-19', 'revision', '1-19'],
  ['default', 'revision', 'default'],
  ['stable', 'tag', '1-19'],
  ['torn', 'unknown', 'torn'],
  ['never-heard', 'unknown', 'never-heard'],
] as const)
  test(`${name} is a ${is}, ${means}`, () => assert.deepEqual(revisions.resolve(name), { name: means, is }))

for (const [served, namespace, fence, isOurs, expected] of [
  // the namespace names one that is served, by itself, by a tag, or the tag's revision
  ['1-19,1-20', '1-20', '1-19', false, '1-20'],
  ['1-19,1-20', 'canary', '1-19', false, '1-20'],
  ['stable,canary', '1-20', 'stable', false, 'canary'],
  ['stable,canary', 'canary', 'stable', false, 'canary'],
  ['stable', '1-19', '1-19', false, undefined],
  ['1-19', 'stable', '1-19', false, undefined],
  ['1-20', '1-20', '1-19', false, '1-20'],
  // the namespace belongs to another revision
  ['1-20', '1-19', '1-19', true, undefined],
  ['1-20', 'stable', '1-18', true, undefined],
  ['1-20', 'unknown-too', 'unknown-too', true, undefined],
  // the namespace says nothing, or something that nobody knows
  ['1-20', undefined, '1-19', true, '1-20'],
  ['1-20', undefined, '1-19', false, undefined],
  ['1-20', 'never-heard', '1-19', true, '1-20'],
  ['1-19,1-20', undefined, '1-20', true, undefined],
  ['canary', undefined, '1-20', true, undefined],
  // one without a revision is read by all
  ['1-20', '1-20', undefined, true, undefined],
  ['', '1-20', '1-19', true, undefined],
] as const)
  test(`served ${served || 'all'}, namespace ${namespace}, fence ${fence}, ${isOurs ? 'ours' : "another's"}: ${expected ?? 'stays'}`, () => {
    const names = served === '' ? [] : served.split(',')
    const thing = labelled(fence)
    const inScope = createScope({ names, strict: false }, revisions)(thing)
    assert.equal(
      revisionToFollow(wantedRevision(names, revisions, labelled(namespace), thing), revisions, thing, { inScope, isOurs }),
      expected,
    )
  })

test('in a namespace of a revision that is not served no fence is made; where nobody knows the name one is', () => {
  const wanted = (namespace: string | undefined): unknown => wantedRevision(['1-20'], revisions, labelled(namespace), undefined)
  assert.deepEqual(wanted('1-19'), { kind: 'another' })
  assert.deepEqual(wanted('stable'), { kind: 'another' })
  assert.deepEqual(wanted('never-heard'), { kind: 'one', name: '1-20', saidBy: 'configuration' })
  assert.deepEqual(wanted(undefined), { kind: 'one', name: '1-20', saidBy: 'configuration' })
  assert.deepEqual(wanted('canary'), { kind: 'one', name: '1-20', saidBy: 'namespace' })
})
