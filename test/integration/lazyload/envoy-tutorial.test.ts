/** The tutorial's example with a real Envoy as global-sidecar: acceptance steps 5, 7, 8 and 10. In namespace `default`, as there. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { SERVICE, SERVICE_FENCE, SIDECAR } from '../../../lazyload/kinds.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { dependenciesOf, fenceOf, type Lazyload, metricOf, sidecarOf } from '../../helpers/lazyload.ts'
import { type Bookinfo, startBookinfo } from '../../helpers/mesh/bookinfo.ts'

const NAMESPACE = 'default'
const CALLS_AGAIN = 30
const cluster = await sharedCluster()
let bookinfo: Bookinfo
let lazyload: Lazyload
before(async () => {
  bookinfo = await startBookinfo(cluster, { namespace: NAMESPACE })
  lazyload = await bookinfo.startLazyload()
})
after(async () => {
  const { client } = bookinfo
  await client.remove({ type: SERVICE_FENCE, namespace: NAMESPACE, name: 'productpage' })
  await eventually(async () => assert.equal(await client.get({ type: SIDECAR, namespace: NAMESPACE, name: 'productpage' }), undefined))
  await bookinfo[Symbol.asyncDispose]()
  for (const name of ['details', 'reviews', 'ratings', 'productpage', 'global-sidecar'])
    await client.remove({ type: SERVICE, namespace: NAMESPACE, name })
})

const kubectl = async (...args: readonly string[]): Promise<string> =>
  (await promisify(execFile)('kubectl', ['--kubeconfig', cluster.kubeconfig, '--namespace', NAMESPACE, ...args])).stdout
/** What the tutorial does with `kubectl get sidecar productpage -oyaml`, under the version that it shows. */
const listing = async (): Promise<string> =>
  withoutVariables(await kubectl('get', 'sidecars.v1beta1.networking.istio.io', 'productpage', '-oyaml'))
const tutorial = (file: string): string =>
  withoutVariables(readFileSync(join(import.meta.dirname, '../../fixtures/tutorial-listings', file), 'utf8'))
const withoutVariables = (yaml: string): string => yaml.replace(/^( *(?:creationTimestamp|generation|resourceVersion|uid): ).*$/gm, '$1X')
const learned = async (): Promise<readonly string[]> => await dependenciesOf(bookinfo.client, NAMESPACE, 'productpage')

test("a fence becomes the tutorial's first Sidecar, to the byte, and nothing else is fenced", async () => {
  await kubectl('apply', '-f', join(import.meta.dirname, '../../../samples/servicefence_productpage.yaml'))
  await eventually(async () => assert.equal(await listing(), tutorial('sidecar-new.yaml')))
  const fences = await kubectl('get', 'servicefence', '-o', 'name')
  assert.equal(fences, 'servicefence.microservice.slime.io/productpage\n')
})

test('the first calls go through the global-sidecar, and the Sidecar becomes the second of the tutorial, to the byte', async () => {
  const details = await bookinfo.call('details:9080', { path: '/details/0' })
  assert.deepEqual([details.status, JSON.parse(details.text).host], [200, 'details:9080'])
  assert.equal((await bookinfo.call('reviews:9080', { path: '/reviews/0' })).status, 200)
  await eventually(async () => assert.equal(await listing(), tutorial('sidecar-learned.yaml')))
})

test('the status of the fence tells what was learned', async () => {
  const names = ['details', 'reviews'].map(bookinfo.host)
  await eventually(async () => {
    const fence = await fenceOf(bookinfo.client, NAMESPACE, 'productpage')
    const metricStatus = fence.status?.metricStatus
    const domains = fence.status?.domains ?? {}
    assert.deepEqual(metricStatus, Object.fromEntries(names.map((name) => [`{destination_service="${name}"}`, '1'])))
    assert.deepEqual(Object.keys(domains), names)
    for (const [name, domain] of Object.entries(domains))
      assert.deepEqual([domain?.hosts, domain?.status, domain?.source], [[name], 'ACTIVE', 'accesslog'])
  })
})

test('no write follows, although the same calls go on', async () => {
  const versions = async (): Promise<unknown> => {
    const objects = [await fenceOf(bookinfo.client, NAMESPACE, 'productpage'), await sidecarOf(bookinfo.client, NAMESPACE, 'productpage')]
    return objects.map(({ metadata }) => [metadata.generation, metadata.resourceVersion])
  }
  const received = async (): Promise<number> => await metricOf(lazyload, 'slime_lazyload_accesslog_entries_total{result="learnable"}')
  const [unchanged, soFar, since] = [await versions(), await received(), new Date()]
  for (let count = 0; count < CALLS_AGAIN; count++) await bookinfo.call(count % 2 === 0 ? 'details:9080' : 'reviews:9080')
  await eventually(async () => assert.equal((await received()) - soFar, CALLS_AGAIN))
  assert.deepEqual(await versions(), unchanged)
  const writes = (await cluster.auditEvents(since)).filter(
    ({ user, verb }) => user === lazyload.user && !['get', 'list', 'watch'].includes(verb),
  )
  assert.deepEqual(writes, [])
})

test('a Sidecar that is deleted by hand comes back with the learned hosts', async () => {
  await kubectl('delete', 'sidecar', 'productpage')
  await eventually(async () => assert.equal(await listing(), tutorial('sidecar-learned.yaml')))
})

test('a restart keeps the hosts without a write, and learns on', async () => {
  const { metadata } = await sidecarOf(bookinfo.client, NAMESPACE, 'productpage')
  await lazyload.stop()
  lazyload = await bookinfo.startLazyload()
  await lazyload.logs('working')
  assert.equal((await sidecarOf(bookinfo.client, NAMESPACE, 'productpage')).metadata.resourceVersion, metadata.resourceVersion)
  assert.deepEqual(await learned(), ['details', 'reviews'].map(bookinfo.host))
  await eventually(async () => {
    await bookinfo.call('ratings:9080')
    assert.deepEqual(await learned(), ['details', 'ratings', 'reviews'].map(bookinfo.host))
  })
})
