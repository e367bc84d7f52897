/** A cluster without Istio's CRDs: said so, never in the way of what needs none, and used as soon as they are there. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import {
  bootRef,
  conditionOf,
  createBoot,
  type Installation,
  isGone,
  isReady,
  newInstallation,
  readBoot,
  readyIs,
  refTo,
  setStage,
  specOf,
  type Stage,
} from '../helpers/stage.ts'
import { conditionOf as conditionOfFence, fenceOf } from '../helpers/lazyload.ts'
import { createServedFence } from '../helpers/served-fence.ts'

const CRD: ResourceType = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
}

// of its own: no other test could do without the CRDs
let cluster: Cluster
let stage: Stage
let installation: Installation
before(async () => {
  cluster = await startCluster({ name: 'no-crds' })
  await installCrds(cluster, { istio: false })
  stage = await setStage(cluster, 'no-crds')
  installation = await newInstallation(stage, 'bare')
})
after(async () => {
  await stage[Symbol.asyncDispose]()
  await cluster.stop()
})

describe("a SlimeBoot that needs Istio's CRDs", () => {
  test('is refused where they are missing, named all at once, and nothing is applied', async () => {
    await createBoot(stage, 'bare', specOf(installation))
    const { message } = await readyIs(stage, 'bare', 'False', 'KindMissing')
    assert.match(
      message ?? '',
      /DestinationRule \(networking\.istio\.io\/v1beta1\), EnvoyFilter \(networking\.istio\.io\/v1alpha3\), Sidecar/,
    )
    assert.deepEqual(await deployments(), [])
  })

  test('does not hold up one that needs none', async () => {
    await createBoot(stage, 'none', specOf(await newInstallation(stage, 'none'), { mode: 'none' }))
    await isReady(stage, 'none')
    await stage.client.remove(bootRef(stage, 'none'))
    await isGone(stage, 'none')
  })

  test('is installed when they are there', async () => {
    await installCrds(cluster)
    await isReady(stage, 'bare')
    await createServedFence(stage.client, installation.apps[0]!, 'web')
  })

  test('says so when they are taken away, can be deleted all the same, and leaves nothing of the other kinds', async () => {
    for (const name of ['envoyfilters', 'sidecars', 'destinationrules'])
      await stage.client.remove({ type: CRD, name: `${name}.networking.istio.io` })
    await stage.eventually(async () => assert.equal(conditionOf(await readBoot(stage, 'bare'), 'Ready').reason, 'KindMissing'))
    await stage.client.remove(bootRef(stage, 'bare'))
    await isGone(stage, 'bare')
    assert.deepEqual(await deployments(), [])
    assert.equal(conditionOfFence(await fenceOf(stage.client, installation.apps[0]!, 'web'), 'Ready').reason, 'NotServed')
  })

  test('and so can one where nobody knows fences any more', async () => {
    await createBoot(stage, 'fenceless', specOf(await newInstallation(stage, 'fenceless'), { mode: 'none' }))
    await isReady(stage, 'fenceless')
    await stage.client.remove({ type: CRD, name: 'servicefences.microservice.slime.io' })
    await stage.eventually(async () =>
      assert.equal(await stage.client.get({ type: CRD, name: 'servicefences.microservice.slime.io' }), undefined),
    )
    await stage.client.remove(bootRef(stage, 'fenceless'))
    await isGone(stage, 'fenceless')
  })
})

async function deployments(): Promise<readonly string[]> {
  const { items } = await stage.client.list(refTo('Deployment', undefined, '').type)
  return items.map(({ metadata }) => metadata.name)
}
