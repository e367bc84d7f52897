/** The API server goes away while calls go on through a real Envoy. On a cluster of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startCluster } from '../../../local-cluster/cluster.ts'
import { installCrds } from '../../../local-cluster/crds.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFence, dependenciesOf } from '../../helpers/lazyload.ts'
import { startBookinfo } from '../../helpers/mesh/bookinfo.ts'
import { callAll, learnedHosts, serviceNames, untilLearned, watchLearned } from '../../helpers/mesh/many-calls.ts'

const SERVICES = serviceNames(40)
const BEFORE = SERVICES.slice(0, 10)

test('calls go on while the API server is away, and all that they teach is written when it is back', async () => {
  await using cluster = await startCluster({ name: 'envoy-outage' })
  await installCrds(cluster)
  await using bookinfo = await startBookinfo(cluster, { services: SERVICES })
  const { client, namespace, host } = bookinfo
  await createFence(client, namespace, 'productpage')
  const lazyload = await bookinfo.startLazyload()
  await lazyload.logs('working')
  await callAll(bookinfo, BEFORE)
  await untilLearned(bookinfo, BEFORE)

  const watching = watchLearned(bookinfo)
  await cluster.stopPart('kube-apiserver')
  await callAll(bookinfo, SERVICES)
  assert.equal((await lazyload.get('/modules/livez')).status, 200)
  await cluster.startPart('kube-apiserver')
  // nothing is called again: it all came while the API server was away
  await eventually(async () => assert.deepEqual(await learnedHosts(bookinfo), SERVICES.map(host)), { timeout: 60_000 })
  await eventually(async () => assert.deepEqual(await dependenciesOf(client, namespace, 'productpage'), SERVICES.map(host)), {
    timeout: 60_000,
  })
  assert.deepEqual(await watching.end(), [])
})
