/** Callers that no Service of the fence's name tells of: Jobs, consumers, pods whose Service has another name. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SERVICE_FENCE } from '../../../lazyload/kinds.ts'
import { LOOPBACK, type LoggedRequest, LOOPBACK_MODULE, messageOf, openLogStream, OWN_ADDRESS } from '../../helpers/access-log.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { startFaultProxy } from '../../helpers/fault-proxy.ts'
import {
  conditionOf,
  createEndpoints,
  createFence,
  createGlobalSidecar,
  createService,
  dependenciesOf,
  fenceOf,
  type Lazyload,
  metricOf,
  sidecarOf,
  startLazyload,
} from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { putPod, removePod } from '../../helpers/pods.ts'
import { adminClient } from '../../helpers/stage.ts'

const FORBIDDEN = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', message: 'forbidden', code: 403 }
/** Pods are asked for again a few seconds after an answer that was empty, or refused. */
const SLOW = { timeout: 40_000 }
const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
let elsewhere: string
let lazyload: Lazyload

before(async () => {
  namespace = await createNamespace(cluster, 'jobs')
  elsewhere = await createNamespace(cluster, 'jobs-elsewhere')
  for (const name of ['details', 'reviews', 'ratings']) await createService(client, namespace, name)
  lazyload = await startLazyload(cluster, { namespaces: [namespace, elsewhere], config: LOOPBACK_MODULE })
})
after(async () => await lazyload.stop())

const host = (service: string): string => `${service}.${namespace}.svc.cluster.local`
const call = (directRemote: string, service: string): LoggedRequest => ({
  directRemote,
  upstreamCluster: `outbound|9080||${host(service)}`,
  authority: `${service}.${namespace}:9080`,
})
/** A fence, once lazyload has made its Sidecar. */
async function fence(name: string, labels?: Readonly<Record<string, string>>, where = namespace): Promise<void> {
  await createFence(client, where, name, { enable: true, ...(labels === undefined ? {} : { workloadSelector: { labels } }) })
  await eventually(async () => await sidecarOf(client, where, name))
}
async function send(...requests: readonly LoggedRequest[]): Promise<void> {
  const stream = openLogStream(await lazyload.logPort(), LOOPBACK)
  stream.send(messageOf(requests))
  await stream.end()
}
const learned = async (name: string, where = namespace): Promise<readonly string[]> => await dependenciesOf(client, where, name)
const entries = async (result: string, of = lazyload): Promise<number> =>
  await metricOf(of, `slime_lazyload_accesslog_entries_total{result="${result}"}`)
/** How often this lazyload has listed pods since then. */
const lists = async (since: Date): Promise<number> =>
  (await cluster.auditEvents(since)).filter(
    ({ user, resource, requestURI }) => user === lazyload.user && resource === 'pods' && requestURI.includes('podIP'),
  ).length

test('the first call of a Job teaches the fence that selects its pod by the default label, all that comes while it is looked up included', async () => {
  await fence('job')
  await putPod(cluster, { namespace, name: 'job-1', ip: '172.20.0.1', labels: { app: 'job' } })
  const since = new Date()
  await send(call('172.20.0.1', 'details'), call('172.20.0.1', 'reviews'), call('172.20.0.1', 'details'))
  await eventually(async () => assert.deepEqual(await learned('job'), ['details', 'reviews'].map(host)))
  const { status } = await fenceOf(client, namespace, 'job')
  assert.equal(status?.metricStatus?.[`{destination_service="${host('details')}"}`], '2')
  await eventually(async () => assert.equal(await lists(since), 1))
})

test('what is known already is not looked up again for a while', async () => {
  const since = new Date()
  const soFar = await entries('learnable')
  for (let count = 0; count < 20; count++) await send(call('172.20.0.1', 'details'))
  await eventually(async () => assert.equal(await entries('learnable'), soFar + 20))
  assert.ok((await lists(since)) <= 1)
})

test('a fence with labels of its own learns from the pods that have them all, also where a Service has the pods', async () => {
  await fence('consumer', { team: 'shop', tier: 'consumer' })
  await putPod(cluster, { namespace, name: 'consumer-1', ip: '172.20.0.2', labels: { team: 'shop', tier: 'consumer', extra: 'yes' } })
  await putPod(cluster, { namespace, name: 'consumer-2', ip: '172.20.0.3', labels: { team: 'shop', tier: 'web' } })
  await createService(client, namespace, 'metrics', {}, { team: 'shop' })
  await createEndpoints(client, namespace, 'metrics', ['172.20.0.2', '172.20.0.3'])
  await eventually(async () => {
    await send(call('172.20.0.2', 'details'), call('172.20.0.3', 'ratings'))
    assert.deepEqual(await learned('consumer'), [host('details')])
  })
})

test('where the selector of a Service says enough no pod is asked for', async () => {
  await createService(client, namespace, 'orders-svc', {}, { app: 'orders' })
  await createEndpoints(client, namespace, 'orders-svc', ['172.20.0.4'])
  await fence('orders')
  const since = new Date()
  await eventually(async () => {
    await send(call('172.20.0.4', 'details'))
    assert.deepEqual(await learned('orders'), [host('details')])
  })
  // team and tier of the fence above say nothing of these pods
  const asked = (await cluster.auditEvents(since)).filter(({ user, resource }) => user === lazyload.user && resource === 'pods')
  assert.ok(asked.every(({ requestURI }) => !requestURI.includes('172.20.0.1')))
})

test('a pod that has just finished teaches, one that finished long ago does not', async () => {
  await fence('short')
  await fence('old')
  await putPod(cluster, {
    namespace,
    name: 'short-1',
    ip: '172.20.0.5',
    labels: { app: 'short' },
    phase: 'Succeeded',
    finishedAt: new Date(),
  })
  const finishedAt = new Date(Date.now() - 60_000)
  await putPod(cluster, { namespace, name: 'old-1', ip: '172.20.0.6', labels: { app: 'old' }, phase: 'Failed', finishedAt })
  const soFar = await entries('no-source')
  await send(call('172.20.0.5', 'details'), call('172.20.0.6', 'details'))
  await eventually(async () => assert.deepEqual(await learned('short'), [host('details')]))
  await eventually(async () => assert.equal(await entries('no-source'), soFar + 1))
  assert.deepEqual(await learned('old'), [])
})

test('an address that another pod has by now teaches that one, not the earlier', async () => {
  await fence('former')
  await fence('latter')
  await putPod(cluster, { namespace, name: 'former-1', ip: '172.20.0.7', labels: { app: 'former' } })
  await send(call('172.20.0.7', 'details'))
  await eventually(async () => assert.deepEqual(await learned('former'), [host('details')]))
  await putPod(cluster, { namespace, name: 'former-1', ip: '172.20.0.7', phase: 'Succeeded', finishedAt: new Date() })
  await putPod(cluster, { namespace, name: 'latter-1', ip: '172.20.0.7', labels: { app: 'latter' } })
  await send(call('172.20.0.7', 'reviews'))
  await eventually(async () => assert.deepEqual(await learned('latter'), [host('reviews')]))
  assert.deepEqual(await learned('former'), [host('details')])
  await removePod(cluster, namespace, 'former-1')
})

test('the address of a node teaches nobody, and an address that nobody has is asked for only now and then', async () => {
  await fence('agent')
  await putPod(cluster, { namespace, name: 'agent-1', ip: '172.20.0.8', labels: { app: 'agent' }, hostNetwork: true })
  await putPod(cluster, { namespace, name: 'agent-2', ip: '172.20.0.8', labels: { app: 'agent' } })
  const since = new Date()
  const soFar = await entries('no-source')
  for (let count = 0; count < 20; count++) await send(call('172.20.0.8', 'details'), call('172.20.0.9', 'details'))
  await eventually(async () => assert.equal(await entries('no-source'), soFar + 40))
  assert.deepEqual(await learned('agent'), [])
  await putPod(cluster, { namespace, name: 'daemon-1', ip: '172.20.0.13', labels: { app: 'daemon' }, hostNetwork: true })
  await fence('daemon')
  await eventually(async () => {
    const { status, reason } = conditionOf(await fenceOf(client, namespace, 'daemon'), 'Learning')
    assert.deepEqual([status, reason], ['False', 'HostNetwork'])
  })
  // each address once; more only where that took longer than an answer is good for
  assert.ok((await lists(since)) <= 4)
})

test('a pod that calls the global-sidecar of another namespace teaches nobody', async () => {
  await createEndpoints(client, namespace, 'global-sidecar', [OWN_ADDRESS])
  await fence('visitor')
  await fence('visitor', undefined, elsewhere)
  await createService(client, elsewhere, 'front')
  await fence('front', undefined, elsewhere)
  await createEndpoints(client, elsewhere, 'front', ['172.20.0.11'])
  await putPod(cluster, { namespace: elsewhere, name: 'visitor-1', ip: '172.20.0.10', labels: { app: 'visitor' } })
  await using strict = await startLazyload(cluster, { namespaces: [namespace, elsewhere], user: `strict-${namespace}` })
  const stream = openLogStream(await strict.logPort())
  stream.send(messageOf([call('172.20.0.10', 'details'), call('172.20.0.11', 'details'), call('172.20.0.1', 'ratings')]))
  await stream.end()
  await eventually(async () => assert.deepEqual(await learned('job'), ['details', 'ratings', 'reviews'].map(host)))
  await eventually(async () => assert.equal(await entries('no-source', strict), 2))
  assert.deepEqual([await learned('visitor'), await learned('visitor', elsewhere), await learned('front', elsewhere)], [[], [], []])
  // and it is not even asked whose they are elsewhere
  const asked = (await cluster.auditEvents()).filter(
    ({ user, resource, requestURI }) => user === strict.user && resource === 'pods' && requestURI.includes('podIP'),
  )
  assert.ok(asked.length > 0 && asked.every(({ requestURI }) => requestURI.includes(`/namespaces/${namespace}/`)), strict.log())
})

test('where pods may not be listed the fences that need it say so, until they may', async () => {
  const blind = await createNamespace(cluster, 'jobs-blind')
  for (const name of ['shop', 'details']) await createService(client, blind, name)
  await createGlobalSidecar(client, blind)
  await using proxy = await startFaultProxy(cluster)
  proxy.inject(({ path }) => path.endsWith('/pods'), { answer: 403, body: FORBIDDEN })
  await using hindered = await startLazyload(
    { dir: cluster.dir, kubeconfigFor: proxy.kubeconfigFor },
    { namespaces: [blind], config: LOOPBACK_MODULE, globalSidecar: false },
  )
  for (const name of ['shop', 'task']) await fence(name, undefined, blind)
  await putPod(cluster, { namespace: blind, name: 'task-1', ip: '172.20.0.12', labels: { app: 'task' } })
  const sent = async (): Promise<void> => {
    const stream = openLogStream(await hindered.logPort(), LOOPBACK)
    stream.send(messageOf([{ ...call('172.20.0.12', 'details'), authority: '' }]))
    await stream.end()
  }
  const learning = async (name: string): Promise<readonly unknown[]> => {
    const { status, reason } = conditionOf(await fenceOf(client, blind, name), 'Learning')
    return [status, reason]
  }
  // said before anybody calls
  await eventually(async () => assert.deepEqual(await learning('task'), ['Unknown', 'PodsUnseen']))
  await sent()
  assert.deepEqual(await learning('shop'), ['True', 'Learning'])
  proxy.heal()
  await eventually(async () => {
    await sent()
    assert.deepEqual(await learned('task', blind), [host('details')])
  }, SLOW)
  await eventually(async () => assert.deepEqual(await learning('task'), ['True', 'Learning']))
})

test('a fence that is disabled is not looked for any more', async () => {
  await client.mergePatch({ type: SERVICE_FENCE, namespace, name: 'job' }, { spec: { enable: false } }, 'kubectl-edit')
  const soFar = await entries('no-source')
  await eventually(async () => {
    await send(call('172.20.0.1', 'orders-svc'))
    assert.ok((await entries('no-source')) > soFar)
  })
})
