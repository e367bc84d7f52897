/** Errors that nobody expected: every callback of both programs throws once, and they go on with their work. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { LOOPBACK, LOOPBACK_MODULE, messageOf, openLogStream } from '../helpers/access-log.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { createEndpoints, createFence, createService, dependenciesOf, startLazyload } from '../helpers/lazyload.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { startPrometheus } from '../helpers/prometheus-server.ts'
import { startReplica } from '../helpers/replica.ts'
import { adminClient, bootRef, conditionOf, createBoot, newInstallation, specOf } from '../helpers/stage.ts'

const SABOTAGE = { NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, '../helpers/programs/sabotage.ts')).href}` }
const PATIENT = { timeout: 60_000 }

let cluster: ClusterAccess
before(async () => {
  cluster = await sharedCluster()
})

/** Each of `kinds` has thrown at least once. */
function assertThrown(metrics: string, kinds: readonly string[]): void {
  for (const kind of kinds) assert.match(metrics, new RegExp(`^nodejs_callback_panics_total\\{callback="${kind}"\\} [1-9]`, 'm'), metrics)
}

test('the operator installs a SlimeBoot though every callback of its process throws once', async () => {
  const namespace = await createNamespace(cluster, 'sabotage')
  const stage = { cluster, client: adminClient(cluster), namespace }
  const installation = await newInstallation(stage, 'sabotage', 1)
  await using replica = startReplica(cluster, { name: namespace, namespace, env: SABOTAGE })
  const server = await replica.healthServer()
  await createBoot(stage, 'sabotage', specOf(installation))
  await eventually(async () => {
    const boot = await stage.client.get(bootRef(stage, 'sabotage'))
    assert.equal(conditionOf(boot!, 'Ready').status, 'True', replica.log())
  }, PATIENT)
  await eventually(async () => {
    // what is asked for first is answered with an error once
    const metrics = await (await fetch(`${server}/metrics`)).text()
    assertThrown(metrics, ['timer', 'event', 'watch', 'request', 'lease', 'metrics', 'observer', 'background', 'process'])
  }, PATIENT)
  assert.match(replica.log(), /unexpected error; going on/)
  // repairs, too
  const [app = ''] = installation.apps
  const guarded = { apiVersion: 'v1', kind: 'Service', plural: 'services', namespaced: true }
  await stage.client.remove({ type: guarded, namespace: app, name: 'global-sidecar' })
  await eventually(async () => assert.ok(await stage.client.get({ type: guarded, namespace: app, name: 'global-sidecar' })), PATIENT)
  replica.signal('SIGTERM')
  assert.equal(await replica.exited, 0, replica.log())
})

test('lazyload learns from access logs though every callback of its process throws once', async () => {
  const client = adminClient(cluster)
  const namespace = await createNamespace(cluster, 'sabotage')
  for (const name of ['caller', 'one', 'two']) await createService(client, namespace, name)
  await createEndpoints(client, namespace, 'caller', ['172.17.0.90'])
  await using lazyload = await startLazyload(cluster, {
    namespaces: [namespace],
    config: { ...LOOPBACK_MODULE, global: { ...(LOOPBACK_MODULE['global'] as object), log: { klogLevel: 6 } } },
    env: { ...SABOTAGE, POD_NAME: namespace, WATCH_NAMESPACE: namespace },
    args: ['--enable-leader-election'],
  })
  await createFence(client, namespace, 'caller')
  for (const name of ['one', 'two'])
    await eventually(async () => {
      const stream = openLogStream(await lazyload.logPort(), LOOPBACK)
      const host = `${name}.${namespace}.svc.cluster.local`
      stream.send(messageOf([{ directRemote: '172.17.0.90', upstreamCluster: `outbound|9080||${host}` }]))
      await stream.end()
      assert.ok((await dependenciesOf(client, namespace, 'caller')).includes(host), lazyload.log())
    }, PATIENT)
  await eventually(async () => {
    const { text } = await lazyload.get('/metrics')
    assertThrown(text, ['timer', 'event', 'watch', 'request', 'stream', 'lease', 'metrics', 'log', 'observer', 'background', 'process'])
  }, PATIENT)
})

test('lazyload asks Prometheus on though what takes in its answers throws once', async () => {
  const client = adminClient(cluster)
  const namespace = await createNamespace(cluster, 'sabotage')
  await using prometheus = await startPrometheus()
  for (const name of ['caller', 'one']) await createService(client, namespace, name)
  const query = 'sum(istio_requests_total{source_app="$source_app",reporter="destination"})by(destination_service)'
  await using lazyload = await startLazyload(cluster, {
    namespaces: [namespace],
    config: {
      name: 'lazyload',
      metric: { prometheus: { address: prometheus.address, handlers: { destination: { query, type: 'Group' } } } },
      general: { prometheusInterval: '1s' },
    },
    env: SABOTAGE,
  })
  await createFence(client, namespace, 'caller')
  const host = `one.${namespace}.svc.cluster.local`
  prometheus.calls([{ source_app: 'caller', source_workload_namespace: namespace, destination_service: host }])
  await eventually(async () => assert.deepEqual(await dependenciesOf(client, namespace, 'caller'), [host]), PATIENT)
  await eventually(async () => assertThrown((await lazyload.get('/metrics')).text, ['round', 'observer', 'watch', 'process']), PATIENT)
})
