/** An answer with a warning may lack something (a store of a federated Prometheus was away): it teaches, but it takes nothing away. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../../../runtime/object.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { conditionOf, createFence, createService, fenceOf, hostsOf, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { startQueryServer } from '../../helpers/prometheus.ts'
import { adminClient } from '../../helpers/stage.ts'

test('an answer with a warning adds hosts and removes none; without the warning two answers remove them', async () => {
  const cluster = await sharedCluster()
  const client = adminClient(cluster)
  const namespace = await createNamespace(cluster, 'warning')
  await using prometheus = await startQueryServer()
  const config: JsonObject = {
    name: 'lazyload',
    metric: { prometheus: { address: prometheus.address, handlers: { destination: { query: 'x{source_app="$source_app"}' } } } },
    general: { prometheusInterval: '300ms', prometheusAbsence: '1ms' },
  }
  await using _ = await startLazyload(cluster, { namespaces: [namespace], config })
  for (const name of ['a', 'b']) await createService(client, namespace, name)
  const full = (name: string): string => `${name}.${namespace}.svc.cluster.local`
  const hostsAre = async (...hosts: readonly string[]): Promise<void> =>
    await eventually(async () =>
      assert.deepEqual(
        hostsOf(await sidecarOf(client, namespace, 'caller')).slice(0, -3),
        hosts.map((name) => `*/${full(name)}`),
      ),
    )
  const answer = (name: string): unknown => prometheus.answers.set('', [{ destination_service: full(name) }])
  answer('a')
  await createFence(client, namespace, 'caller')
  await hostsAre('a')

  prometheus.warnings.push('store 10.0.0.1 is away')
  answer('b')
  await hostsAre('a', 'b')
  const enough = prometheus.queries.length + 6
  await eventually(() => assert.ok(prometheus.queries.length >= enough))
  const { status, message } = conditionOf(await fenceOf(client, namespace, 'caller'), 'Learning')
  assert.deepEqual([status, message], ['False', 'warning: store 10.0.0.1 is away'])
  await hostsAre('a', 'b')

  prometheus.warnings.length = 0
  await hostsAre('b')
  await eventually(async () => assert.equal(conditionOf(await fenceOf(client, namespace, 'caller'), 'Learning').status, 'True'))
})
