/** Contests: a field that somebody flips back again and again is not fought over in a loop; an autoscaler owns its replicas. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { HORIZONTAL_POD_AUTOSCALER } from '../../operator/api/kinds.ts'
import { DELETIONS } from '../../runtime/contest.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import {
  bootRef,
  changeSpec,
  conditionOf,
  createBoot,
  isReady,
  newInstallation,
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

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'contested')
})
after(async () => await stage[Symbol.asyncDispose]())

describe('a field that two want', { concurrency: true }, () => {
  test('is left alone after three repairs, Contested names object, field and manager, and the rest is still repaired', async () => {
    const installation = await newInstallation(stage, 'flip')
    const service = refTo('Service', installation.home, installation.module)
    await createBoot(stage, 'flip', specOf(installation, { mode: 'none' }))
    await isReady(stage, 'flip')
    const since = new Date()
    const selector = async (): Promise<string | undefined> =>
      ((await read(stage, service))['spec'] as { selector: { app?: string } }).selector.app
    const flip = async (): Promise<unknown> => await stage.client.mergePatch(service, { spec: { selector: { app: 'theirs' } } }, 'meddler')
    for (let round = 0; round < 3; round++) {
      await flip()
      await stage.eventually(async () => assert.equal(await selector(), installation.module))
    }
    await flip()
    const ready = await readyIs(stage, 'flip', 'False', 'Contested')
    assert.match(
      ready.message ?? '',
      new RegExp(`Service/${installation.home}/${installation.module}: /spec/selector/app is set again and again by .*meddler`),
    )
    assert.equal(conditionOf(await readBoot(stage, 'flip'), 'Stalled').status, 'True')

    // neither a reconcile nor the repair of another object touches it
    await reconcileAgain(stage, 'flip')
    await stage.client.remove(refTo('ConfigMap', installation.home, installation.module))
    await stage.eventually(async () => await read(stage, refTo('ConfigMap', installation.home, installation.module)))
    assert.equal(await selector(), 'theirs')
    const applied = (await writes(stage, since)).filter(
      ({ resource, namespace }) => resource === 'services' && namespace === installation.home,
    )
    assert.equal(applied.length, 3, summaryOf(applied).join('\n'))
  })

  test('is taken back at once when the spec changes it', async () => {
    const installation = await newInstallation(stage, 'anew')
    const deployment = refTo('Deployment', installation.home, installation.module)
    const spec = specOf(installation, { mode: 'none' })
    const image = async (): Promise<string> =>
      ((await read(stage, deployment))['spec'] as { template: { spec: { containers: readonly { image: string }[] } } }).template.spec
        .containers[0]!.image
    const flip = async (): Promise<unknown> =>
      await stage.client.jsonPatch(
        deployment,
        [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'theirs:1' }],
        'meddler',
      )
    await createBoot(stage, 'anew', spec)
    await isReady(stage, 'anew')
    const ours = await image()
    for (let round = 0; round < 3; round++) {
      await flip()
      await stage.eventually(async () => assert.equal(await image(), ours))
    }
    await flip()
    await readyIs(stage, 'anew', 'False', 'Contested')
    await changeSpec(stage, 'anew', { ...spec, image: { repository: 'example.com/lazyload', tag: 'v2' } })
    await stage.eventually(async () => assert.equal(await image(), 'example.com/lazyload:v2'))
    await isReady(stage, 'anew')
  })

  test('is not contested where it is the replicas of a live autoscaler', async () => {
    const installation = await newInstallation(stage, 'scaled')
    const deployment = refTo('Deployment', installation.home, installation.module)
    const spec = specOf(installation, { mode: 'none' })
    const replicas = async (): Promise<number> => ((await read(stage, deployment))['spec'] as { replicas: number }).replicas
    await createBoot(stage, 'scaled', spec)
    await isReady(stage, 'scaled')
    // it has nothing to go by here, but at least three replicas it must keep
    await stage.client.create(HORIZONTAL_POD_AUTOSCALER, {
      apiVersion: HORIZONTAL_POD_AUTOSCALER.apiVersion,
      kind: HORIZONTAL_POD_AUTOSCALER.kind,
      metadata: { name: 'scaler', namespace: installation.home },
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: installation.module }, minReplicas: 3, maxReplicas: 5 },
    })
    await stage.client.mergePatch(deployment, { spec: { replicas: 3 } }, 'horizontal-pod-autoscaler', 'scale')
    const since = new Date()
    await stage.eventually(async () =>
      assert.equal(((await read(stage, deployment))['status'] as { availableReplicas?: number }).availableReplicas, 3),
    )
    await isReady(stage, 'scaled')
    const touched = (await writes(stage, since)).filter(({ resource }) => resource === 'deployments')
    assert.deepEqual(summaryOf(touched.filter(({ namespace }) => namespace === installation.home)), [])
    // another change of the Deployment leaves the replicas to it
    await changeSpec(stage, 'scaled', { ...spec, image: { repository: 'example.com/lazyload', tag: 'v2' } })
    await isReady(stage, 'scaled')
    assert.equal(await replicas(), 3)
  })

  test('is forgotten with its SlimeBoot: a new one of the same name has what the old one could not have', async () => {
    const installation = await newInstallation(stage, 'again')
    const configMap = refTo('ConfigMap', installation.home, installation.module)
    const spec = specOf(installation, { mode: 'none' })
    await createBoot(stage, 'again', spec)
    await isReady(stage, 'again')
    // one write of it was the installation
    for (let round = 1; round < DELETIONS; round++) {
      await stage.client.remove(configMap)
      await stage.eventually(async () => assert.ok(await stage.client.get(configMap)))
    }
    await stage.client.remove(configMap)
    await readyIs(stage, 'again', 'False', 'Contested')
    await stage.client.remove(bootRef(stage, 'again'))
    await stage.eventually(async () => assert.equal(await stage.client.get(bootRef(stage, 'again')), undefined))
    await createBoot(stage, 'again', spec)
    await isReady(stage, 'again')
  })

  test('are the replicas of a Deployment that somebody scaled by hand: they are put back', async () => {
    const installation = await newInstallation(stage, 'byhand')
    const deployment = refTo('Deployment', installation.home, installation.module)
    await createBoot(stage, 'byhand', specOf(installation, { mode: 'none' }))
    await isReady(stage, 'byhand')
    await stage.client.mergePatch(deployment, { spec: { replicas: 4 } }, 'kubectl', 'scale')
    await stage.eventually(async () => assert.equal(((await read(stage, deployment))['spec'] as { replicas: number }).replicas, 1))
  })
})
