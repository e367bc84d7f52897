/** Orphans: what SlimeBoots left behind whose finalizer was taken off by hand. Found, told, and removed only when asked to. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { startCluster, type Cluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { EVENT } from '../../operator/api/kinds.ts'
import {
  annotate,
  bootRef,
  createBoot,
  type Installation,
  isGone,
  isReady,
  newInstallation,
  ownedIds,
  ownedObjects,
  readBoot,
  readyIs,
  setStage,
  specOf,
  type Stage,
} from '../helpers/stage.ts'
import { conditionOf, fenceOf } from '../helpers/lazyload.ts'
import { createServedFence } from '../helpers/served-fence.ts'

const MAIN = join(import.meta.dirname, '../../operator/cli/main.ts')

// of its own: prune-orphans looks at the whole cluster, and no other test's objects may go
let cluster: Cluster
let stage: Stage
before(async () => {
  cluster = await startCluster({ name: 'orphans' })
  await installCrds(cluster)
  stage = await setStage(cluster, 'orphans', { watchNamespaces: [] })
})
after(async () => {
  await stage[Symbol.asyncDispose]()
  await cluster.stop()
})

describe('objects without their SlimeBoot', () => {
  let installation: Installation
  before(async () => {
    const kept = await newInstallation(stage, 'kept')
    await createBoot(stage, 'kept', specOf(kept))
    installation = await newInstallation(stage, 'lost')
    await createBoot(stage, 'lost', specOf(installation))
    await Promise.all(['kept', 'lost'].map(async (name) => await isReady(stage, name)))
    await stage.restart(async () => {
      await stage.client.jsonPatch(bootRef(stage, 'lost'), [{ op: 'remove', path: '/metadata/finalizers' }], 'kubectl-edit')
      await stage.client.remove(bootRef(stage, 'lost'))
      await isGone(stage, 'lost')
    })
  })

  test('are left alone by the operator, which logs each of them once', async () => {
    const ids = await ownedIds(stage, 'lost')
    assert.ok(ids.length > 10)
    await stage.eventually(() => {
      const told = stage
        .operator()
        .log()
        .split('\n')
        .flatMap((line) => / warn +orphan object=(\S+)/.exec(line)?.[1] ?? [])
      assert.deepEqual(told.sort(), ids)
    })
  })

  test('are told once as an Event about the SlimeBoot that is gone, and counted in a metric', async () => {
    const ids = await ownedIds(stage, 'lost')
    const events = await stage.eventually(async () => {
      const { items } = await stage.client.list(EVENT, { namespace: stage.namespace, fieldSelector: 'involvedObject.name=lost' })
      const found = items.filter((event) => event['reason'] === 'Orphaned')
      assert.ok(found.length > 0)
      return found
    })
    assert.equal(events.length, 1)
    assert.match(
      String(events[0]!['message']),
      new RegExp(`\\(${ids.length}\\): ${ids[0]}, .* and ${ids.length - 5} more\\. "slimeboot prune-orphans`),
    )
    assert.equal(await orphanCount(), ids.length)
  })

  test('keep another SlimeBoot out of their namespace, which is told how to get rid of them', async () => {
    await createBoot(stage, 'next', specOf({ ...(await newInstallation(stage, 'next')), apps: installation.apps }))
    const { message } = await readyIs(stage, 'next', 'False', 'Conflict')
    assert.match(
      message ?? '',
      new RegExp(`EnvoyFilter/${installation.apps[0]}/to-global-sidecar belongs to SlimeBoot ${stage.namespace}/lost.*prune-orphans`),
    )
  })

  test('are listed by prune-orphans, and still there afterwards', async () => {
    const ids = await ownedIds(stage, 'lost')
    const output = await pruneOrphans()
    for (const id of ids) assert.match(output, new RegExp(`^${id} .*${stage.namespace}/lost`, 'm'))
    assert.doesNotMatch(output, /\/kept/)
    assert.match(output, new RegExp(`${ids.length} orphans`))
    assert.deepEqual(await ownedIds(stage, 'lost'), ids)
  })

  test('are deleted by prune-orphans --yes, and nothing else', async () => {
    const kept = await ownedIds(stage, 'kept')
    const [shop] = installation.apps as [string]
    await createServedFence(stage.client, shop, 'web')
    const since = new Date()
    assert.match(await pruneOrphans('--yes'), /waiting for the fences: 1 of 1 Sidecars let go/)
    assert.equal(conditionOf(await fenceOf(stage.client, shop, 'web'), 'Ready').reason, 'NotServed')
    const order = (await cluster.auditEvents(since))
      .filter(({ verb, namespace, code }) => verb === 'delete' && namespace === shop && code < 300)
      .map(({ resource, name }) => `${resource}/${name}`)
    assert.equal(order[0], 'sidecars/web', order.join())
    assert.deepEqual(await ownedIds(stage, 'lost'), [])
    assert.deepEqual(await ownedIds(stage, 'kept'), kept)
    assert.match(await pruneOrphans(), /No orphans/)
    await stage.eventually(async () => assert.equal(await orphanCount(), 0))
    // and their ports are free
    await isReady(stage, 'next', { timeout: 35_000 })
  })

  test('come back to a SlimeBoot that is restored under its name', async () => {
    const uids = new Set((await ownedObjects(stage, 'kept')).map(({ metadata }) => metadata.uid))
    const { spec } = (await readBoot(stage, 'kept')) as { readonly spec?: unknown }
    await stage.restart(async () => {
      await stage.client.jsonPatch(bootRef(stage, 'kept'), [{ op: 'remove', path: '/metadata/finalizers' }], 'kubectl-edit')
      await stage.client.remove(bootRef(stage, 'kept'))
      await isGone(stage, 'kept')
      await createBoot(stage, 'kept', spec as never)
    })
    await isReady(stage, 'kept')
    assert.deepEqual(new Set((await ownedObjects(stage, 'kept')).map(({ metadata }) => metadata.uid)), uids)
    await stage.client.remove(bootRef(stage, 'kept'))
    await isGone(stage, 'kept')
    assert.deepEqual(await ownedIds(stage, 'kept'), [])
  })

  test('are told of at once where the operator sees their SlimeBoot go', async () => {
    await createBoot(stage, 'forced', specOf(await newInstallation(stage, 'forced')))
    await isReady(stage, 'forced')
    const ids = await ownedIds(stage, 'forced')
    // suspended, it does not get its finalizer back
    await annotate(stage, bootRef(stage, 'forced'), { 'config.netease.com/suspend': 'true' })
    await readyIs(stage, 'forced', 'Unknown', 'Suspended')
    await stage.client.jsonPatch(bootRef(stage, 'forced'), [{ op: 'remove', path: '/metadata/finalizers' }], 'kubectl-edit')
    await stage.client.remove(bootRef(stage, 'forced'))
    await stage.eventually(
      () => {
        for (const id of ids) assert.match(stage.operator().log(), new RegExp(` warn +orphan object=${id} owner=${stage.namespace}/forced`))
      },
      { timeout: 5000 },
    )
  })
})

async function orphanCount(): Promise<number> {
  const text = await (await fetch(`${await stage.operator().healthServer()}/metrics`)).text()
  return Number(/^slimeboot_orphans (\d+)$/m.exec(text)?.[1])
}

async function pruneOrphans(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, 'prune-orphans', '--kubeconfig', cluster.kubeconfig, ...args])
  return stdout
}
