/** Thousands of streams and a slow API server: bounded memory, nothing is lost, nothing stops. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { LOOPBACK, LOOPBACK_MODULE, messageOf, openLogStreams } from '../../helpers/access-log.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { isWrite, startFaultProxy } from '../../helpers/fault-proxy.ts'
import { createEndpoints, createFence, createService, fenceOf, hostsOf, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const STREAMS = 2000
const CALLERS = 8
const HOSTS = 30
const MIB = 1024 * 1024

test('2,000 streams, with node descriptions of up to 60 KB and garbage between, while each write takes a second', async () => {
  const cluster = await sharedCluster()
  const client = adminClient(cluster)
  const namespace = await createNamespace(cluster, 'load')
  await using proxy = await startFaultProxy(cluster)
  const addressOf = (caller: number): string => `172.18.0.${caller + 1}`
  const callers = Array.from({ length: CALLERS }, (_, index) => index)
  for (const caller of callers) {
    await createService(client, namespace, `caller-${caller}`)
    // a pod that is not ready calls too
    await createEndpoints(client, namespace, `caller-${caller}`, [addressOf(caller)], caller % 2 === 0)
    await createFence(client, namespace, `caller-${caller}`)
  }
  await using lazyload = await startLazyload(
    { dir: cluster.dir, kubeconfigFor: proxy.kubeconfigFor },
    { namespaces: [namespace], config: LOOPBACK_MODULE },
  )
  const metric = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name} (\\d+)`, 'm').exec((await lazyload.get('/metrics')).text)?.[1])
  const port = await lazyload.logPort()
  await eventually(async () => {
    for (const caller of callers) assert.equal((await fenceOf(client, namespace, `caller-${caller}`)).status?.hosts, 0)
  })
  const idle = await metric('process_resident_memory_bytes')

  proxy.inject(isWrite, { delayMs: 1000 })
  const streams = openLogStreams(port, LOOPBACK, STREAMS)
  const garbage = randomBytes(1000)
  streams.forEach((stream, index) => {
    stream.send(
      messageOf([{ directRemote: addressOf(index % CALLERS), upstreamCluster: 'PassthroughCluster' }], index % 4 === 0 ? 60_000 : 2000),
    )
    stream.send(garbage)
  })
  await eventually(async () => assert.equal(await metric('slime_lazyload_accesslog_streams'), STREAMS), { timeout: 120_000 })
  streams.forEach((stream, index) => {
    const entries = Array.from({ length: HOSTS }, (_, host) => ({
      directRemote: addressOf((index + host) % CALLERS),
      upstreamCluster: `outbound|80||h${host}.example.com`,
    }))
    stream.send(messageOf(entries))
  })
  await eventually(async () => assert.ok((await metric('slime_lazyload_accesslog_messages_total')) >= 3 * STREAMS), { timeout: 120_000 })
  assert.equal((await lazyload.get('/modules/livez')).status, 200)
  const busy = await metric('process_resident_memory_bytes')
  assert.ok(busy - idle < 300 * MIB, `${Math.round((busy - idle) / MIB)} MiB more than at rest`)
  proxy.heal()
  await eventually(
    async () => {
      for (const caller of callers) assert.equal(hostsOf(await sidecarOf(client, namespace, `caller-${caller}`)).length, HOSTS + 3)
    },
    { timeout: 120_000 },
  )
  assert.equal((await lazyload.get('/modules/readyz')).status, 200)
  for (const stream of streams) stream[Symbol.dispose]()
  await eventually(async () => assert.equal(await metric('slime_lazyload_accesslog_streams'), 0))
})
