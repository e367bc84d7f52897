/** Whose the Lease is: that of the ServiceAccount that the pod's token names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownersIn } from '../../../lazyload/lease-owner.ts'

const tokenOf = (claims: object): string =>
  ['{}', JSON.stringify(claims), 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.')
const BOUND = tokenOf({
  aud: ['https://kubernetes.default.svc'],
  'kubernetes.io': {
    namespace: 'mesh-operator',
    pod: { name: 'lazyload-7f', uid: '1' },
    serviceaccount: { name: 'lazyload', uid: '2' },
  },
})

test('a Lease beside the ServiceAccount belongs to it, one in another namespace to nobody', () => {
  assert.deepEqual(ownersIn(BOUND, 'mesh-operator'), [{ apiVersion: 'v1', kind: 'ServiceAccount', name: 'lazyload', uid: '2' }])
  assert.deepEqual(ownersIn(BOUND, 'shop'), [])
})

for (const [what, token] of [
  ['another kind of token', 'abcdef'],
  ['a token without the claims', tokenOf({ sub: 'somebody' })],
] as const) {
  test(`${what} tells of no owner`, () => assert.throws(() => ownersIn(token, 'mesh-operator')))
}
