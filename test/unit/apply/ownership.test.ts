import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OWNED_ANNOTATION, OWNER_LABEL } from '../../../operator/api/slimeboot.ts'
import { appliedHash, claimedOwner, managersOf, markOwned, ownerOfKey, ownershipOf } from '../../../operator/apply/ownership.ts'
import type { KubeObject, ObjectMeta } from '../../../runtime/object.ts'

const OWNER = ownerOfKey('mesh-operator/lazyload')
const service = (metadata: Partial<ObjectMeta> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'lazyload', namespace: 'mesh-operator', ...metadata },
  spec: {},
})
const claim = (owner: string, object = '/Service/mesh-operator/lazyload'): Partial<ObjectMeta> => ({
  annotations: { [OWNED_ANNOTATION]: `${owner}=${object}` },
})
const ourFields = { managedFields: [{ manager: 'slimeboot', operation: 'Apply' as const }] }
const label = { labels: { [OWNER_LABEL]: OWNER.label } }

describe('ownership of a live object', () => {
  const cases: readonly (readonly [string, Partial<ObjectMeta>, string])[] = [
    ['no mark at all', {}, 'foreign'],
    ['annotation of this owner and this object', claim(OWNER.key), 'ours'],
    ['annotation alone, label removed', { ...claim(OWNER.key), labels: {} }, 'ours'],
    ['annotation of another owner', claim('mesh-operator/other'), 'another-slimeboot'],
    ['annotation of another object', claim(OWNER.key, '/Service/mesh-operator/other'), 'copy'],
    ['annotation of the same name in another namespace', claim(OWNER.key, '/Service/shop/lazyload'), 'copy'],
    ['annotation of another kind', claim(OWNER.key, '/ConfigMap/mesh-operator/lazyload'), 'copy'],
    ['annotation that is no claim', { annotations: { [OWNED_ANNOTATION]: 'nonsense' } }, 'foreign'],
    ['label alone', label, 'foreign'],
    ['our managed fields alone', ourFields, 'foreign'],
    ['label and our managed fields, annotation removed', { ...label, ...ourFields }, 'ours'],
    ['label of another owner and our managed fields', { labels: { [OWNER_LABEL]: 'a.b' }, ...ourFields }, 'foreign'],
    ['label and fields that we only updated', { ...label, managedFields: [{ manager: 'slimeboot', operation: 'Update' }] }, 'foreign'],
  ]
  for (const [what, metadata, expected] of cases)
    test(`${what}: ${expected}`, () => assert.equal(ownershipOf(service(metadata), OWNER), expected))
})

test('marked objects are ours, and tell whose they are', () => {
  const marked = markOwned(service({ labels: { app: 'a' }, annotations: { note: 'b' } }), OWNER)
  assert.equal(ownershipOf(marked, OWNER), 'ours')
  assert.equal(claimedOwner(marked), OWNER.key)
  assert.equal(marked.metadata.labels?.['app'], 'a')
  assert.equal(marked.metadata.annotations?.['note'], 'b')
})

test('the hash follows the content and nothing else', () => {
  const hash = (object: KubeObject): string => appliedHash(markOwned(object, OWNER))
  assert.equal(hash(service()), hash(service()))
  assert.notEqual(hash(service()), hash({ ...service(), spec: { type: 'ClusterIP' } }))
})

test('labels of owners are at most 63 characters and differ for different owners', () => {
  const long = (end: string): string => ownerOfKey(`${'n'.repeat(60)}/${'b'.repeat(60)}${end}`).label
  assert.equal(ownerOfKey('mesh-operator/lazyload').label, 'mesh-operator.lazyload')
  assert.ok(long('1').length <= 63)
  assert.match(long('1'), /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
  assert.notEqual(long('1'), long('2'))
})

test('managers of an object are those of more than its status, each once', () => {
  const managedFields = [
    { manager: 'kubectl-edit' },
    { manager: 'helm' },
    { manager: 'helm' },
    { manager: 'controller', subresource: 'status' },
  ]
  assert.equal(managersOf(service({ managedFields })), 'helm, kubectl-edit')
  assert.equal(managersOf(service()), 'an unknown manager')
})
