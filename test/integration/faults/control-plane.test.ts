/** The control plane fails under the running operator: it lives on, and does what is to be done as soon as it can. On a cluster of its own. */
import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cluster, startCluster } from '../../../local-cluster/cluster.ts'
import { installCrds } from '../../../local-cluster/crds.ts'
import { CONFIG_MAP } from '../../../operator/api/kinds.ts'
import { createInformer } from '../../../runtime/informer.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import { LONG } from '../../helpers/seed.ts'
import {
  adminClient,
  bootRef,
  changeSpec,
  createBoot,
  type Installation,
  isGone,
  isReady,
  newInstallation,
  ownedIds,
  read,
  readyIs,
  setStage,
  specOf,
  type Stage,
} from '../../helpers/stage.ts'

/** How long the API server is away. */
const AWAY_MS = LONG ? 30_000 : 4000
/** The longest that a watch waits for its next attempt, and what a busy machine adds. */
const HEALED = { timeout: 90_000 }
const CRD: ResourceType = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
}

let cluster: Cluster
let stage: Stage
let installation: Installation
before(async () => {
  cluster = await startCluster({ name: 'faults' })
  await installCrds(cluster)
  stage = await setStage(cluster, 'faults')
  installation = await newInstallation(stage, 'steady')
  await createBoot(stage, 'steady', specOf(installation))
  await isReady(stage, 'steady')
})
after(async () => {
  await stage?.[Symbol.asyncDispose]()
  await cluster?.stop()
})

test(`the API server is killed in the middle of an apply and away for ${AWAY_MS / 1000} s`, async () => {
  const { pid } = stage.operator()
  await changeSpec(stage, 'steady', specOf(installation, { source: 'accesslog' }))
  await cluster.stopPart('kube-apiserver')
  await sleep(AWAY_MS)
  await cluster.startPart('kube-apiserver')
  // what was interrupted is finished without another change
  await isReady(stage, 'steady', HEALED)
  await isServed(stage.operator().pid === pid)
})

test('etcd is killed and started again', async () => {
  await cluster.stopPart('etcd')
  await sleep(2000)
  await cluster.startPart('etcd')
  await isServed()
})

test("Istio's CRD of EnvoyFilters is deleted and comes back: others are served meanwhile, and everything is there again", async () => {
  const expected = await ownedIds(stage, 'steady')
  assert.ok(expected.some((id) => id.startsWith('EnvoyFilter/')))
  await stage.client.remove({ type: CRD, name: 'envoyfilters.networking.istio.io' })
  const ready = await readyIs(stage, 'steady', 'False', 'KindMissing', HEALED)
  assert.match(ready.message ?? '', /EnvoyFilter/)
  await createBoot(stage, 'other', specOf(await newInstallation(stage, 'other', 0), { mode: 'none' }))
  await isReady(stage, 'other')
  await installCrds(cluster)
  await isReady(stage, 'steady', HEALED)
  assert.deepEqual(await ownedIds(stage, 'steady'), expected)
})

test('our own CRD is deleted, which deletes every SlimeBoot with all that is installed; when it is back the next one is served', async () => {
  await stage.client.remove({ type: CRD, name: 'slimeboots.config.netease.com' })
  await stage.eventually(
    async () => assert.equal(await stage.client.get({ type: CRD, name: 'slimeboots.config.netease.com' }), undefined),
    HEALED,
  )
  assert.deepEqual(await ownedIds(stage, 'steady'), [])
  await installCrds(cluster, { istio: false })
  await createBoot(stage, 'steady', specOf(installation))
  await isReady(stage, 'steady', HEALED)
  await isServed()
})

test('etcd is restored from a backup: what was written since then is forgotten, also by those who watched', async () => {
  const client = adminClient(cluster)
  const { home: namespace } = installation
  const timing = { inactivityMs: 3000, backoffMs: 100, maxBackoffMs: 1000 }
  const informer = createInformer({ client, type: CONFIG_MAP, namespace, timing })
  const stop = new AbortController()
  const running = informer.run(stop.signal)
  const holds = async (expected: Readonly<Record<string, string>>): Promise<void> =>
    await stage.eventually(() => {
      const held = [...informer.values()].filter(({ metadata }) => metadata.name.startsWith('note-'))
      assert.deepEqual(
        Object.fromEntries(held.map((object) => [object.metadata.name, (object['data'] as { text: string }).text])),
        expected,
      )
    }, HEALED)
  const put = async (name: string, text: string): Promise<void> =>
    void (await client.apply(
      CONFIG_MAP,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { text } },
      { fieldManager: 'test' },
    ))

  await put('note-a', 'early')
  await put('note-c', 'early')
  const data = join(cluster.dir, 'etcd')
  const backup = join(cluster.dir, 'etcd-backup')
  await offline(() => cpSync(data, backup, { recursive: true }))
  for (let count = 0; count < 50; count++) await put('note-b', `late ${count}`)
  await put('note-a', 'late')
  await client.remove({ type: CONFIG_MAP, namespace, name: 'note-c' })
  await holds({ 'note-a': 'late', 'note-b': 'late 49' })
  await offline(() => {
    rmSync(data, { recursive: true })
    cpSync(backup, data, { recursive: true })
  })
  await holds({ 'note-a': 'early', 'note-c': 'early' })
  await put('note-a', 'anew')
  await holds({ 'note-a': 'anew', 'note-c': 'early' })
  stop.abort()
  await running
  if (!LONG) return
  // the operator does so too, within the time after which a silent watch counts as dead; these remember what never happened for ever
  for (const part of ['kube-controller-manager', 'kube-scheduler', 'kwok'] as const) await cluster.startPart(part)
  await sleep(160_000)
  await isServed()
})

/** Runs `work` while neither API server nor etcd does. */
async function offline(work: () => void): Promise<void> {
  await cluster.stopPart('kube-apiserver')
  // in peace: what it has stored must be on the disk
  await cluster.stopPart('etcd', 'SIGTERM')
  work()
  await cluster.startPart('etcd')
  await cluster.startPart('kube-apiserver')
}

/** The operator sees changes of SlimeBoots and of objects again, and no Ready is wrong. */
async function isServed(same = true): Promise<void> {
  assert.ok(same, 'the operator was restarted')
  const spec = specOf(
    installation,
    { source: 'accesslog' },
    { service: { port: 8000 + Math.floor(Math.random() * 1000), logSourcePort: 8082 } },
  )
  await changeSpec(stage, 'steady', spec)
  await isReady(stage, 'steady', HEALED)
  const configMap = { type: CONFIG_MAP, namespace: installation.home, name: installation.module }
  const { uid } = (await read(stage, configMap)).metadata
  await stage.client.remove(configMap)
  await stage.eventually(async () => assert.notEqual((await read(stage, configMap)).metadata.uid, uid), HEALED)
  await createBoot(stage, 'short', specOf(await newInstallation(stage, 'short', 0), { mode: 'none' }))
  await isReady(stage, 'short', HEALED)
  await stage.client.remove(bootRef(stage, 'short'))
  await isGone(stage, 'short', HEALED)
}
