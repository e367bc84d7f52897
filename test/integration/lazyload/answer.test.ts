/** A fence that is changed between our read and the write of its status: the answer tells of it before the watch does, and it is not overlooked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SERVICE_FENCE } from '../../../lazyload/kinds.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { startFaultProxy } from '../../helpers/fault-proxy.ts'
import { createFence, createService, hostsOf, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

/** Slow enough for an event to come seconds after the answer. */
const SLOW = { bytesPerSecond: 2000 }

test('a host that is added to a fence while its status is being written gets into the Sidecar', async () => {
  const cluster = await sharedCluster()
  const client = adminClient(cluster)
  const namespace = await createNamespace(cluster, 'answer')
  const fence = { type: SERVICE_FENCE, namespace, name: 'caller' }
  await using proxy = await startFaultProxy(cluster)
  await createService(client, namespace, 'caller')
  await using _ = await startLazyload({ dir: cluster.dir, kubeconfigFor: proxy.kubeconfigFor }, { namespaces: [namespace] })
  await createFence(client, namespace, 'caller')
  await eventually(async () => assert.ok(hostsOf(await sidecarOf(client, namespace, 'caller')).length > 0))

  const asked = Promise.withResolvers<void>()
  const changed = Promise.withResolvers<void>()
  proxy.intercept({
    before: async ({ path }) => {
      if (!path.endsWith('/servicefences/caller/status')) return
      asked.resolve()
      await changed.promise
    },
  })
  proxy.inject(({ path, query }) => path.endsWith('/servicefences') && query.get('watch') === 'true', SLOW)
  proxy.cut()
  const add = async (host: string): Promise<unknown> =>
    await client.mergePatch(fence, { spec: { host: { [host]: { stable: {} } } } }, 'kubectl-edit')
  await add('first.example.com')
  await asked.promise
  await add('second.example.com')
  changed.resolve()
  await eventually(
    async () => assert.ok(hostsOf(await sidecarOf(client, namespace, 'caller')).some((host) => host.endsWith('second.example.com'))),
    { timeout: 30_000 },
  )
})
