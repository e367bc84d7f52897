/** Readiness: Ready is true only when the workloads are available; until then the message names object, pod and the container's reason. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { POD } from '../../operator/api/kinds.ts'
import type { JsonObject, KubeObject } from '../../runtime/object.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import {
  changeSpec,
  conditionOf,
  createBoot,
  isReady,
  newInstallation,
  ownedIds,
  read,
  readBoot,
  readyIs,
  setStage,
  specOf,
  type Stage,
} from '../helpers/stage.ts'

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'readiness')
})
after(async () => await stage[Symbol.asyncDispose]())

/** No node has this label: the pods stay Pending, and the test writes their status as a kubelet would. */
const NOWHERE: JsonObject = { nodeSelector: { 'example.com/none': 'true' } }

describe('a SlimeBoot whose workload does not come up', { concurrency: true }, () => {
  test('is not Ready and says that the pod cannot be scheduled', async () => {
    const installation = await newInstallation(stage, 'pending')
    await createBoot(stage, 'pending', specOf(installation, { mode: 'none' }, NOWHERE))
    const ready = await readyIs(stage, 'pending', 'False', 'WorkloadNotReady')
    assert.match(
      ready.message ?? '',
      new RegExp(
        `^Deployment/${installation.home}/${installation.module}: pod ${installation.module}-\\S+: Unschedulable: 0/1 nodes are available`,
      ),
    )
    const { status } = await readBoot(stage, 'pending')
    assert.deepEqual(
      status?.unready?.map(({ object, reason }) => [object, reason]),
      [[`Deployment/${installation.home}/${installation.module}`, 'Unschedulable']],
    )
    assert.deepEqual(status?.objects, { ready: 5, total: 6 })
    await changeSpec(stage, 'pending', specOf(installation, { mode: 'none' }))
    await isReady(stage, 'pending')
  })

  test('names pod, container and reason of an image that cannot be pulled', async () => {
    const installation = await newInstallation(stage, 'image')
    await createBoot(stage, 'image', specOf(installation, { mode: 'none' }, NOWHERE))
    const pod = await podOf(installation.home)
    await setStatus(pod, {
      waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "docker.io/slimeio/slime-lazyload:none"' },
    })
    const ready = await readyIs(stage, 'image', 'False', 'WorkloadNotReady')
    await stage.eventually(async () => {
      const { message } = conditionOf(await readBoot(stage, 'image'), 'Ready')
      assert.equal(
        message,
        `Deployment/${installation.home}/${installation.module}: pod ${pod.metadata.name}, container slime: ImagePullBackOff: Back-off pulling image "docker.io/slimeio/slime-lazyload:none"`,
      )
    })
    assert.equal(ready.status, 'False')
  })

  test('names the exit code of a container that crashes', async () => {
    const installation = await newInstallation(stage, 'crash')
    await createBoot(stage, 'crash', specOf(installation, { mode: 'none' }, NOWHERE))
    const pod = await podOf(installation.home)
    await setStatus(
      pod,
      { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s restarting failed container' } },
      { terminated: { exitCode: 2, reason: 'Error' } },
    )
    await stage.eventually(async () =>
      assert.match(
        conditionOf(await readBoot(stage, 'crash'), 'Ready').message ?? '',
        /container slime: CrashLoopBackOff: last exit code 2 \(Error\)$/,
      ),
    )
  })

  test('says of a global-sidecar that was OOM-killed what its limit was, how often, and what to set', async () => {
    const installation = await newInstallation(stage, 'memory', 1)
    const [app] = installation.apps
    const resources = { limits: { memory: '200Mi' } }
    const globalSidecar = { enable: true, type: 'namespaced', namespace: installation.apps, resources, ...NOWHERE }
    await createBoot(stage, 'memory', specOf(installation, {}, { component: { globalSidecar } }))
    const pod = await podOf(app!)
    const last = { terminated: { exitCode: 137, reason: 'OOMKilled' } }
    await setStatus(pod, { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 5m0s' } }, last, 7)
    await stage.eventually(async () => {
      const { status } = await readBoot(stage, 'memory')
      assert.deepEqual(
        status?.unready?.filter(({ object }) => object === `Deployment/${app}/global-sidecar`).map(({ reason }) => reason),
        ['OOMKilled'],
      )
      assert.match(
        conditionOf(await readBoot(stage, 'memory'), 'Ready').message ?? '',
        /container istio-proxy: OOMKilled: exit code 137, restarted 7 times\. Its memory limit of 200Mi is too low\. Set spec\.component\.globalSidecar\.resources\.limits\.memory higher, for example to 400Mi/,
      )
    })
    // running again, but not ready: the cause is still the same
    await setStatus(pod, { running: { startedAt: '2026-01-01T00:00:00Z' } }, last, 8)
    await stage.eventually(async () =>
      assert.match(conditionOf(await readBoot(stage, 'memory'), 'Ready').message ?? '', /OOMKilled: exit code 137, restarted 8 times/),
    )
  })

  test('holds back the catch-all of a global-sidecar that is not available, while other namespaces go on', async () => {
    const installation = await newInstallation(stage, 'gate', 2)
    const [full, free] = installation.apps
    // no pod fits into this namespace
    await stage.client.create(QUOTA, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none', namespace: full! },
      spec: { hard: { pods: '0' } },
    })
    await stage.eventually(async () =>
      assert.ok((await stage.client.get({ type: QUOTA, namespace: full!, name: 'none' }))?.['status'] !== undefined),
    )
    await createBoot(stage, 'gate', specOf(installation))
    await stage.eventually(async () => assert.ok((await ownedIds(stage, 'gate')).includes(`EnvoyFilter/${free}/to-global-sidecar`)))
    const ready = await readyIs(stage, 'gate', 'False', 'WorkloadNotReady')
    assert.match(ready.message ?? '', new RegExp(`Deployment/${full}/global-sidecar: .*exceeded quota`))
    assert.ok(!(await ownedIds(stage, 'gate')).includes(`EnvoyFilter/${full}/to-global-sidecar`))
    await stage.client.remove({ type: QUOTA, namespace: full!, name: 'none' })
    await isReady(stage, 'gate')
    assert.ok((await ownedIds(stage, 'gate')).includes(`EnvoyFilter/${full}/to-global-sidecar`))
  })

  test('stops being Ready when a pod is lost later, and is Ready again when it is back', async () => {
    const installation = await newInstallation(stage, 'lost')
    await createBoot(stage, 'lost', specOf(installation, { mode: 'none' }))
    await isReady(stage, 'lost')
    const pod = await podOf(installation.home)
    await stage.client.mergePatch(
      { type: POD, namespace: installation.home, name: pod.metadata.name },
      { status: { conditions: [{ type: 'Ready', status: 'False' }] } },
      'test',
      'status',
    )
    await stage.eventually(async () => assert.equal(conditionOf(await readBoot(stage, 'lost'), 'Ready').status, 'False'))
    await stage.client.remove({ type: POD, namespace: installation.home, name: pod.metadata.name })
    await isReady(stage, 'lost')
  })
})

const QUOTA = { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true }

async function podOf(namespace: string): Promise<KubeObject> {
  return await stage.eventually(async () => {
    const [pod] = (await stage.client.list(POD, { namespace })).items
    assert.ok(pod !== undefined)
    return pod
  })
}

/** What a kubelet reports of the only container, once the pod has a place. */
async function setStatus(pod: KubeObject, state: JsonObject, lastState: JsonObject = {}, restartCount = 0): Promise<void> {
  const { containers } = pod['spec'] as { containers: readonly { name: string }[] }
  const status = {
    phase: 'Pending',
    conditions: [{ type: 'PodScheduled', status: 'True' }],
    containerStatuses: containers.map(({ name }) => ({ name, image: 'i', imageID: '', ready: false, restartCount, state, lastState })),
  }
  // the scheduler tells again and again that there is no place; the latest word counts
  await stage.eventually(async () => {
    await stage.client.mergePatch({ type: POD, namespace: pod.metadata.namespace, name: pod.metadata.name }, { status }, 'test', 'status')
    const now = await read(stage, { type: POD, namespace: pod.metadata.namespace, name: pod.metadata.name })
    const { conditions } = now['status'] as { conditions: readonly { type: string; status: string }[] }
    assert.equal(conditions.find(({ type }) => type === 'PodScheduled')?.status, 'True')
  })
}
