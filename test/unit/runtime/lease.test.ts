/** Conclusions from a Lease. The cases follow client-go's leader election tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimed, isHeldByOther, microTime, observe, released, type LeaseSpec } from '../../../runtime/lease.ts'

const BY_OTHER: LeaseSpec = {
  holderIdentity: 'other',
  leaseDurationSeconds: 15,
  acquireTime: '2020-01-01T00:00:00.000000Z',
  renewTime: '2020-01-01T00:00:00.000000Z',
  leaseTransitions: 3,
}
const TIME = new Date('2026-05-06T07:08:09.010Z')

test('a lease of another holder is free only when it was not seen to change for its duration', () => {
  const seen = observe(undefined, BY_OTHER, 1000)
  for (const [now, held] of [
    [1000, true],
    [15_999, true],
    [16_000, false],
    [99_000, false],
  ] as const)
    assert.equal(isHeldByOther(seen, 'me', now), held, `at ${now}`)
})

test('times written in a lease do not count: one renewed long ago, and one in the future, are held from first sight on', () => {
  for (const renewTime of ['1999-01-01T00:00:00.000000Z', '2999-01-01T00:00:00.000000Z']) {
    const seen = observe(undefined, { ...BY_OTHER, renewTime }, 0)
    assert.equal(isHeldByOther(seen, 'me', 14_999), true)
    assert.equal(isHeldByOther(seen, 'me', 15_000), false)
  }
})

test('seeing the same record again does not prolong it, a renewed one starts anew', () => {
  const first = observe(undefined, BY_OTHER, 0)
  const again = observe(first, { ...BY_OTHER }, 10_000)
  assert.equal(again, first)
  const renewed = observe(again, { ...BY_OTHER, renewTime: '2020-01-01T00:00:02.000000Z' }, 10_000)
  assert.equal(isHeldByOther(renewed, 'me', 24_999), true)
  assert.equal(isHeldByOther(renewed, 'me', 25_000), false)
})

test('the duration that counts is the one in the record', () => {
  const seen = observe(undefined, { ...BY_OTHER, leaseDurationSeconds: 60 }, 0)
  assert.equal(isHeldByOther(seen, 'me', 59_999), true)
})

test('a lease without a holder, and our own, are free', () => {
  for (const holderIdentity of ['', 'me'])
    assert.equal(isHeldByOther(observe(undefined, { ...BY_OTHER, holderIdentity }, 0), 'me', 0), false)
  const { holderIdentity: _, ...none } = BY_OTHER
  assert.equal(isHeldByOther(observe(undefined, none, 0), 'me', 0), false)
})

test('the first holder has no transitions, one that takes over counts one more, a renewal keeps since when it is ours', () => {
  assert.deepEqual(claimed(undefined, 'me', 15, TIME), {
    holderIdentity: 'me',
    leaseDurationSeconds: 15,
    acquireTime: '2026-05-06T07:08:09.010000Z',
    renewTime: '2026-05-06T07:08:09.010000Z',
    leaseTransitions: 0,
  })
  const taken = claimed(BY_OTHER, 'me', 15, TIME)
  assert.equal(taken.leaseTransitions, 4)
  assert.equal(taken.acquireTime, taken.renewTime)
  const renewed = claimed(taken, 'me', 15, new Date(TIME.getTime() + 2000))
  assert.deepEqual(renewed, { ...taken, renewTime: '2026-05-06T07:08:11.010000Z' })
})

test('a released lease names nobody, lasts one second and keeps its transitions', () => {
  assert.deepEqual(released(BY_OTHER, TIME), {
    holderIdentity: '',
    leaseDurationSeconds: 1,
    acquireTime: '2026-05-06T07:08:09.010000Z',
    renewTime: '2026-05-06T07:08:09.010000Z',
    leaseTransitions: 3,
  })
})

test('times have six digits after the second', () => {
  for (const ms of [0, 1, 10, 100, 999]) assert.match(microTime(new Date(ms)), /^1970-01-01T00:00:00\.\d{6}Z$/)
})
