import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConditionReason } from '../../../operator/api/reasons.ts'
import { ReconcileError, type Retry } from '../../../operator/apply/failure.ts'
import { NOTHING, type Outcome } from '../../../operator/controller/outcome.ts'
import { requeueOf } from '../../../operator/controller/requeue.ts'

const LOOK_MS = 3000
const requeue = (part: Partial<Outcome>) => requeueOf({ ...NOTHING, ...part }, () => LOOK_MS)
const failed = (...retries: readonly (readonly [Retry, ConditionReason])[]) =>
  requeue({ problems: retries.map(([retry, reason]) => new ReconcileError(reason, 'so it is', retry)) })
const waits = (object: string, retryMs: number): Outcome['changes'][number] => ({
  object,
  action: 'contested',
  fields: [],
  mutated: [],
  contest: { managers: 'meddler', retryMs },
})

test('where all is well nothing comes back', () => assert.deepEqual(requeue({}), {}))

test('what heals by itself is looked at some times a minute, whatever else waits', () => {
  const { requeueAfterMs = 0, failed: result } = failed(['heals', 'QuotaExceeded'], ['terminal', 'InvalidSpec'])
  assert.ok(requeueAfterMs > 10_000 && requeueAfterMs < 20_000, `${requeueAfterMs} ms`)
  assert.equal(result, 'error')
})

test('what only a change can mend is not looked at again', () =>
  assert.deepEqual(failed(['terminal', 'InvalidSpec']), { failed: 'terminal' }))

test('a global-sidecar that is gone brings a SlimeBoot back in time for its catch-all to be withdrawn, whatever the problems are', () => {
  for (const retry of ['terminal', 'heals'] as const) {
    const problems = [new ReconcileError('InvalidSpec', 'so it is', retry)]
    assert.equal(requeue({ problems, withdrawalMs: 4000 }).requeueAfterMs, 4000, retry)
  }
  assert.equal(requeue({ problems: [new ReconcileError('ApiServerError', 'so', 'backoff')], withdrawalMs: 4000 }).longestRetryMs, 4000)
  assert.deepEqual(requeue({ withdrawalMs: 4000, waitMs: 5000 }), { requeueAfterMs: 4000 })
})

test('a failure is tried again ever more rarely, an API server that is away is asked at least some times a minute', () => {
  assert.deepEqual(failed(['backoff', 'ApiServerError'], ['heals', 'Forbidden']), {
    retry: true,
    longestRetryMs: undefined,
    failed: 'error',
  })
  const { retry, longestRetryMs = 0 } = failed(['backoff', 'ApiServerUnreachable'])
  assert.ok(retry === true && longestRetryMs < 20_000)
})

test('a conflict is tried again and is no failure', () => {
  assert.deepEqual(failed(['conflict', 'Conflict']), { retry: true, longestRetryMs: undefined, failed: undefined })
})

test('of several things to wait for the soonest counts, and none is a busy loop', () => {
  assert.deepEqual(requeue({ changes: [waits('Service/n/a', 60_000)] }), { requeueAfterMs: 60_000 })
  assert.deepEqual(requeue({ changes: [waits('Service/n/a', 60_000)], waiting: ['a gate'] }), { requeueAfterMs: LOOK_MS })
  assert.deepEqual(requeue({ waiting: ['a gate'], waitMs: 1000 }), { requeueAfterMs: 1000 })
  assert.deepEqual(requeue({ waitMs: 0 }), { requeueAfterMs: 50 })
})
