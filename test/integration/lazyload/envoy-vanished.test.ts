/** A peer that vanishes without a word, as with its node: no packet comes from it any more. With a real Envoy. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFence, dependenciesOf, metricOf } from '../../helpers/lazyload.ts'
import { startBookinfo } from '../../helpers/mesh/bookinfo.ts'

const cluster = await sharedCluster()

test('when an Envoy vanishes, another goes on teaching, and lazyload ends when it is told to, without waiting for the one that vanished', async () => {
  await using bookinfo = await startBookinfo(cluster)
  const { client, namespace, host, globalSidecar } = bookinfo
  await createFence(client, namespace, 'productpage')
  const lazyload = await bookinfo.startLazyload()
  const learned = async (...services: readonly string[]): Promise<void> =>
    await eventually(async () =>
      assert.deepEqual(await dependenciesOf(client, namespace, 'productpage'), services.map(host), lazyload.log()),
    )
  await bookinfo.call('details:9080')
  await learned('details')

  await globalSidecar.pod.run('ip', ['link', 'set', 'eth0', 'down'])
  await using other = await bookinfo.startEnvoy({ name: 'global-sidecar-2' })
  await bookinfo.call('reviews:9080', { through: other })
  await learned('details', 'reviews')
  // fails when it does not end by itself
  await lazyload.stop()
})

test('when the replica of lazyload vanishes that an Envoy sends to, the Envoy notices and sends to the other', async () => {
  await using bookinfo = await startBookinfo(cluster, { replicas: 2, workers: 1 })
  const { client, namespace, host, lazyloadPods } = bookinfo
  await createFence(client, namespace, 'productpage')
  const replicas = [await bookinfo.startLazyload({ replica: 0 }), await bookinfo.startLazyload({ replica: 1 })]
  await eventually(async () => {
    await bookinfo.call('details:9080')
    assert.deepEqual(await dependenciesOf(client, namespace, 'productpage'), [host('details')])
  })
  const streams = await Promise.all(replicas.map(async (replica) => await metricOf(replica, 'slime_lazyload_accesslog_streams')))
  assert.deepEqual(
    streams.toSorted((a, b) => a - b),
    [0, 1],
  )
  await lazyloadPods[streams.indexOf(1)]!.run('ip', ['link', 'set', 'eth0', 'down'])
  await eventually(
    async () => {
      await bookinfo.call('reviews:9080')
      assert.deepEqual(await dependenciesOf(client, namespace, 'productpage'), ['details', 'reviews'].map(host))
    },
    { timeout: 60_000, interval: 1000 },
  )
})
