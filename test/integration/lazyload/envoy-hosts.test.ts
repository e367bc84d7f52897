/** Which host a call through a real Envoy teaches: external ones, those on several ports, in subsets, and those that routes lead elsewhere. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SERVICE_ENTRY, VIRTUAL_SERVICE } from '../../../lazyload/kinds.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFence, createService, dependenciesOf, type Lazyload, metricOf } from '../../helpers/lazyload.ts'
import { type Bookinfo, startBookinfo } from '../../helpers/mesh/bookinfo.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const cluster = await sharedCluster()
let bookinfo: Bookinfo
let lazyload: Lazyload
before(async () => {
  const namespace = await createNamespace(cluster, 'hosts')
  const host = (service: string): string => `${service}.${namespace}.svc.cluster.local`
  const client = adminClient(cluster)
  for (const service of ['two', 'reviews', 'old', 'new']) await createService(client, namespace, service)
  for (const [type, name, spec] of [
    // seen by this namespace only: what others must keep is in the Sidecars of all tests
    [
      SERVICE_ENTRY,
      'example',
      { hosts: ['www.example.com'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'DNS', exportTo: ['.'] },
    ],
    [VIRTUAL_SERVICE, 'old', { hosts: [host('old')], http: [{ route: [{ destination: { host: host('new') } }] }] }],
  ] as const)
    await client.create(type, { apiVersion: type.apiVersion, kind: type.kind, metadata: { name, namespace }, spec }, 'kubectl-create')
  bookinfo = await startBookinfo(cluster, {
    namespace,
    services: ['details'],
    others: [
      { host: 'www.example.com', ports: [80] },
      { host: host('two'), ports: [80, 9080] },
      { host: host('reviews'), ports: [9080], subset: 'v2' },
      { host: host('old'), ports: [9080], routedTo: host('new') },
    ],
  })
  await createFence(client, namespace, 'productpage')
  lazyload = await bookinfo.startLazyload()
})
after(async () => await bookinfo[Symbol.asyncDispose]())

async function learns(authority: string, port: number, expected: readonly string[]): Promise<void> {
  assert.equal((await bookinfo.call(authority, { port })).status, 200)
  await eventually(async () => assert.deepEqual(await dependenciesOf(bookinfo.client, bookinfo.namespace, 'productpage'), expected))
}

test('a host outside of the cluster is learned as it is, whatever port the call names', async () => {
  await learns('www.example.com:80', 80, ['www.example.com'])
})

test('a Service is learned once, on whichever ports it is called, and in a subset under its own name', async () => {
  const { host } = bookinfo
  await learns('two:9080', 9080, [host('two'), 'www.example.com'])
  const entries = async (): Promise<number> => await metricOf(lazyload, 'slime_lazyload_accesslog_entries_total{result="learnable"}')
  const soFar = await entries()
  await bookinfo.call(host('two'), { port: 80 })
  await eventually(async () => assert.equal(await entries(), soFar + 1))
  await learns('reviews', 9080, [host('reviews'), host('two'), 'www.example.com'])
})

test('a host whose calls a VirtualService sends elsewhere is learned with the host that they go to', async () => {
  const { host } = bookinfo
  await learns('old', 9080, [host('new'), host('old'), host('reviews'), host('two'), 'www.example.com'])
})

test('a Service for which the global-sidecar has no route gets 404, and is learned all the same', async () => {
  const { client, namespace, host } = bookinfo
  // its global-sidecar knows neither: they are exported to nobody, or no HTTP
  for (const name of ['hidden', 'headless']) await createService(client, namespace, name)
  assert.equal((await bookinfo.call('hidden:9080')).status, 404)
  assert.equal((await bookinfo.call(`pod-0.${host('headless')}:9080`)).status, 404)
  const known = [host('new'), host('old'), host('reviews'), host('two'), 'www.example.com']
  await eventually(async () =>
    assert.deepEqual(await dependenciesOf(client, namespace, 'productpage'), [host('headless'), host('hidden'), ...known]),
  )
})

test('a host that nobody knows gets 404 and is not learned', async () => {
  const { client, namespace, host } = bookinfo
  assert.equal((await bookinfo.call('unknown.example.com')).status, 404)
  const known = ['headless', 'hidden', 'new', 'old', 'reviews', 'two'].map(host)
  await learns('details:9080', 9080, [host('details'), ...known, 'www.example.com'])
  assert.equal(await metricOf(lazyload, 'slime_lazyload_accesslog_entries_total{result="no-destination"}'), 1)
  assert.equal((await dependenciesOf(client, namespace, 'productpage')).includes('unknown.example.com'), false)
})
