/** Finalize: everything that was rendered is gone before the SlimeBoot is, whatever stands in the way. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CONFIG_MAP, NAMESPACE } from '../../operator/api/kinds.ts'
import { APPLIED_ANNOTATION, CATCH_ALL_ANNOTATION, FINALIZER, OWNED_ANNOTATION, OWNER_LABEL } from '../../operator/api/slimeboot.ts'
import type { KubeObject } from '../../runtime/object.ts'
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
  ownedObjects,
  read,
  readBoot,
  readyIs,
  refTo,
  setStage,
  specOf,
  type Stage,
} from '../helpers/stage.ts'

/** Many lists each time. */
const SELDOM = { timeout: 60_000, interval: 250 }

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'finalize')
})
after(async () => await stage[Symbol.asyncDispose]())

describe('a SlimeBoot that is deleted', { concurrency: true }, () => {
  test('is still there while anything of it is, and goes when all of it is gone, in every namespace', async () => {
    const installation = await newInstallation(stage, 'all', 3)
    const created = await createBoot(stage, 'all', specOf(installation, { source: 'accesslog' }))
    await isReady(stage, 'all')
    assert.deepEqual((await readBoot(stage, 'all')).metadata.finalizers, [FINALIZER])
    await stage.client.remove(bootRef(stage, 'all'))
    await stage.eventually(async () => {
      // asked for in this order: what was seen is older than the SlimeBoot's absence
      const left = await ownedIds(stage, 'all')
      const boot = await stage.client.get(bootRef(stage, 'all'))
      if (boot === undefined) assert.deepEqual(await ownedIds(stage, 'all'), [])
      assert.deepEqual({ left, uid: boot?.metadata.uid }, { left: [], uid: undefined }, created.metadata.uid)
    }, SELDOM)
  })

  test('takes the catch-all away first and the global-sidecar only after the mesh had time to learn it', async () => {
    const installation = await newInstallation(stage, 'order')
    await createBoot(stage, 'order', specOf(installation))
    await isReady(stage, 'order')
    const since = new Date()
    await stage.client.remove(bootRef(stage, 'order'))
    await isGone(stage, 'order')
    const deletes = (await stage.cluster.auditEvents(since)).filter(
      ({ user, verb, namespace }) =>
        user === stage.operator().user && verb === 'delete' && (namespace === installation.apps[0] || namespace === installation.home),
    )
    const order = deletes.map(({ resource, name }) => `${resource}/${name}`)
    const at = (what: string): number => order.indexOf(what)
    assert.equal(at('envoyfilters/to-global-sidecar'), 0, order.join('\n'))
    assert.ok(at('deployments/global-sidecar') < at('services/global-sidecar'), order.join('\n'))
    assert.ok(at('services/global-sidecar') < at('serviceaccounts/global-sidecar'), order.join('\n'))
    assert.ok(at('serviceaccounts/global-sidecar') < at('envoyfilters/global-sidecar-guard'), order.join('\n'))
    const received = (what: string): number => deletes[at(what)]!.requestReceivedTimestamp.getTime()
    const settled = received('deployments/global-sidecar') - received('envoyfilters/to-global-sidecar')
    assert.ok(settled >= 300, `${settled} ms of --mesh-settle 300ms`)
  })

  test('goes also when it is edited meanwhile', async () => {
    const installation = await newInstallation(stage, 'edited', 2)
    await createBoot(stage, 'edited', specOf(installation))
    await isReady(stage, 'edited')
    await stage.client.remove(bootRef(stage, 'edited'))
    await changeSpec(stage, 'edited', specOf(installation, { namespaces: [installation.apps[0]!] }))
    await annotate(stage, bootRef(stage, 'edited'), { note: 'still editing' })
    await isGone(stage, 'edited')
    assert.deepEqual(await ownedIds(stage, 'edited'), [])
  })

  test('goes also when its spec has become invalid, or was never valid', async () => {
    const installation = await newInstallation(stage, 'spoilt')
    await createBoot(stage, 'spoilt', specOf(installation, { mode: 'none' }))
    await isReady(stage, 'spoilt')
    await changeSpec(stage, 'spoilt', { ...specOf(installation, { mode: 'none' }), namespace: 'Not-A-Label' })
    await readyIs(stage, 'spoilt', 'False', 'InvalidSpec')
    await stage.client.remove(bootRef(stage, 'spoilt'))
    await isGone(stage, 'spoilt')
    assert.deepEqual(await ownedIds(stage, 'spoilt'), [])
    await createBoot(stage, 'never', {})
    await readyIs(stage, 'never', 'False', 'InvalidSpec')
    await stage.client.remove(bootRef(stage, 'never'))
    await isGone(stage, 'never')
  })

  test('goes also when a target namespace is terminating or gone', async () => {
    const installation = await newInstallation(stage, 'ending', 2)
    const [ending, gone] = installation.apps
    await createBoot(stage, 'ending', specOf(installation))
    await isReady(stage, 'ending')
    // held by a finalizer of somebody else, so that it stays terminating
    const hold = { type: CONFIG_MAP, namespace: ending!, name: 'hold' }
    await stage.client.create(CONFIG_MAP, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'hold', namespace: ending!, finalizers: ['example.com/hold'] },
    })
    await stage.client.remove({ type: NAMESPACE, name: ending! })
    await stage.client.remove({ type: NAMESPACE, name: gone! })
    await readyIs(stage, 'ending', 'False', 'NamespaceTerminating')
    await stage.client.remove(bootRef(stage, 'ending'))
    await isGone(stage, 'ending')
    assert.deepEqual(await ownedIds(stage, 'ending'), [])
    await stage.client.jsonPatch(hold, [{ op: 'remove', path: '/metadata/finalizers' }], 'test')
  })

  test('says what blocks it while a finalizer of somebody else holds an object, and goes when that lets go', async () => {
    const installation = await newInstallation(stage, 'blocked')
    await createBoot(stage, 'blocked', specOf(installation))
    await isReady(stage, 'blocked')
    const ref = refTo('Service', installation.apps[0], 'global-sidecar')
    await stage.client.mergePatch(ref, { metadata: { finalizers: ['example.com/hold'] } }, 'kubectl-edit')
    await stage.client.remove(bootRef(stage, 'blocked'))
    const ready = await readyIs(stage, 'blocked', 'False', 'DeleteBlocked')
    assert.match(ready.message ?? '', new RegExp(`Service/${installation.apps[0]}/global-sidecar: .*example.com/hold`))
    await stage.client.mergePatch(ref, { metadata: { finalizers: null } }, 'kubectl-edit')
    await isGone(stage, 'blocked')
    assert.deepEqual(await ownedIds(stage, 'blocked'), [])
  })

  test('with deletion-policy orphan leaves every object running and takes only its marks off', async () => {
    const installation = await newInstallation(stage, 'orphan')
    await createBoot(stage, 'orphan', specOf(installation, { source: 'accesslog' }))
    await isReady(stage, 'orphan')
    const owned = await ownedObjects(stage, 'orphan')
    await annotate(stage, bootRef(stage, 'orphan'), { 'config.netease.com/deletion-policy': 'orphan' })
    await stage.client.remove(bootRef(stage, 'orphan'))
    await isGone(stage, 'orphan')
    for (const object of owned) {
      const left = await read(stage, refTo(object.kind, object.metadata.namespace, object.metadata.name))
      assert.equal(left.metadata.uid, object.metadata.uid)
      assert.equal(left.metadata.deletionTimestamp, undefined)
      assert.deepEqual(marksOf(left), [], object.metadata.name)
      assert.deepEqual(left['spec'], object['spec'])
    }
    // and nobody takes them for orphans or repairs them
    await createBoot(stage, 'orphan', specOf(installation, { source: 'accesslog' }))
    await readyIs(stage, 'orphan', 'False', 'Conflict')
    await annotate(stage, bootRef(stage, 'orphan'), { 'config.netease.com/adopt': 'true' })
    await isReady(stage, 'orphan')
  })

  test('takes along what lost its label while the operator was away', async () => {
    await using own = await setStage(stage.cluster, 'finalize-away')
    const installation = await newInstallation(own, 'away')
    await createBoot(own, 'away', specOf(installation, { mode: 'none' }))
    await isReady(own, 'away')
    await own.restart(async () => {
      await own.client.mergePatch(
        refTo('Service', installation.home, installation.module),
        { metadata: { labels: { [OWNER_LABEL]: null } } },
        'kubectl-label',
      )
      await own.client.remove(bootRef(own, 'away'))
    })
    await isGone(own, 'away')
    assert.deepEqual(await ownedIds(own, 'away'), [])
  })
})

function marksOf({ metadata }: KubeObject): readonly string[] {
  const marks = [OWNED_ANNOTATION, APPLIED_ANNOTATION, CATCH_ALL_ANNOTATION].filter((name) => metadata.annotations?.[name] !== undefined)
  return metadata.labels?.[OWNER_LABEL] === undefined ? marks : [...marks, OWNER_LABEL]
}
