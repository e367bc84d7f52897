/** /livez, /readyz and /metrics of the running operator. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { before, test } from 'node:test'
import { createClient } from '../../runtime/client.ts'
import { type HealthServerOptions, startHealthServer } from '../../runtime/health-server.ts'
import { createInformer } from '../../runtime/informer.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import { createTransport } from '../../runtime/transport.ts'
import { watchChecks } from '../../runtime/watch-health.ts'
import { CONFIG_MAP } from '../../operator/api/kinds.ts'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { startReplica } from '../helpers/replica.ts'
import { adminClient, createBoot, newInstallation, specOf } from '../helpers/stage.ts'

let cluster: ClusterAccess
before(async () => {
  cluster = await sharedCluster()
})

test('the leader and a replica that stands by are live and ready, and metrics show which is which', async () => {
  const namespace = await createNamespace(cluster, 'health')
  await using leader = startReplica(cluster, { name: `${namespace}-a`, namespace })
  await leader.logs('watching')
  await using standby = startReplica(cluster, { name: `${namespace}-b`, namespace })
  await standby.logs('standing by')
  for (const [replica, status] of [
    [leader, 1],
    [standby, 0],
  ] as const) {
    const server = await replica.healthServer()
    for (const path of ['/livez', '/readyz', '/healthz']) assert.deepEqual(await get(server + path), { code: 200, text: 'ok\n' })
    assert.equal(valueOf(await metricsOf(server), 'leader_election_master_status{name="slime-boot"}'), status)
  }
  const watches = await get(`${await leader.healthServer()}/readyz?verbose`)
  assert.match(watches.text, /^\[\+]lease ok$/m)
  assert.match(watches.text, /^\[\+]watch slimeboots\.config\.netease\.com ok$/m)
  const { code, text } = await get(await leader.healthServer())
  assert.equal(code, 404)
  assert.match(text, /\/livez.*\/readyz.*\/metrics/)
})

test("metrics count what the operator does, under controller-runtime's names", async () => {
  const namespace = await createNamespace(cluster, 'metrics')
  const stage = { cluster, client: adminClient(cluster), namespace }
  const installation = await newInstallation(stage, 'metrics', 0)
  await using replica = startReplica(cluster, { name: namespace, namespace })
  const server = await replica.healthServer()
  await createBoot(stage, 'metrics', specOf(installation, { mode: 'none' }))
  const total = await eventually(async () => {
    const metrics = await metricsOf(server)
    assert.equal(valueOf(metrics, 'slimeboot_slimeboots{reason="Ready"}'), 1, replica.log())
    assert.equal(valueOf(metrics, 'slimeboot_objects{state="unready"}'), 0)
    return valueOf(metrics, 'slimeboot_objects{state="ready"}')
  })
  assert.ok(total >= 4, `${total} objects`)
  await stage.client.mergePatch(
    { type: CONFIG_MAP, namespace: installation.home, name: installation.module },
    { data: { stranger: 'was here' } },
    'kubectl-patch',
  )
  const metrics = await eventually(async () => {
    const now = await metricsOf(server)
    assert.equal(valueOf(now, 'slimeboot_drift_repaired_total{kind="ConfigMap"}'), 1)
    return now
  })

  const label = 'controller="slimeboot"'
  const queue = `name="slimeboot",${label}`
  for (const [series, least] of [
    [`workqueue_adds_total{${queue}}`, 2],
    [`workqueue_depth{${queue}}`, 0],
    [`workqueue_unfinished_work_seconds{${queue}}`, 0],
    [`workqueue_longest_running_processor_seconds{${queue}}`, 0],
    [`workqueue_queue_duration_seconds_count{${queue}}`, 2],
    [`workqueue_work_duration_seconds_count{${queue}}`, 2],
    [`controller_runtime_reconcile_total{${label},result="success"}`, 1],
    [`controller_runtime_reconcile_total{${label},result="error"}`, 0],
    [`controller_runtime_reconcile_errors_total{${label}}`, 0],
    [`controller_runtime_terminal_reconcile_errors_total{${label}}`, 0],
    [`controller_runtime_reconcile_panics_total{${label}}`, 0],
    [`controller_runtime_reconcile_time_seconds_count{${label}}`, 2],
    [`controller_runtime_max_concurrent_reconciles{${label}}`, 8],
    [`controller_runtime_active_workers{${label}}`, 0],
    [`rest_client_requests_total{code="200",method="PATCH",host="${new URL(cluster.server).host}"}`, 2],
    ['slimeboot_contested', 0],
    ['slimeboot_watch_silent_seconds{resource="deployments.apps"}', 0],
    ['slimeboot_watch_relists_total{resource="deployments.apps"}', 1],
    ['slimeboot_watch_objects{resource="slimeboots.config.netease.com"}', 1],
    ['process_cpu_seconds_total', 0.1],
    ['process_resident_memory_bytes', 1e7],
    ['process_open_fds', 3],
    ['nodejs_heap_size_used_bytes', 1e6],
    ['nodejs_eventloop_busy_seconds_total', 0.01],
    ['nodejs_eventloop_lag_max_seconds', 0],
  ] as const)
    assert.ok(valueOf(metrics, series) >= least, `${series} is ${valueOf(metrics, series)}`)
  assert.match(metrics, /^# TYPE workqueue_retries_total counter$/m)
  assert.ok(valueOf(metrics, 'process_start_time_seconds') > Date.now() / 1000 - 300)

  await stage.client.mergePatch(
    {
      type: { apiVersion: 'config.netease.com/v1alpha1', kind: 'SlimeBoot', plural: 'slimeboots', namespaced: true },
      namespace,
      name: 'metrics',
    },
    { spec: { module: [{ name: 'UPPER', enable: true }] } },
    'kubectl-patch',
  )
  await eventually(async () =>
    assert.ok(valueOf(await metricsOf(server), `controller_runtime_terminal_reconcile_errors_total{${label}}`) >= 1),
  )
})

test('an operator that may not read is not ready, and says what it cannot', async () => {
  const namespace = await createNamespace(cluster, 'blind')
  const options = { namespace, groups: [] }
  await using blind = startReplica(cluster, { ...options, name: `${namespace}-a`, args: ['--leader-elect=false'] })
  const notListed = await get(`${await blind.healthServer()}/readyz`)
  assert.equal(notListed.code, 503)
  assert.match(notListed.text, /^\[-]watch slimeboots\.config\.netease\.com failed: not listed yet/m)

  await using candidate = startReplica(cluster, {
    ...options,
    name: `${namespace}-b`,
    args: ['--lease-duration', '1s', '--renew-deadline', '900ms', '--retry-period', '200ms'],
  })
  const server = await candidate.healthServer()
  await eventually(async () => {
    const { code, text } = await get(`${server}/readyz`)
    assert.equal(code, 503)
    assert.match(text, /^\[-]lease failed: not read for \d+ s: leases\.coordination\.k8s\.io "slime-boot" is forbidden/m)
  })
  assert.equal((await get(`${server}/livez`)).code, 200)
})

test('/readyz fails while a watch is silent for too long, and names it', async () => {
  const namespace = await createNamespace(cluster, 'stale')
  const transport = createTransport({ loadConfig: () => loadKubeConfig(cluster.kubeconfig), userAgent: 'test' })
  const client = createClient(transport)
  const informer = createInformer({ client, type: CONFIG_MAP, namespace, labelSelector: 'watched' })
  const stop = new AbortController()
  const health = await startHealthServer({ ...NOTHING, address: { host: '127.0.0.1', port: 0 }, ready: () => watchChecks([informer], 500) })
  const readyz = async () => await get(`http://127.0.0.1:${health.port}/readyz`)
  try {
    assert.match((await readyz()).text, /^\[-]watch configmaps failed: not listed yet/)
    const running = informer.run(stop.signal)
    await eventually(async () => assert.equal((await readyz()).code, 200), { interval: 10 })
    await eventually(async () => {
      const { code, text } = await readyz()
      assert.equal(code, 503)
      assert.match(text, /^\[-]watch configmaps failed: nothing heard from the API server for \d+ s/)
    })
    await client.create(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one', namespace, labels: { watched: '' } } })
    await eventually(async () => assert.equal((await readyz()).code, 200), { interval: 10 })
    stop.abort()
    await running
  } finally {
    stop.abort()
    health.close()
    transport.close()
  }
})

test('a port that is taken stops the start, with the reason and what to do', async () => {
  const namespace = await createNamespace(cluster, 'port')
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  await using replica = startReplica(cluster, { name: namespace, namespace, args: ['--health-address', `127.0.0.1:${port}`] })
  assert.equal(await replica.exited, 1)
  assert.match(replica.log(), new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: another process has this port.*--health-address`))
  other.close()
})

const NOTHING: Omit<HealthServerOptions, 'address'> = {
  live: () => [],
  ready: () => [],
  metrics: async () => ({ contentType: 'text/plain', text: '' }),
  onProblem: (error) => assert.fail(error),
}

async function get(url: string): Promise<{ code: number; text: string }> {
  const response = await fetch(url)
  return { code: response.status, text: await response.text() }
}

async function metricsOf(server: string): Promise<string> {
  return (await get(`${server}/metrics`)).text
}

/** The value of a series as it is written in the text format; fails when there is none. */
function valueOf(metrics: string, series: string): number {
  const line = metrics.split('\n').find((each) => each.startsWith(`${series} `))
  assert.ok(line !== undefined, `no series ${series} in:\n${metrics}`)
  return Number(line.slice(series.length + 1))
}
