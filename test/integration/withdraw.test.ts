/** A catch-all whose global-sidecar is gone for 15 s is withdrawn, and comes back behind its gate; short blips and rollouts leave it alone. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { POD } from '../../operator/api/kinds.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import {
  annotate,
  bootRef,
  changeSpec,
  conditionOf,
  createBoot,
  isReady,
  newInstallation,
  read,
  readBoot,
  readyIs,
  refTo,
  setStage,
  specOf,
  type Stage,
} from '../helpers/stage.ts'

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'withdraw')
})
after(async () => await stage[Symbol.asyncDispose]())

const catchAll = (namespace: string): ReturnType<typeof refTo> => refTo('EnvoyFilter', namespace, 'to-global-sidecar')
const deployment = (namespace: string): ReturnType<typeof refTo> => refTo('Deployment', namespace, 'global-sidecar')
const available = async (namespace: string): Promise<number> =>
  ((await read(stage, deployment(namespace)))['status'] as { availableReplicas?: number }).availableReplicas ?? 0

/** Every pod of the global-sidecar stops being ready, as when it crashes; it stays so until it is replaced. */
async function lose(namespace: string): Promise<readonly KubeObject[]> {
  const { items } = await stage.client.list(POD, { namespace, labelSelector: 'app=qz-ingress' })
  assert.ok(items.length > 0)
  for (const { metadata } of items)
    await stage.client.mergePatch(
      { type: POD, namespace, name: metadata.name },
      { status: { conditions: [{ type: 'Ready', status: 'False' }] } },
      'test',
      'status',
    )
  await stage.eventually(async () => assert.equal(await available(namespace), 0))
  return items
}

async function replace(pods: readonly KubeObject[]): Promise<void> {
  for (const { metadata } of pods) await stage.client.remove({ type: POD, namespace: metadata.namespace, name: metadata.name })
}

async function withdrawnIs(name: string, ...namespaces: readonly string[]): Promise<void> {
  await stage.eventually(async () => {
    for (const namespace of namespaces) assert.equal(await stage.client.get(catchAll(namespace)), undefined)
    assert.deepEqual((await readBoot(stage, name)).status?.withdrawn, namespaces.length === 0 ? undefined : [...namespaces].sort())
  })
}

describe('a global-sidecar all of whose replicas are gone', { concurrency: true }, () => {
  test('loses its catch-all, in its namespace only, and has it back with an available replica; the status and Events say so', async () => {
    const installation = await newInstallation(stage, 'gone', 2)
    const [lost, kept] = installation.apps as [string, string]
    await createBoot(stage, 'gone', specOf(installation))
    await isReady(stage, 'gone')
    const { uid } = (await read(stage, catchAll(kept))).metadata
    const pods = await lose(lost)
    const ready = await readyIs(stage, 'gone', 'False', 'CatchAllWithdrawn')
    assert.match(
      ready.message ?? '',
      new RegExp(`^No replica of the global-sidecar was available for 15 s in ${lost}: the catch-all is withdrawn`),
    )
    assert.match(ready.message ?? '', new RegExp(`Deployment/${lost}/global-sidecar`))
    await withdrawnIs('gone', lost)
    await stage.eventually(async () => {
      const { items } = await stage.client.list(
        { apiVersion: 'v1', kind: 'Event', plural: 'events', namespaced: true },
        { namespace: stage.namespace },
      )
      assert.ok(
        items.some(
          ({ reason, type, involvedObject }) =>
            reason === 'CatchAllWithdrawn' && type === 'Warning' && (involvedObject as { name: string }).name === 'gone',
        ),
      )
    })
    // the repair of drift does not bring it back, nor does a restart
    await stage.client.mergePatch(refTo('Service', lost, 'global-sidecar'), { spec: { sessionAffinity: 'ClientIP' } }, 'kubectl-edit')
    await stage.eventually(async () =>
      assert.equal(
        ((await read(stage, refTo('Service', lost, 'global-sidecar')))['spec'] as { sessionAffinity: string }).sessionAffinity,
        'None',
      ),
    )
    assert.equal(await stage.client.get(catchAll(lost)), undefined)
    await replace(pods)
    await isReady(stage, 'gone')
    await read(stage, catchAll(lost))
    await withdrawnIs('gone')
    assert.equal((await read(stage, catchAll(kept))).metadata.uid, uid)
  })

  test('is withdrawn also while something else stands against the SlimeBoot, or its spec is invalid', async () => {
    const installation = await newInstallation(stage, 'against')
    const [app] = installation.apps as [string]
    const spec = specOf(installation)
    await createBoot(stage, 'against', spec)
    await isReady(stage, 'against')
    await changeSpec(stage, 'against', { ...spec, namespace: 'No Namespace' })
    await readyIs(stage, 'against', 'False', 'InvalidSpec')
    const pods = await lose(app)
    await stage.eventually(async () => assert.equal(await stage.client.get(catchAll(app)), undefined))
    await replace(pods)
    await changeSpec(stage, 'against', spec)
    await isReady(stage, 'against')
    await read(stage, catchAll(app))
  })

  test('a blip, a rollout and a suspended SlimeBoot keep the catch-all as it is', async () => {
    const installation = await newInstallation(stage, 'blip', 2)
    const [blip, suspended] = installation.apps as [string, string]
    await createBoot(stage, 'blip', specOf(installation))
    await isReady(stage, 'blip')
    const earlier = await Promise.all([blip, suspended].map(async (app) => (await read(stage, catchAll(app))).metadata.uid))
    await replace(await lose(blip))
    await isReady(stage, 'blip')
    // rolls its pods
    await changeSpec(stage, 'blip', specOf(installation, {}, { component: componentWith(specOf(installation), { cpu: '17m' }) }))
    await isReady(stage, 'blip')
    // longer than the 15 s, told by another SlimeBoot's withdrawal that starts later
    await annotate(stage, bootRef(stage, 'blip'), { 'config.netease.com/suspend': 'true' })
    await readyIs(stage, 'blip', 'Unknown', 'Suspended')
    const pods = await lose(suspended)
    const clock = await newInstallation(stage, 'clock')
    await createBoot(stage, 'clock', specOf(clock))
    await isReady(stage, 'clock')
    await lose(clock.apps[0]!)
    await withdrawnIs('clock', clock.apps[0]!)
    assert.deepEqual(await Promise.all([blip, suspended].map(async (app) => (await read(stage, catchAll(app))).metadata.uid)), earlier)
    await replace(pods)
    await annotate(stage, bootRef(stage, 'blip'), { 'config.netease.com/suspend': null })
    await isReady(stage, 'blip')
  })
})

test('what is withdrawn stays so over a restart of the operator, which says why; with a replica it comes back', async () => {
  const installation = await newInstallation(stage, 'restart')
  const [app] = installation.apps as [string]
  await createBoot(stage, 'restart', specOf(installation))
  await isReady(stage, 'restart')
  const pods = await lose(app)
  await withdrawnIs('restart', app)
  await stage.restart(async () => {
    // what the earlier process said is not on the way any more
    await stage.client.jsonPatch(bootRef(stage, 'restart'), [{ op: 'remove', path: '/status/conditions' }], 'test', 'status')
  })
  await readyIs(stage, 'restart', 'False', 'CatchAllWithdrawn')
  assert.equal(await stage.client.get(catchAll(app)), undefined)
  await replace(pods)
  await isReady(stage, 'restart')
  await read(stage, catchAll(app))
  assert.equal(conditionOf(await readBoot(stage, 'restart'), 'Ready').reason, 'Ready')
})

test('a process that starts while all replicas are gone gives them the whole time, then withdraws', async () => {
  const installation = await newInstallation(stage, 'late')
  const [app] = installation.apps as [string]
  await createBoot(stage, 'late', specOf(installation))
  await isReady(stage, 'late')
  await stage.restart(async () => void (await lose(app)))
  await withdrawnIs('late', app)
  await readyIs(stage, 'late', 'False', 'CatchAllWithdrawn')
})

function componentWith(spec: ReturnType<typeof specOf>, requests: { readonly cpu: string }): { globalSidecar: { [key: string]: any } } {
  const { globalSidecar } = spec['component'] as { globalSidecar: object }
  return { globalSidecar: { ...globalSidecar, resources: { requests } } }
}
