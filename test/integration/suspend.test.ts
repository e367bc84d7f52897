/** The annotations that a user sets on a SlimeBoot to hold it or to hurry it. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sharedCluster } from '../helpers/cluster.ts'
import {
  annotate,
  bootRef,
  changeSpec,
  createBoot,
  isGone,
  isReady,
  newInstallation,
  ownedIds,
  read,
  readBoot,
  readyIs,
  reconcileAgain,
  refTo,
  setStage,
  specOf,
  type Stage,
  summaryOf,
  writes,
} from '../helpers/stage.ts'

const SUSPEND = 'config.netease.com/suspend'

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'suspend')
})
after(async () => await stage[Symbol.asyncDispose]())

describe('annotations of a SlimeBoot', { concurrency: true }, () => {
  test('suspend: nothing is applied, repaired or pruned until it is taken off', async () => {
    const installation = await newInstallation(stage, 'held')
    const service = refTo('Service', installation.home, installation.module)
    await createBoot(stage, 'held', specOf(installation))
    await isReady(stage, 'held')
    await annotate(stage, bootRef(stage, 'held'), { [SUSPEND]: 'true' })
    await readyIs(stage, 'held', 'Unknown', 'Suspended')
    const earlier = await ownedIds(stage, 'held')
    const since = new Date()
    await changeSpec(stage, 'held', specOf(installation, { mode: 'none' }))
    await stage.client.mergePatch(service, { spec: { selector: { app: 'other' } } }, 'kubectl-edit')
    await readyIs(stage, 'held', 'Unknown', 'Suspended')
    assert.deepEqual(await ownedIds(stage, 'held'), earlier)
    assert.deepEqual(
      summaryOf(
        (await writes(stage, since)).filter(({ namespace }) => namespace === installation.home || installation.apps.includes(namespace)),
      ),
      [],
    )

    await annotate(stage, bootRef(stage, 'held'), { [SUSPEND]: null })
    await isReady(stage, 'held')
    assert.equal((await ownedIds(stage, 'held')).length, 6)
    assert.deepEqual(
      (await read(stage, service))['spec'] !== undefined && ((await read(stage, service))['spec'] as { selector: unknown }).selector,
      { app: installation.module },
    )
  })

  test('suspend from the beginning: nothing is there, not even a finalizer', async () => {
    const installation = await newInstallation(stage, 'never')
    await createBoot(stage, 'never', specOf(installation), { [SUSPEND]: 'true' })
    await readyIs(stage, 'never', 'Unknown', 'Suspended')
    assert.deepEqual(await ownedIds(stage, 'never'), [])
    assert.equal((await readBoot(stage, 'never')).metadata.finalizers, undefined)
  })

  test('a suspended SlimeBoot can be deleted', async () => {
    const installation = await newInstallation(stage, 'deleted')
    await createBoot(stage, 'deleted', specOf(installation))
    await isReady(stage, 'deleted')
    await annotate(stage, bootRef(stage, 'deleted'), { [SUSPEND]: 'true' })
    await readyIs(stage, 'deleted', 'Unknown', 'Suspended')
    await stage.client.remove(bootRef(stage, 'deleted'))
    await isGone(stage, 'deleted')
    assert.deepEqual(await ownedIds(stage, 'deleted'), [])
  })

  test('reconcile-at: what waits for its turn is looked at now', async () => {
    const installation = await newInstallation(stage, 'hurry')
    const foreign = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: installation.module, namespace: installation.home } }
    await stage.client.create(refTo('ConfigMap', undefined, '').type, foreign, 'helm')
    await createBoot(stage, 'hurry', specOf(installation, { mode: 'none' }))
    await readyIs(stage, 'hurry', 'False', 'Conflict')
    await stage.client.remove(refTo('ConfigMap', installation.home, installation.module))
    await reconcileAgain(stage, 'hurry')
    // by itself it would take some 20 s
    await isReady(stage, 'hurry', { timeout: 12_000 })
  })
})
