/** One that always fails, one that loses the lead, one that is undone by others: each for itself, in bounds, at nobody else's cost. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { ClusterAccess } from '../../../local-cluster/access.ts'
import { CONFIG_MAP } from '../../../operator/api/kinds.ts'
import { render } from '../../../operator/render/render.ts'
import { buildValues } from '../../../operator/spec/build-values.ts'
import { objectId } from '../../../runtime/object.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { type Exchange, isWrite, startFaultProxy } from '../../helpers/fault-proxy.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import type { OperatorProcess } from '../../helpers/operator-process.ts'
import { type Replica, startReplica } from '../../helpers/replica.ts'
import {
  adminClient,
  annotate,
  bootRef,
  conditionOf,
  createBoot,
  isGone,
  isReady,
  newInstallation,
  ownedIds,
  readyIs,
  reconcileAgain,
  setStage,
  specOf,
  summaryOf,
  writes,
} from '../../helpers/stage.ts'

const PATIENT = { timeout: 90_000 }

let cluster: ClusterAccess
before(async () => {
  cluster = await sharedCluster()
})

test('a SlimeBoot that always fails is tried more and more rarely, says so once, and slows no other', async () => {
  await using proxy = await startFaultProxy(cluster)
  await using stage = await setStage(cluster, 'sick', { through: proxy, args: ['--workers', '1'] })
  const sick = await newInstallation(stage, 'sick', 0)
  const ofSick = ({ method, path }: Exchange): boolean => method === 'PATCH' && path.includes(`/namespaces/${sick.home}/deployments/`)
  proxy.inject(ofSick, { answer: 500 })
  await createBoot(stage, 'sick', specOf(sick, { mode: 'none' }))
  const tries = (): readonly Exchange[] => proxy.exchanges.filter(ofSick)
  await stage.eventually(() => assert.ok(tries().length >= 2))
  for (const name of ['well-1', 'well-2', 'well-3']) {
    await createBoot(stage, name, specOf(await newInstallation(stage, name, 0), { mode: 'none' }))
    await isReady(stage, name)
  }
  await stage.eventually(() => assert.ok(tries().length >= 6), PATIENT)
  // the first ones may come together: what the first has written is heard by the watch
  const waits = tries()
    .slice(2, 6)
    .map((attempt, index) => attempt.at - tries()[index + 1]!.at)
  // a busy machine makes them longer
  for (const [index, ms] of waits.entries()) assert.ok(ms >= 450 * 2 ** index, `too soon: ${waits.map(Math.round).join(', ')} ms`)

  const ready = await readyIs(stage, 'sick', 'False', 'ApiServerError')
  assert.match(ready.message ?? '', new RegExp(`Deployment/${sick.home}/${sick.module}: apply refused`))
  const told = proxy.exchanges.filter(({ path }) => path.endsWith('/slimeboots/sick/status'))
  assert.ok(told.length <= 3, `${told.length} status writes`)
  proxy.heal()
  await reconcileAgain(stage, 'sick')
  await isReady(stage, 'sick')
})

test('while a reconcile hangs the watches hear on: what changes meanwhile is in the cache and in the queue, and comes next', async () => {
  await using proxy = await startFaultProxy(cluster)
  await using stage = await setStage(cluster, 'hangs', { through: proxy, args: ['--workers', '1'] })
  const hangs = await newInstallation(stage, 'hangs', 0)
  const waits = await newInstallation(stage, 'waits', 0)
  const ofHangs = ({ method, path }: Exchange): boolean => method === 'PATCH' && path.includes(`/namespaces/${hangs.home}/deployments/`)
  proxy.inject(ofHangs, { stall: 'headers' }, 1)
  await createBoot(stage, 'hangs', specOf(hangs, { mode: 'none' }))
  await stage.eventually(() => assert.ok(proxy.exchanges.some(ofHangs)))
  await createBoot(stage, 'waits', specOf(waits, { mode: 'none' }))
  const valueOf = async (series: string): Promise<number> => await metricOf(stage.operator(), series)
  await stage.eventually(async () => assert.equal(await valueOf('slimeboot_watch_objects{resource="slimeboots.config.netease.com"}'), 2))
  assert.equal(await valueOf('workqueue_depth{name="slimeboot",controller="slimeboot"}'), 1)
  assert.equal(await valueOf('controller_runtime_active_workers{controller="slimeboot"}'), 1)
  // the connection that hangs is reset at last
  proxy.cut()
  for (const name of ['hangs', 'waits']) await isReady(stage, name)
})

test('writes of status, Events and metadata that say nothing to us set nothing in motion', async () => {
  const namespace = await createNamespace(cluster, 'unmoved')
  const stage = { cluster, client: adminClient(cluster), namespace, eventually }
  await using replica = startReplica(cluster, { name: namespace, namespace, args: ['--leader-elect=false'] })
  await replica.logs('watching')
  const boot = { ...stage, operator: () => assert.fail(), restart: () => assert.fail(), [Symbol.asyncDispose]: async () => {} }
  await createBoot(stage, 'quiet', specOf(await newInstallation(stage, 'quiet', 0), { mode: 'none' }))
  await isReady(boot, 'quiet', PATIENT)
  // its own last status write is over: nothing follows from it
  const settledAt = await settled(replica)
  for (let count = 0; count < 10; count++) {
    await stage.client.mergePatch(bootRef(stage, 'quiet'), { status: { moduleNames: `others-${count}` } }, 'somebody', 'status')
    await stage.client.mergePatch(bootRef(stage, 'quiet'), { metadata: { labels: { count: `${count}` } } }, 'somebody')
  }
  assert.equal(await settled(replica), settledAt)
  await annotate(boot, bootRef(stage, 'quiet'), { 'config.netease.com/reconcile-at': 'now' })
  await eventually(async () => assert.equal(await reconciles(replica), settledAt + 1), PATIENT)
})

test('an object that somebody deletes whenever it appears is made anew ten times, not for ever, and Contested says so', async () => {
  await using stage = await setStage(cluster, 'undone')
  const installation = await newInstallation(stage, 'undone', 0)
  const configMap = { type: CONFIG_MAP, namespace: installation.home, name: installation.module }
  const since = new Date()
  await createBoot(stage, 'undone', specOf(installation, { mode: 'none' }))
  await stage.eventually(
    async () => {
      await stage.client.remove(configMap)
      const ready = conditionOf((await stage.client.get(bootRef(stage, 'undone')))!, 'Ready')
      assert.equal(ready.reason, 'Contested')
      assert.match(ready.message ?? '', new RegExp(`ConfigMap/${installation.home}/${installation.module} is deleted again and again`))
    },
    { ...PATIENT, interval: 20 },
  )
  const made = (await writes(stage, since)).filter(
    ({ resource, namespace }) => resource === 'configmaps' && namespace === installation.home,
  )
  assert.equal(made.length, 10, summaryOf(made).join('\n'))
  await stage.client.remove(bootRef(stage, 'undone'))
  await isGone(stage, 'undone')
})

test('a leader that loses the Lease in the middle of an install exits, and the next one finishes it; nothing is written twice', async () => {
  const namespace = await createNamespace(cluster, 'lost')
  const stage = { cluster, client: adminClient(cluster), namespace, eventually }
  await using proxy = await startFaultProxy(cluster)
  const args = ['--lease-duration', '6s', '--renew-deadline', '5s', '--retry-period', '500ms']
  await using first = startReplica(proxy, { name: `${namespace}-a`, namespace, args })
  await first.logs('watching')
  await using second = startReplica(cluster, { name: `${namespace}-b`, namespace, args })
  await second.logs('standing by')

  const installation = await newInstallation(stage, 'lost')
  proxy.inject(({ path }) => path.includes('/leases/'), { stall: 'headers' })
  // two objects are written, the third never arrives
  let written = 0
  proxy.inject((exchange) => isWrite(exchange) && exchange.query.get('fieldManager') !== null && written++ >= 3, { stall: 'headers' })
  await createBoot(stage, 'lost', specOf(installation, { source: 'accesslog' }))
  assert.equal(await first.exited, 1, first.log())
  await first.logs('lease lost')
  const since = new Date()
  await second.logs('leading')
  await eventually(async () => {
    const boot = await stage.client.get(bootRef(stage, 'lost'))
    const ready = ((boot?.['status'] as { conditions?: readonly { type: string; status: string }[] } | undefined)?.conditions ?? []).find(
      ({ type }) => type === 'Ready',
    )
    assert.equal(ready?.status, 'True', second.log())
  }, PATIENT)
  const boot = (await stage.client.get(bootRef(stage, 'lost')))!
  const expected = render(buildValues(boot)).map(({ object }) => objectId(object))
  assert.deepEqual(await ownedIds(stage, 'lost'), expected.toSorted())

  const sent = (await cluster.auditEvents()).filter(({ user, verb }) => verb === 'patch' && [first.user, second.user].includes(user))
  assert.deepEqual(
    summaryOf(sent.filter(({ user, requestReceivedTimestamp }) => user === first.user && requestReceivedTimestamp > since)),
    [],
  )
  const objects = sent.filter(({ resource, code }) => resource !== 'slimeboots' && code < 300)
  assert.equal(new Set(summaryOf(objects).map((line) => line.replace(/ \d+$/, ''))).size, objects.length, summaryOf(objects).join('\n'))
})

/** Reconciles so far, once their number stays. */
async function settled(replica: Replica): Promise<number> {
  let last = -1
  return await eventually(
    async () => {
      const now = await reconciles(replica)
      const same = now === last
      last = now
      assert.ok(same, 'it goes on')
      return now
    },
    { timeout: 60_000, interval: 1500 },
  )
}

async function reconciles(replica: Replica): Promise<number> {
  const counts = (await metricsOf(replica)).matchAll(/^controller_runtime_reconcile_total\{.*\} (\d+)$/gm)
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
}

async function metricOf(operator: OperatorProcess, series: string): Promise<number> {
  const line = (await metricsOf(operator)).split('\n').find((each) => each.startsWith(`${series} `))
  return Number(line?.slice(series.length + 1))
}

async function metricsOf(operator: OperatorProcess): Promise<string> {
  return await (await fetch(`${await operator.healthServer()}/metrics`)).text()
}
