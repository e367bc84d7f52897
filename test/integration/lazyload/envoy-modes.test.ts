/** The variants of acceptance step 11 with a real Envoy: the tutorial's gateway, one global-sidecar for the cluster, none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../../../runtime/object.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFence, dependenciesOf, hostsOf, sidecarOf } from '../../helpers/lazyload.ts'
import { startBookinfo } from '../../helpers/mesh/bookinfo.ts'
import { createNamespace } from '../../helpers/namespace.ts'

const cluster = await sharedCluster()
/** As the SlimeBoot gives it; no `metric` block anywhere. */
const config = (mode: JsonObject['string'], global: JsonObject = {}): JsonObject => ({
  name: 'lazyload',
  global: { ...global, misc: { metric_source_type: 'accesslog', 'global-sidecar-mode': mode ?? null } },
})

test("the tutorial's global-sidecar, an Envoy in gateway mode, teaches in the same way", async () => {
  await using bookinfo = await startBookinfo(cluster, { shape: 'pilot' })
  const { client, namespace, host } = bookinfo
  await createFence(client, namespace, 'productpage')
  await bookinfo.startLazyload()
  for (const service of ['details', 'reviews']) assert.equal((await bookinfo.call(`${service}:9080`)).status, 200)
  await eventually(async () => assert.deepEqual(await dependenciesOf(client, namespace, 'productpage'), ['details', 'reviews'].map(host)))
})

test('one global-sidecar for the cluster: no host for it, calls with a namespace are learned, and short names too, though it does not know them', async () => {
  const slime = await createNamespace(cluster, 'slime')
  const root = await createNamespace(cluster, 'root')
  await using bookinfo = await startBookinfo(cluster, { mode: 'cluster', globalSidecarNamespace: slime, root })
  const { client, namespace, host } = bookinfo
  await createFence(client, namespace, 'productpage')
  await bookinfo.startLazyload({ config: config('cluster', { slimeNamespace: slime, istioNamespace: root }) })
  await eventually(async () => assert.deepEqual(hostsOf(await sidecarOf(client, namespace, 'productpage')), [`${root}/*`, `${slime}/*`]))
  assert.equal((await bookinfo.call('reviews:9080')).status, 404)
  assert.equal((await bookinfo.call(`details.${namespace}:9080`)).status, 200)
  await eventually(async () =>
    assert.deepEqual(hostsOf(await sidecarOf(client, namespace, 'productpage')), [
      `*/${host('details')}`,
      `*/${host('reviews')}`,
      `${root}/*`,
      `${slime}/*`,
    ]),
  )
})

test('without a global-sidecar, as kubectl delivers "no": healthy, no host for one, and a log that comes all the same is refused', async () => {
  await using bookinfo = await startBookinfo(cluster)
  const { client, namespace } = bookinfo
  await createFence(client, namespace, 'productpage')
  const lazyload = await bookinfo.startLazyload({ config: config(false) })
  await eventually(async () =>
    assert.deepEqual(hostsOf(await sidecarOf(client, namespace, 'productpage')), ['istio-system/*', 'mesh-operator/*']),
  )
  await bookinfo.call('details:9080')
  await lazyload.logs('access log refused')
  assert.equal((await lazyload.get('/modules/readyz')).status, 200)
  assert.deepEqual(await dependenciesOf(client, namespace, 'productpage'), [])
})
