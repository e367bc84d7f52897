/** Create: an applied SlimeBoot becomes objects, and says so. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { render } from '../../operator/render/render.ts'
import { buildValues } from '../../operator/spec/build-values.ts'
import { objectId } from '../../runtime/object.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { nameOfShape, SHAPES, type ShapeOptions } from '../helpers/shapes.ts'
import {
  bootRef,
  conditionOf,
  createBoot,
  isGone,
  isReady,
  newInstallation,
  ownedIds,
  ownedObjects,
  readBoot,
  requests,
  setStage,
  specOf,
  type Stage,
  summaryOf,
} from '../helpers/stage.ts'

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'create')
})
after(async () => await stage[Symbol.asyncDispose]())

// volumes are the user's own claims, which nobody binds here; what dispatches render is no matter of mode and shape
const shapes = SHAPES.filter(
  ({ volumes, dispatches, mode, source }) => !volumes && dispatches === (mode !== 'none' && source === 'accesslog'),
)
const alone = shapes.filter(({ mode, shape }) => mode === 'cluster' || (mode !== 'none' && shape === 'pilot'))

describe('a new SlimeBoot', { concurrency: true }, () => {
  test('mode none and namespaced, without a pilot: all objects are installed and the SlimeBoot gets Ready', async (suite) => {
    const side = shapes.filter((shape) => !alone.includes(shape))
    await Promise.all(
      side.map(async (shape, index) => await suite.test(nameOfShape(shape), async () => await installs(stage, shape, `plain${index}`))),
    )
  })

  test('status tells mode, shape, modules and counts, and Ready alone of the three conditions is True', async () => {
    const installation = await newInstallation(stage, 'status')
    await createBoot(stage, installation.name, specOf(installation))
    await isReady(stage, installation.name)
    const boot = await readBoot(stage, installation.name)
    const { mode, shape, modules, objects, observedGeneration } = boot.status ?? {}
    const total = (await ownedIds(stage, installation.name)).length
    assert.deepEqual(
      { mode, shape, modules, objects, observedGeneration },
      { mode: 'namespaced', shape: 'stock', modules: [installation.module], objects: { total, ready: total }, observedGeneration: 1 },
    )
    assert.deepEqual(
      (['Ready', 'Reconciling', 'Stalled'] as const).map((type) => conditionOf(boot, type).status),
      ['True', 'False', 'False'],
    )
  })

  test('each of 12 namespaces gets its catch-all', async () => {
    const installation = await newInstallation(stage, 'many', 12)
    await createBoot(stage, installation.name, specOf(installation))
    await isReady(stage, installation.name)
    const filters = (await ownedObjects(stage, installation.name)).filter((object) => object.metadata.name === 'to-global-sidecar')
    assert.deepEqual(filters.map((object) => object.metadata.namespace ?? '').sort(), [...installation.apps].sort())
  })
})

// mode cluster and the pilot take what there is only one of in a cluster
describe('a new SlimeBoot that has the cluster for itself', () => {
  let cluster: Cluster
  let own: Stage
  before(async () => {
    cluster = await startCluster({ name: 'create' })
    await installCrds(cluster)
    own = await setStage(cluster, 'create')
  })
  after(async () => {
    await own[Symbol.asyncDispose]()
    await cluster.stop()
  })

  for (const [index, shape] of alone.entries()) {
    test(`${nameOfShape(shape)}: all objects are installed, it gets Ready, and leaves nothing`, async () => {
      const name = `alone${index}`
      await installs(own, shape, name)
      await own.client.remove(bootRef(own, name))
      await isGone(own, name)
      assert.deepEqual(await ownedIds(own, name), [])
    })
  }

  test("the tutorial's with access log takes at most 42 requests until it is Ready", async () => {
    const installation = { ...(await newInstallation(own, 'count')), home: own.namespace, root: 'istio-system' }
    const since = new Date()
    await createBoot(own, 'count', specOf(installation, { source: 'accesslog', shape: 'pilot' }))
    await isReady(own, 'count')
    // the tutorial's 16, the guard, and two bindings of the module: for its Lease, and for what it writes in the listed namespace
    assert.equal((await ownedIds(own, 'count')).length, 19)
    const sent = (await requests(own, since)).filter(({ verb }) => verb !== 'watch')
    assert.ok(sent.length <= 42, `${sent.length} requests:\n${summaryOf(sent).join('\n')}`)
  })
})

async function installs(on: Stage, shape: ShapeOptions, name: string): Promise<void> {
  const installation = await newInstallation(on, name, 2)
  const boot = await createBoot(on, name, specOf(installation, shape))
  await isReady(on, name)
  assert.deepEqual(
    await ownedIds(on, name),
    render(buildValues(boot))
      .map(({ object }) => objectId(object))
      .sort(),
  )
}
