/** How learned hosts are written: only what is new, in any order, by any replica; and what waits is bounded. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { SERVICE_FENCE } from '../../../lazyload/kinds.ts'
import { createLearner, type Learner, type LearnerOptions, MAX_LEARNED } from '../../../lazyload/learn/learner.ts'
import { keyOfHost } from '../../../lazyload/learn/metric-key.ts'
import { resetFence } from '../../../lazyload/learn/reset.ts'
import type { Client } from '../../../runtime/client.ts'
import { keyOf, type KubeObject } from '../../../runtime/object.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFence, fenceOf } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const cluster = await sharedCluster()
const client = adminClient(cluster)
const namespace = await createNamespace(cluster, 'patches')
const learners: Learner[] = []
after(async () => await Promise.all(learners.map(async (learner) => await learner.close(0))))

const caches: Map<string, KubeObject>[] = []
/** What watches tell every replica. */
function replicaKnows(fence: KubeObject): void {
  for (const known of caches) if (known.has(keyOf(fence))) known.set(keyOf(fence), fence)
}

/** A replica: what it knows is `fence` as it was, and what it writes is recorded. */
function replica(fence: KubeObject, options: Partial<LearnerOptions> = {}): { readonly learner: Learner; readonly patches: unknown[] } {
  const known = new Map([[keyOf(fence), fence]])
  caches.push(known)
  const patches: unknown[] = []
  const mergePatch: Client['mergePatch'] = async (ref, patch, manager, subresource) => {
    patches.push(patch)
    return await client.mergePatch(ref, patch, manager, subresource)
  }
  const learner = createLearner({
    client: { mergePatch },
    fences: { get: (key) => known.get(key), record: (object) => void known.set(keyOf(object), object) },
    inScope: () => true,
    isExternal: () => true,
    ...options,
  })
  learners.push(learner)
  void learner.run()
  return { learner, patches }
}
const calls = (...hosts: readonly string[]): ReadonlyMap<string, number> => new Map(hosts.map((host) => [host, 1]))
const learnedBy = async (name: string): Promise<readonly string[]> =>
  Object.keys((await fenceOf(client, namespace, name)).status?.metricStatus ?? {}).sort()
const keys = (...hosts: readonly string[]): readonly string[] => hosts.map(keyOfHost)

test('a patch holds what is new and nothing else; what is known is not written again', async () => {
  const fence = await createFence(client, namespace, 'new-only')
  const { learner, patches } = replica(fence)
  learner.learn(keyOf(fence), calls('a.example.com', 'b.example.com'))
  await eventually(() => assert.equal(learner.written(), 1))
  learner.learn(keyOf(fence), calls('a.example.com', 'b.example.com'))
  learner.learn(keyOf(fence), calls('a.example.com', 'c.example.com'))
  await eventually(() => assert.equal(learner.written(), 2))
  assert.deepEqual(patches, [
    { status: { metricStatus: { [keyOfHost('a.example.com')]: '1', [keyOfHost('b.example.com')]: '1' } } },
    { status: { metricStatus: { [keyOfHost('c.example.com')]: '1' } } },
  ])
})

for (const [what, rest] of [
  ['is too large', { domains: { big: { hosts: ['x'.repeat(4_000_000)] } } }],
  ['its schema does not allow', { hosts: 'many' }],
] as const)
  test(`what is learned is stored also when the rest of the status ${what}`, async () => {
    const name = `does-not-fit-${what.length}`
    const fence = await createFence(client, namespace, name)
    const problems: unknown[] = []
    const { learner } = replica(fence, { alsoStored: () => rest, onProblem: (_, error) => void problems.push(error) })
    learner.learn(keyOf(fence), calls('a.example.com'))
    await eventually(() => assert.equal(learner.pending(), 0))
    assert.deepEqual(await learnedBy(name), keys('a.example.com'))
    assert.equal(problems.length, 1)
  })

test('replicas that know nothing of each other lose nothing of each other', async () => {
  const fence = await createFence(client, namespace, 'shared')
  const [one, two] = [replica(fence), replica(fence)]
  one.learner.learn(keyOf(fence), calls('a.example.com', 'both.example.com'))
  two.learner.learn(keyOf(fence), calls('b.example.com', 'both.example.com'))
  await eventually(async () => assert.deepEqual(await learnedBy('shared'), keys('a.example.com', 'b.example.com', 'both.example.com')))
})

test('while the API server does not answer no more waits than a fence may learn', async () => {
  const fence = await createFence(client, namespace, 'waiting')
  const gate = Promise.withResolvers<void>()
  const full: string[] = []
  const { learner } = replica(fence, {
    client: {
      mergePatch: async (ref, patch, manager, subresource) => {
        await gate.promise
        return await client.mergePatch(ref, patch, manager, subresource)
      },
    },
    onFull: (key) => void full.push(key),
  })
  for (let batch = 0; batch < 100; batch++)
    learner.learn(keyOf(fence), calls(...Array.from({ length: 100 }, (_, index) => `h${batch}-${index}.example.com`)))
  assert.equal(learner.pending(), MAX_LEARNED)
  assert.deepEqual(full, [keyOf(fence)], 'told once')
  gate.resolve()
  await eventually(async () => assert.equal((await learnedBy('waiting')).length, MAX_LEARNED))
  assert.equal(learner.pending(), 0)
})

test('a fence that is full says so once, and once more when it was reset and is full again', async () => {
  const fence = await createFence(client, namespace, 'full')
  const full: string[] = []
  const { learner } = replica(fence, { onFull: (key) => void full.push(key) })
  const many = calls(...Array.from({ length: MAX_LEARNED + 1 }, (_, index) => `h${index}.example.com`))
  for (let round = 1; round <= 2; round++) {
    for (let time = 0; time < 2; time++) {
      learner.learn(keyOf(fence), many)
      await eventually(() => assert.equal(learner.pending(), 0))
    }
    assert.equal(full.length, round)
    assert.equal(await resetFence(client, fence), true)
    replicaKnows(await fenceOf(client, namespace, 'full'))
  }
})

test('hosts of a fence that is gone do not wait', async () => {
  const fence = await createFence(client, namespace, 'gone')
  await client.remove({ type: SERVICE_FENCE, namespace, name: 'gone' })
  const { learner } = replica(fence)
  learner.learn(keyOf(fence), calls('a.example.com'))
  await eventually(() => assert.equal(learner.pending(), 0))
  assert.equal(learner.written(), 0)
})
