/** The API server goes away while access logs stream: what is learned meanwhile is written when it is back. On a cluster of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startCluster } from '../../../local-cluster/cluster.ts'
import { installCrds } from '../../../local-cluster/crds.ts'
import { LOOPBACK, LOOPBACK_MODULE, messageOf, openLogStream } from '../../helpers/access-log.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createEndpoints, createFence, createService, fenceOf, hostsOf, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const OUTAGE_MS = 30_000

test('no host is lost over 30 seconds without the API server, also to a restart after it', async () => {
  await using cluster = await startCluster({ name: 'outage', controllers: false })
  await installCrds(cluster)
  const client = adminClient(cluster)
  const namespace = await createNamespace(cluster, 'outage')
  await createService(client, namespace, 'caller')
  await createEndpoints(client, namespace, 'caller', ['172.17.0.70'])
  const lazyload = await startLazyload(cluster, { namespaces: [namespace], config: LOOPBACK_MODULE })
  await createFence(client, namespace, 'caller')
  await eventually(async () => await sidecarOf(client, namespace, 'caller'))

  const stream = openLogStream(await lazyload.logPort(), LOOPBACK)
  const sent: string[] = []
  const call = (): void => {
    const host = `h${String(sent.length).padStart(4, '0')}.example.com`
    sent.push(host)
    stream.send(messageOf([{ directRemote: '172.17.0.70', upstreamCluster: `outbound|80||${host}` }]))
  }
  call()
  await cluster.stopPart('kube-apiserver')
  const calling = setInterval(call, 100)
  await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS))
  assert.equal((await lazyload.get('/modules/livez')).status, 200)
  await cluster.startPart('kube-apiserver')
  clearInterval(calling)
  await stream.end()

  const expected = sent.slice(0, 500).map((host) => `{destination_service="${host}"}`)
  await eventually(
    async () => assert.deepEqual(Object.keys((await fenceOf(client, namespace, 'caller')).status?.metricStatus ?? {}).sort(), expected),
    { timeout: 40_000 },
  )
  await eventually(
    async () =>
      assert.deepEqual(
        hostsOf(await sidecarOf(client, namespace, 'caller')).slice(0, -3),
        sent.map((host) => `*/${host}`),
      ),
    { timeout: 40_000 },
  )
  await lazyload.stop()
  await using again = await startLazyload(cluster, { namespaces: [namespace], config: LOOPBACK_MODULE })
  await again.logs('working')
  assert.equal(hostsOf(await sidecarOf(client, namespace, 'caller')).length, sent.length + 3)
})
