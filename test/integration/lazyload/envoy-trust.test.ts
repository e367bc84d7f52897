/** Who may teach, with a real Envoy: a header is not believed, and only global-sidecars are listened to, each for its own namespace. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFence, createGlobalSidecar, createService, dependenciesOf, type Lazyload, metricOf } from '../../helpers/lazyload.ts'
import { type Bookinfo, startBookinfo, untilEndpoint } from '../../helpers/mesh/bookinfo.ts'
import { createNamespace } from '../../helpers/namespace.ts'

const cluster = await sharedCluster()
let bookinfo: Bookinfo
let lazyload: Lazyload
let elsewhere: string
before(async () => {
  elsewhere = await createNamespace(cluster, 'elsewhere')
  bookinfo = await startBookinfo(cluster)
  // its own, which has no Envoy here
  await createGlobalSidecar(bookinfo.client, elsewhere)
  for (const name of ['productpage', 'ratings']) await createFence(bookinfo.client, bookinfo.namespace, name)
  lazyload = await bookinfo.startLazyload({ namespaces: [bookinfo.namespace, elsewhere] })
})
after(async () => await bookinfo[Symbol.asyncDispose]())

const LEARNABLE = 'slime_lazyload_accesslog_entries_total{result="learnable"}'
/** Sends a text to port 9080 of an address, prints the answer. */
const RAW_CALL = `
const [ip, text] = process.argv.slice(1)
const socket = require('node:net').connect(9080, ip, () => socket.write(text))
socket.pipe(process.stdout)
`
const learned = async (fence: string, namespace = bookinfo.namespace): Promise<readonly string[]> =>
  await dependenciesOf(bookinfo.client, namespace, fence)

test('a caller that forges x-forwarded-for teaches its own fence, not that of the pod whose address it writes', async () => {
  await using ratings = await bookinfo.network.createPod({ name: 'ratings-v1', namespace: bookinfo.namespace, labels: { app: 'ratings' } })
  await eventually(async () => {
    // that lazyload knows the other pod, too: its own call teaches it
    await bookinfo.call('details:9080', { from: ratings })
    assert.deepEqual(await learned('ratings'), [bookinfo.host('details')])
  })
  await bookinfo.call('reviews:9080', { headers: { 'x-forwarded-for': ratings.ip } })
  await eventually(async () => assert.deepEqual(await learned('productpage'), [bookinfo.host('reviews')]))
  assert.deepEqual(await learned('ratings'), [bookinfo.host('details')])
})

test('nor does any other header, or a header of the PROXY protocol, name the caller', async () => {
  await using ratings = await bookinfo.network.createPod({ name: 'ratings-v2', namespace: bookinfo.namespace, labels: { app: 'ratings' } })
  await untilEndpoint(bookinfo.client, bookinfo.namespace, 'ratings', ratings.ip)
  const soFar = await metricOf(lazyload, LEARNABLE)
  // what istiod's own proxies write: who the caller is, for the metrics of the called
  const metadata = Buffer.from(JSON.stringify({ NAME: 'ratings-v2', LABELS: { app: 'ratings' } })).toString('base64')
  const forged: readonly Readonly<Record<string, string>>[] = [
    { 'x-envoy-peer-metadata': metadata, 'x-envoy-peer-metadata-id': `sidecar~${ratings.ip}~ratings-v2.x~x.svc.cluster.local` },
    { forwarded: `for=${ratings.ip}` },
    {
      'x-real-ip': ratings.ip,
      'x-envoy-external-address': ratings.ip,
      'x-envoy-original-src-host': ratings.ip,
      'true-client-ip': ratings.ip,
    },
    { 'x-forwarded-for': `${ratings.ip}, ${ratings.ip}, 10.0.0.1`, 'x-envoy-internal': 'true' },
  ]
  for (const headers of forged) assert.equal((await bookinfo.call('reviews:9080', { headers })).status, 200)
  const { ip } = bookinfo.globalSidecar.pod
  const request = `GET / HTTP/1.1\r\nHost: reviews:9080\r\nConnection: close\r\n\r\n`
  const raw = `PROXY TCP4 ${ratings.ip} ${ip} 40000 9080\r\n${request}`
  const answer = await bookinfo.productpage.run(process.execPath, ['-e', RAW_CALL, ip, raw])
  assert.match(answer, /^HTTP\/1.1 400/)
  await eventually(async () => assert.ok((await metricOf(lazyload, LEARNABLE)) >= soFar + forged.length))
  assert.deepEqual(await learned('ratings'), [bookinfo.host('details')])
})

test('a pod that no Service has teaches the fence that selects it with its first call, whatever it forges', async () => {
  const { client, namespace } = bookinfo
  await createFence(client, namespace, 'job')
  await eventually(async () => assert.deepEqual(await learned('job'), []))
  await using job = await bookinfo.network.createPod({ name: 'job-1', namespace, labels: { app: 'job' } })
  await bookinfo.call('details:9080', { from: job, headers: { 'x-forwarded-for': bookinfo.productpage.ip } })
  await eventually(async () => assert.deepEqual(await learned('job'), [bookinfo.host('details')]))
  assert.equal((await learned('productpage')).includes(bookinfo.host('details')), false)
})

test('an Envoy that is no global-sidecar is refused, until it becomes one', async () => {
  await using other = await bookinfo.startEnvoy({ name: 'other', labels: { app: 'other' } })
  await bookinfo.call('ratings:9080', { through: other })
  await lazyload.logs(`access log refused: not from a global-sidecar address=${other.pod.ip}`)
  assert.deepEqual(await learned('productpage'), [bookinfo.host('reviews')])
  const { namespace } = bookinfo
  const path = `/api/v1/namespaces/${namespace}/pods/${other.pod.name}`
  const labels = { metadata: { labels: { app: 'qz-ingress' } } }
  await cluster.request('PATCH', path, { body: labels, contentType: 'application/merge-patch+json' })
  await eventually(async () => {
    await bookinfo.call('ratings:9080', { through: other })
    assert.deepEqual(await learned('productpage'), ['ratings', 'reviews'].map(bookinfo.host))
  })
})

test('a global-sidecar teaches nothing to the fences of a namespace that it does not serve', async () => {
  await createService(bookinfo.client, elsewhere, 'front')
  await createFence(bookinfo.client, elsewhere, 'front')
  await using front = await bookinfo.network.createPod({ name: 'front-v1', namespace: elsewhere, labels: { app: 'front' } })
  await untilEndpoint(bookinfo.client, elsewhere, 'front', front.ip)
  await eventually(async () => assert.deepEqual(await learned('front', elsewhere), []))
  await bookinfo.call(`details.${bookinfo.namespace}:9080`, { from: front })
  // a later entry of the same stream shows that the earlier one was read
  await bookinfo.call('details:9080')
  await eventually(async () => assert.ok((await learned('productpage')).includes(bookinfo.host('details'))))
  assert.deepEqual(await learned('front', elsewhere), [])
})
