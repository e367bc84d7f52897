import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createObjectCache } from '../../../runtime/object-cache.ts'
import { createTurns } from '../../../runtime/turns.ts'
import { createWorkQueue } from '../../../runtime/work-queue.ts'
import { runWorkers } from '../../../runtime/worker.ts'

/** Keeps the processor busy. */
function compute(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** How often the event loop came round while `work` went on. */
async function roundsOf(work: () => Promise<void>): Promise<number> {
  let rounds = 0
  let over = false
  const count = (): void => {
    rounds++
    if (!over) setImmediate(count)
  }
  setImmediate(count)
  await work()
  over = true
  return rounds
}

test('thousands of reconciles that wait for nothing let the event loop come round', async () => {
  const queue = createWorkQueue()
  for (let key = 0; key < 200; key++) queue.add(`shop/${key}`)
  let left = 200
  const reconcile = async (): Promise<object> => {
    compute(1)
    if (--left === 0) queue.close()
    return await Promise.resolve({})
  }
  const rounds = await roundsOf(async () => await runWorkers({ queue, concurrency: 4, reconcile, onPanic: assert.fail }))
  // 200 ms of work in turns of 10 ms; with none it comes round once
  assert.ok(rounds >= 8, `${rounds} rounds`)
})

test('a list of thousands is taken in in turns, and what was written meanwhile stays', async () => {
  const object = (name: number, resourceVersion: number) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'shop', name: `s${name}`, resourceVersion: String(resourceVersion) },
  })
  const cache = createObjectCache(() => compute(1))
  cache.put(object(500, 3), 'watch')
  cache.put(object(501, 3), 'watch')
  const items = Array.from({ length: 200 }, (_, name) => object(name, 5))
  let taken: Promise<void> | undefined
  const rounds = await roundsOf(async () => {
    taken = cache.replaceAll(items, '10', false, createTurns())
    // while it is taken in: one that is not listed is written, one is made
    cache.put(object(501, 12), 'write')
    cache.put(object(502, 13), 'write')
    await taken
  })
  assert.ok(rounds >= 8, `${rounds} rounds`)
  assert.deepEqual(
    [cache.get('shop/s500'), cache.get('shop/s501')?.metadata.resourceVersion, cache.get('shop/s502')?.metadata.resourceVersion],
    [undefined, '12', '13'],
  )
  assert.equal(cache.size(), 202)
})
