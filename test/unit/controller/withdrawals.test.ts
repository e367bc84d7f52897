import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CATCH_ALL_ANNOTATION, FIELD_MANAGER, OWNED_ANNOTATION, OWNER_LABEL } from '../../../operator/api/slimeboot.ts'
import { createWithdrawals, WITHDRAWN_AFTER_MS } from '../../../operator/controller/withdrawals.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const BOOT: KubeObject = { apiVersion: 'v1', kind: 'SlimeBoot', metadata: { name: 'b', namespace: 'n' } }
const CATCH_ALL: KubeObject = {
  apiVersion: 'networking.istio.io/v1alpha3',
  kind: 'EnvoyFilter',
  metadata: {
    name: 'to-global-sidecar',
    namespace: 'shop',
    labels: { [OWNER_LABEL]: 'n.b' },
    annotations: {
      [CATCH_ALL_ANNOTATION]: 'shop=shop',
      [OWNED_ANNOTATION]: 'n/b=networking.istio.io/EnvoyFilter/shop/to-global-sidecar',
    },
    managedFields: [{ manager: FIELD_MANAGER, operation: 'Apply' }],
  },
}

/** A clock, a global-sidecar and its catch-all. */
function setUp() {
  const world = { time: 0, available: 1, latest: undefined as number | undefined, stands: true }
  const deployment = (availableReplicas: number): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'global-sidecar', namespace: 'shop' },
    status: { availableReplicas },
  })
  const withdrawals = createWithdrawals({
    client: { get: async () => await Promise.resolve(deployment(world.latest ?? world.available)) },
    live: {
      get: () => deployment(world.available),
      labelled: () => (world.stands ? [CATCH_ALL] : []),
      forbidden: () => false,
    },
    pruner: {
      removeCatchAlls: async () => {
        world.stands = false
        return await Promise.resolve({ deleted: ['EnvoyFilter/shop/to-global-sidecar'], blocked: [] })
      },
    },
    reachOf: () => ({ namespaces: new Set(['shop']), roots: new Set() }),
    now: () => world.time,
  })
  /** After so many milliseconds with so many replicas: what was withdrawn. */
  const after = async (ms: number, available: number): Promise<readonly string[]> => {
    world.time += ms
    world.available = available
    return (await withdrawals.step(BOOT)).changes.map(({ object }) => object)
  }
  return { world, withdrawals, after }
}

test('it is withdrawn after 15 s without a replica, not sooner, and not for a blip', async () => {
  const { withdrawals, after, world } = setUp()
  assert.deepEqual(await after(0, 1), [])
  assert.deepEqual(await after(60_000, 0), [])
  assert.equal((await withdrawals.step(BOOT)).waitMs, WITHDRAWN_AFTER_MS)
  assert.deepEqual(await after(WITHDRAWN_AFTER_MS - 1, 0), [])
  assert.deepEqual(await after(0, 1), [])
  assert.deepEqual(await after(WITHDRAWN_AFTER_MS, 0), [])
  assert.deepEqual(await after(WITHDRAWN_AFTER_MS, 0), ['EnvoyFilter/shop/to-global-sidecar'])
  assert.equal(world.stands, false)
})

test('what only the cache lacks is not withdrawn: the API server is asked before', async () => {
  const { after, world } = setUp()
  world.latest = 2
  await after(0, 0)
  assert.deepEqual(await after(WITHDRAWN_AFTER_MS, 0), [])
  world.latest = 0
  assert.deepEqual(await after(1000, 0), ['EnvoyFilter/shop/to-global-sidecar'])
})

test('the first time it comes back at once, after a second loss within ten minutes only when a replica has stayed for a minute', async () => {
  const { withdrawals, after, world } = setUp()
  const lose = async (): Promise<void> => {
    await after(1000, 0)
    assert.equal((await after(WITHDRAWN_AFTER_MS, 0)).length, 1)
  }
  await lose()
  await after(1000, 1)
  assert.equal(withdrawals.heldBackMs('n/b', 'shop'), 0)
  world.stands = true
  await lose()
  await after(1000, 1)
  assert.equal(withdrawals.heldBackMs('n/b', 'shop'), 60_000)
  await after(59_000, 1)
  assert.equal(withdrawals.heldBackMs('n/b', 'shop'), 1000)
  // gone again before the minute is over
  await after(500, 0)
  assert.equal(withdrawals.heldBackMs('n/b', 'shop'), 60_000)
  await after(500, 1)
  assert.equal(withdrawals.heldBackMs('n/b', 'shop'), 60_000)
  await after(60_000, 1)
  assert.equal(withdrawals.heldBackMs('n/b', 'shop'), 0)
  await after(10 * 60_000, 1)
  world.stands = true
  await lose()
  await after(1000, 1)
  assert.equal(withdrawals.heldBackMs('n/b', 'shop'), 0)
})
