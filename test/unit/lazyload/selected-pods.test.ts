/** How often the API server is asked which pods a selector selects. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSelectedPods, type SelectedPods } from '../../../lazyload/mesh/selected-pods.ts'
import { ApiError } from '../../../runtime/errors.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const pod = (labels: Record<string, string>, revision?: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'pod', labels, ...(revision === undefined ? {} : { annotations: { 'istio.io/rev': revision } }) },
})

/** An API server that answers `answer`, and a clock. */
function stage(): {
  readonly pods: SelectedPods
  readonly asked: string[]
  answer: readonly KubeObject[] | Error
  clock: number
} {
  const world = {
    asked: [] as string[],
    answer: [] as readonly KubeObject[] | Error,
    clock: 0,
    pods: undefined as unknown as SelectedPods,
  }
  world.pods = createSelectedPods({
    client: {
      list: async (_, options) => {
        world.asked.push(`${options?.namespace} ${options?.labelSelector}`)
        if (world.answer instanceof Error) throw world.answer
        return await Promise.resolve({ resourceVersion: '1', items: world.answer })
      },
    },
    now: () => world.clock,
  })
  return world
}

test('an answer holds for five minutes, one without pods for twenty seconds; many ask together once', async () => {
  const world = stage()
  world.answer = [pod({ app: 'a', 'pod-template-hash': 'x' }, '1-20'), pod({ app: 'a', 'pod-template-hash': 'y' }, '1-20')]
  const [first] = await Promise.all([1, 2, 3].map(async () => await world.pods.of('ns', { app: 'a' })))
  assert.deepEqual(first, { pods: [{ labels: { app: 'a' }, revision: '1-20' }], forbidden: false, more: false, againInMs: 300_000 })
  world.answer = []
  world.clock = 299_000
  await world.pods.of('ns', { app: 'a' })
  assert.equal(world.asked.length, 1)
  world.clock = 300_000
  assert.deepEqual((await world.pods.of('ns', { app: 'a' })).againInMs, 20_000)
  world.clock = 319_000
  await world.pods.of('ns', { app: 'a' })
  assert.equal(world.asked.length, 2)
  world.clock = 320_000
  await world.pods.of('ns', { app: 'a' })
  assert.equal(world.asked.length, 3)
  world.pods.expire('ns', { app: 'a' })
  await world.pods.of('ns', { app: 'a' })
  assert.equal(world.asked.length, 4)
})

test('a namespace with thousands of selectors without pods waits longer, and no other for it; all ask 20 times a second at most', async () => {
  const world = stage()
  for (let index = 0; index < 3000; index++) await world.pods.of('crowd', { app: `a${index}` })
  const calm = await world.pods.of('calm', { app: 'a' })
  assert.equal(calm.againInMs, 20_000)
  const crowd = await world.pods.of('crowd', { app: 'a0' })
  assert.equal(crowd.againInMs, 300_000)
  assert.ok(3000 / crowd.againInMs + 1 / calm.againInMs <= 20 / 1000)
})

test('labels that no pod can have are not asked for', async () => {
  const world = stage()
  for (const labels of [{ app: 'a b' }, { 'not a key!': 'a' }, { app: 'a,tier=b' }, { app: 'x'.repeat(64) }])
    assert.deepEqual((await world.pods.of('ns', labels)).pods, [])
  assert.deepEqual(world.asked, [])
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`label-${index}`, 'x']))
  assert.equal((await world.pods.of('ns', many)).pods, undefined)
  assert.deepEqual(world.asked, [])
})

test('a failure leaves the last answer; a missing right does not', async () => {
  const world = stage()
  world.answer = [pod({ app: 'a' })]
  await world.pods.of('ns', { app: 'a' })
  world.answer = new ApiError('list pods', 500, undefined)
  world.clock = 300_000
  const failed = await world.pods.of('ns', { app: 'a' })
  assert.deepEqual([failed.pods?.length, failed.againInMs], [1, 10_000])
  world.answer = new ApiError('list pods', 403, undefined)
  world.clock = 310_000
  const forbidden = await world.pods.of('ns', { app: 'a' })
  assert.deepEqual([forbidden.pods, forbidden.forbidden, forbidden.againInMs], [undefined, true, 30_000])
})
