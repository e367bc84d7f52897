import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createWorkQueue } from '../../../runtime/work-queue.ts'
import { runWorkers } from '../../../runtime/worker.ts'

test('a key that is added twice is worked on once', async () => {
  const queue = createWorkQueue()
  queue.add('a')
  queue.add('a')
  queue.add('b')
  assert.equal(queue.depth(), 2)
  assert.deepEqual([await queue.next(), await queue.next()], ['a', 'b'])
})

test('a key that is added while it is worked on comes again when that is done, and once only', async () => {
  const queue = createWorkQueue()
  queue.add('a')
  assert.equal(await queue.next(), 'a')
  queue.add('a')
  queue.add('a')
  assert.equal(queue.depth(), 0)
  queue.done('a')
  assert.equal(queue.depth(), 1)
  assert.equal(await queue.next(), 'a')
  queue.done('a')
  assert.equal(queue.depth(), 0)
})

test('a worker that waits gets the next key', async () => {
  const queue = createWorkQueue()
  const waiting = queue.next()
  queue.add('a')
  assert.equal(await waiting, 'a')
  assert.equal(queue.depth(), 0)
})

test('of several delays of one key the soonest counts', async () => {
  const queue = createWorkQueue()
  queue.addAfter('a', 60_000)
  queue.addAfter('a', 1)
  queue.addAfter('a', 60_000)
  assert.equal(await queue.next(), 'a')
  queue.done('a')
  await sleep(5)
  assert.equal(queue.depth(), 0)
  queue.close()
})

test('the delay of a key that fails doubles up to the limit, and starts anew when it is forgotten', () => {
  const queue = createWorkQueue({ firstBackoffMs: 1000, maxBackoffMs: 4000 })
  const delays = [1, 2, 3, 4].map(() => queue.addRateLimited('a'))
  for (const [index, expected] of [1000, 2000, 4000, 4000].entries())
    assert.ok(Math.abs(delays[index]! - expected) <= expected * 0.1, delays.join(' '))
  queue.forget('a')
  assert.ok(queue.addRateLimited('a') <= 1100)
  assert.ok(queue.addRateLimited('b') <= 1100)
  queue.close()
})

test('a closed queue lets its workers go and takes nothing more', async () => {
  const queue = createWorkQueue()
  const waiting = queue.next()
  queue.addAfter('later', 1)
  queue.close()
  assert.equal(await waiting, undefined)
  queue.add('a')
  await sleep(5)
  assert.equal(queue.depth(), 0)
  assert.equal(await queue.next(), undefined)
})

test('one key is never in two workers, others go on beside it', async () => {
  const queue = createWorkQueue()
  const active = new Set<string>()
  const log: string[] = []
  let most = 0
  async function reconcile(key: string): Promise<object> {
    assert.ok(!active.has(key), `${key} is in two workers`)
    active.add(key)
    most = Math.max(most, active.size)
    await sleep(2)
    active.delete(key)
    log.push(key)
    if (log.length === 12) queue.close()
    else queue.add(key)
    return {}
  }
  for (const key of ['a', 'b', 'c']) queue.add(key)
  await runWorkers({ queue, concurrency: 4, reconcile, onPanic: (_, error) => assert.fail(error as Error) })
  assert.equal(most, 3)
})

test('a reconcile that throws is reported and tried again', async () => {
  const queue = createWorkQueue({ firstBackoffMs: 1 })
  const panics: string[] = []
  let tries = 0
  queue.add('a')
  await runWorkers({
    queue,
    concurrency: 1,
    reconcile: () => {
      if (++tries === 1) return Promise.reject(new Error('bug'))
      queue.close()
      return Promise.resolve({})
    },
    onPanic: (key, error) => panics.push(`${key}: ${String(error)}`),
  })
  assert.deepEqual([tries, panics], [2, ['a: Error: bug']])
})

test('by default the delay of a key that keeps failing grows to five minutes, and no further than is asked for', () => {
  const queue = createWorkQueue()
  const delays = Array.from({ length: 14 }, () => queue.addRateLimited('sick'))
  assert.ok(
    delays.slice(10).every((ms) => ms >= 270_000 && ms <= 330_000),
    delays.join(' '),
  )
  assert.ok(new Set(delays.slice(10)).size > 1, 'no jitter')
  assert.ok(queue.addRateLimited('sick', 15_000) <= 16_500)
  queue.close()
})

test('a key that waits for its backoff holds up nobody, and comes at once when it changes', async () => {
  const queue = createWorkQueue({ firstBackoffMs: 60_000 })
  const seen: string[] = []
  const reconcile = async (key: string): Promise<{ retry?: boolean }> => {
    seen.push(key)
    return key === 'sick' ? { retry: true } : {}
  }
  const working = runWorkers({ queue, concurrency: 2, reconcile, onPanic: (_, error) => assert.fail(String(error)) })
  for (const key of ['sick', 'a', 'b', 'c']) queue.add(key)
  await turns()
  assert.deepEqual(seen.toSorted(), ['a', 'b', 'c', 'sick'])
  queue.add('sick')
  await turns()
  assert.equal(seen.filter((key) => key === 'sick').length, 2)
  queue.close()
  await working
})

/** Lets everything run that waits for nothing. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
