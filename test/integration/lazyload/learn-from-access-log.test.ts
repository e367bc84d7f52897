/** The tutorial's way with the access log: a fence, a call through the global-sidecar, a learned host, a wider Sidecar. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { status as code } from '@grpc/grpc-js'
import { LOOPBACK, LOOPBACK_MODULE, messageOf, openLogStream } from '../../helpers/access-log.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import {
  createEndpoints,
  createFence,
  createService,
  fenceOf,
  hostsOf,
  type Lazyload,
  sidecarOf,
  startLazyload,
} from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
let lazyload: Lazyload
before(async () => {
  namespace = await createNamespace(cluster, 'learn')
  for (const name of ['productpage', 'details', 'reviews']) await createService(client, namespace, name)
  await createEndpoints(client, namespace, 'productpage', ['172.17.0.11'])
  lazyload = await startLazyload(cluster, { namespaces: [namespace], config: LOOPBACK_MODULE })
})
after(async () => await lazyload.stop())

const constant = (): readonly string[] => ['istio-system/*', 'mesh-operator/*', `*/global-sidecar.${namespace}.svc.cluster.local`]
const call = (host: string): { directRemote: string; upstreamCluster: string; authority: string } => ({
  directRemote: '172.17.0.11',
  upstreamCluster: `outbound|9080||${host}.${namespace}.svc.cluster.local`,
  authority: `${host}:9080`,
})

test("a new fence gets the tutorial's Sidecar, owned by the fence", async () => {
  const fence = await createFence(client, namespace, 'productpage')
  const sidecar = await eventually(async () => await sidecarOf(client, namespace, 'productpage'))
  assert.deepEqual(sidecar['spec'], { egress: [{ hosts: constant() }], workloadSelector: { labels: { app: 'productpage' } } })
  assert.deepEqual(sidecar.metadata.ownerReferences, [
    {
      apiVersion: 'microservice.slime.io/v1alpha1',
      kind: 'ServiceFence',
      name: 'productpage',
      uid: fence.metadata.uid,
      controller: true,
      blockOwnerDeletion: true,
    },
  ])
  await eventually(async () => assert.equal((await fenceOf(client, namespace, 'productpage')).status?.hosts, 0))
})

test('calls that a global-sidecar logs are learned, and widen the Sidecar, in one write each', async () => {
  const since = new Date()
  const stream = openLogStream(await lazyload.logPort(), LOOPBACK)
  stream.send(messageOf([call('details'), call('reviews'), call('reviews')], 60_000))
  await eventually(async () => {
    assert.deepEqual(hostsOf(await sidecarOf(client, namespace, 'productpage')), [
      `*/details.${namespace}.svc.cluster.local`,
      `*/reviews.${namespace}.svc.cluster.local`,
      ...constant(),
    ])
  })
  await eventually(async () => {
    const { status } = await fenceOf(client, namespace, 'productpage')
    assert.deepEqual(status?.metricStatus, {
      [`{destination_service="details.${namespace}.svc.cluster.local"}`]: '1',
      [`{destination_service="reviews.${namespace}.svc.cluster.local"}`]: '2',
    })
    assert.deepEqual(Object.keys(status?.domains ?? {}), [
      `details.${namespace}.svc.cluster.local`,
      `reviews.${namespace}.svc.cluster.local`,
    ])
    assert.equal(status?.hosts, 2)
    const domain = status?.domains?.[`details.${namespace}.svc.cluster.local`]
    assert.deepEqual([domain?.status, domain?.source, domain?.hosts], ['ACTIVE', 'accesslog', [`details.${namespace}.svc.cluster.local`]])
  })
  await stream.end()
  const writes = (await cluster.auditEvents(since)).filter(({ user, verb }) => user === lazyload.user && verb === 'patch')
  assert.deepEqual(
    writes.map(({ resource }) => resource),
    ['servicefences', 'sidecars'],
  )
})

test('the same calls again change nothing', async () => {
  const { metadata } = await fenceOf(client, namespace, 'productpage')
  const sidecar = await sidecarOf(client, namespace, 'productpage')
  const since = new Date()
  const stream = openLogStream(await lazyload.logPort(), LOOPBACK)
  for (let count = 0; count < 50; count++) stream.send(messageOf([call('details'), call('reviews')]))
  await stream.end()
  const writes = (await cluster.auditEvents(since)).filter(
    ({ user, verb }) => user === lazyload.user && !['get', 'list', 'watch'].includes(verb),
  )
  assert.deepEqual(writes, [])
  assert.equal((await fenceOf(client, namespace, 'productpage')).metadata.resourceVersion, metadata.resourceVersion)
  assert.equal((await sidecarOf(client, namespace, 'productpage')).metadata.resourceVersion, sidecar.metadata.resourceVersion)
})

test('what is learned survives a restart, without a write', async () => {
  const sidecar = await sidecarOf(client, namespace, 'productpage')
  await lazyload.stop()
  const since = new Date()
  lazyload = await startLazyload(cluster, { namespaces: [namespace], config: LOOPBACK_MODULE })
  await lazyload.logs('working')
  await eventually(async () => assert.equal((await lazyload.get('/modules/readyz')).status, 200))
  assert.equal((await sidecarOf(client, namespace, 'productpage')).metadata.resourceVersion, sidecar.metadata.resourceVersion)
  const writes = (await cluster.auditEvents(since)).filter(
    ({ user, verb }) => user === lazyload.user && !['get', 'list', 'watch'].includes(verb),
  )
  assert.deepEqual(writes, [])
})

test('a stream from an address that is not a global-sidecar is refused, and teaches nothing', async () => {
  await using strict = await startLazyload(cluster, { namespaces: [namespace] })
  const stream = openLogStream(await strict.logPort(), LOOPBACK)
  stream.send(messageOf([call('ratings')]))
  const error = await stream.ended
  assert.equal(error?.code, code.PERMISSION_DENIED)
  assert.equal((await fenceOf(client, namespace, 'productpage')).status?.hosts, 2)
})
