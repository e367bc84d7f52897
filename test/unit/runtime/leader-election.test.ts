/** Rules of leader election that need no API server; the rest is in test/integration/leader-election.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLeaderElection, LeaseLostError, timingProblem } from '../../../runtime/leader-election.ts'

test('timing that lets two replicas lead at once, or none, is refused', () => {
  const timing = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 }
  assert.equal(timingProblem(timing), undefined)
  for (const wrong of [
    { leaseDurationMs: 10_000 },
    { leaseDurationMs: 15_500 },
    { leaseDurationMs: 500, renewDeadlineMs: 400, retryPeriodMs: 100 },
    { renewDeadlineMs: 15_000 },
    { renewDeadlineMs: 2400 },
    { retryPeriodMs: 0 },
  ])
    assert.notEqual(timingProblem({ ...timing, ...wrong }), undefined, JSON.stringify(wrong))
})

test('who does not lead may read, but write nothing', () => {
  const never = (): never => assert.fail('no request')
  const election = createLeaderElection({
    client: { get: never, create: never, replace: never },
    namespace: 'default',
    name: 'slime-boot',
    identity: 'me',
    timing: { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 },
  })
  election.checkWrite(false)
  assert.throws(() => election.checkWrite(true), LeaseLostError)
  assert.equal(election.isLeading(), false)
})
