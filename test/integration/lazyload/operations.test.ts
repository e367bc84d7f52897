/** Running it: health, metrics, log level, reset, refused configurations, the log file (spec 6). */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { SERVICE_FENCE } from '../../../lazyload/kinds.ts'
import { LOOPBACK, LOOPBACK_MODULE, messageOf, openLogStream } from '../../helpers/access-log.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { conditionOf, createEndpoints, createFence, createService, fenceOf, type Lazyload, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const MAIN = join(import.meta.dirname, '../../../lazyload/main.ts')
const folder = mkdtempSync(join(tmpdir(), 'lazyload-'))
const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
let lazyload: Lazyload
before(async () => {
  namespace = await createNamespace(cluster, 'operations')
  await createService(client, namespace, 'caller')
  await createEndpoints(client, namespace, 'caller', ['172.17.0.40'])
  lazyload = await startLazyload(cluster, { namespaces: [namespace], config: LOOPBACK_MODULE })
  await createFence(client, namespace, 'caller')
})
after(async () => {
  await lazyload.stop()
  rmSync(folder, { recursive: true })
})

/** Sends one request of the caller to each host, and ends the stream. */
async function call(...hosts: readonly string[]): Promise<void> {
  const stream = openLogStream(await lazyload.logPort(), LOOPBACK)
  for (let from = 0; from < hosts.length; from += 100)
    stream.send(
      messageOf(hosts.slice(from, from + 100).map((host) => ({ directRemote: '172.17.0.40', upstreamCluster: `outbound|80||${host}` }))),
    )
  await stream.end()
}
const learnedBy = async (name: string): Promise<number> =>
  Object.keys((await fenceOf(client, namespace, name)).status?.metricStatus ?? {}).length

test('health tells of watches and access log; metrics of fences and learning', async () => {
  await eventually(async () => assert.equal((await lazyload.get('/modules/readyz')).status, 200))
  const { text: checks } = await lazyload.get('/modules/readyz?verbose')
  for (const check of ['watch servicefences.microservice.slime.io', 'watch endpointslices.discovery.k8s.io', 'access log'])
    assert.ok(checks.includes(`[+]${check} ok`), checks)
  assert.equal((await lazyload.get('/modules/livez')).status, 200)
  await call('one.example.com')
  await eventually(async () => {
    const { text: metrics } = await lazyload.get('/metrics')
    assert.match(metrics, /^slime_lazyload_learned_hosts_total 1$/m)
    assert.match(metrics, /^slime_lazyload_accesslog_entries_total\{result="learnable"\} 1$/m)
    assert.match(metrics, /^slime_lazyload_sidecar_creations 1$/m)
  })
})

test('the log level is read, set, and refused when it is none', async () => {
  assert.deepEqual(await lazyload.get('/log/slime'), { status: 200, text: 'Slime log level is info.\n' })
  assert.equal((await lazyload.get('/log/slime?level=loud', 'PUT')).status, 400)
  assert.equal((await lazyload.get('/log/slime?level=debug', 'PUT')).status, 200)
  assert.equal((await lazyload.get('/log/slime')).text, 'Slime log level is debug.\n')
  assert.equal((await lazyload.get('/log/slime?level=info', 'POST')).status, 200)
})

test('the verbosity of the Kubernetes client is read and set; from 6 on its requests are logged', async () => {
  assert.deepEqual(await lazyload.get('/log/k'), { status: 200, text: 'Klog level is 5.\n' })
  assert.equal((await lazyload.get('/log/k?level=much', 'PUT')).status, 400)
  assert.equal((await lazyload.get('/log/k', 'DELETE')).status, 405)
  assert.deepEqual(await lazyload.get('/log/k?level=8', 'PUT'), { status: 200, text: 'Klog level is 8.\n' })
  await createFence(client, namespace, 'logged')
  const line = await lazyload.logs('method=POST path=/apis/networking.istio.io/v1beta1/namespaces/')
  assert.match(line, /request method=POST .*\/sidecars .*body=.*logged/)
  assert.equal((await lazyload.get('/log/k?level=5', 'POST')).status, 200)
})

test('reset forgets what a fence learned, and the next call teaches it again', async () => {
  await createFence(client, namespace, 'other')
  await eventually(async () => assert.equal(await learnedBy('caller'), 1))
  assert.equal((await lazyload.get('/lazyload/debug/svfReset')).status, 400)
  assert.equal((await lazyload.get(`/lazyload/debug/svfReset?ns=${namespace}&name=nobody`)).status, 404)
  assert.deepEqual(await lazyload.get(`/lazyload/debug/svfReset?ns=${namespace}&name=caller`, 'POST'), { status: 200, text: 'succeed\n' })
  await eventually(async () => {
    const { status } = await fenceOf(client, namespace, 'caller')
    assert.deepEqual([status?.metricStatus, status?.domains ?? {}, status?.hosts], [undefined, {}, 0])
  })
  await call('one.example.com')
  await eventually(async () => assert.equal(await learnedBy('caller'), 1))
  assert.equal((await lazyload.get(`/lazyload/debug/svfReset?ns=${namespace}`)).status, 200)
  await eventually(async () => assert.equal(await learnedBy('caller'), 0))
})

test('a fence learns 500 hosts, then says that it takes no more', async () => {
  await call(...Array.from({ length: 700 }, (_, index) => `h${index}.example.com`))
  await eventually(async () => {
    const fence = await fenceOf(client, namespace, 'caller')
    assert.equal(Object.keys(fence.status?.metricStatus ?? {}).length, 500)
    assert.equal(conditionOf(fence, 'Learning').reason, 'TooManyHosts')
    assert.equal(fence.status?.hosts, 500)
  })
})

test('kubectl get svf shows whether it is enabled, how many hosts it has, and when one was last learned', async () => {
  const { body } = await cluster.request('GET', `/apis/${SERVICE_FENCE.apiVersion}/namespaces/${namespace}/servicefences/caller`, {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  })
  const { columnDefinitions, rows } = body as {
    readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[]
    readonly rows: readonly { readonly cells: readonly unknown[] }[]
  }
  const shown = columnDefinitions.flatMap(({ name, priority }, index) => (priority === 0 ? [[name, rows[0]?.cells[index]] as const] : []))
  const cells = Object.fromEntries(shown)
  const { 'Last Learned': learned, Age: age, ...rest } = cells
  assert.deepEqual(rest, { Name: 'caller', Enabled: true, Hosts: 500 })
  for (const time of [learned, age]) assert.match(String(time), /^\d+[sm]/)
  assert.deepEqual(
    columnDefinitions.filter(({ priority }) => priority > 0).map(({ name }) => name),
    ['Kept'],
    'with -o wide',
  )
})

test('garbage on the port for access logs ends nothing', async () => {
  const port = await lazyload.logPort()
  const stream = openLogStream(port, LOOPBACK)
  stream.send(Buffer.from('nonsense'.repeat(1000)))
  stream.send(Buffer.from([0x12, 0x05, 0xff, 0xff, 0xff, 0xff, 0x0f]))
  stream.send(messageOf([{ directRemote: '172.17.0.40', upstreamCluster: 'outbound|80||h1.example.com' }], 60_000))
  await stream.end()
  await fetch(`http://${LOOPBACK}:${port}/`).catch(() => {})
  assert.match((await lazyload.get('/metrics')).text, /slime_lazyload_accesslog_entries_total\{result="broken"\} [1-9]/)
})

test('a configuration that is wrong stops the start, with everything that is wrong', async () => {
  const file = join(folder, 'wrong')
  writeFileSync(
    file,
    JSON.stringify({
      global: { misc: { 'global-sidecar-mode': 'somewhere', log_source_port: 'x' } },
      metric: { prometheus: { address: 'http://p:9090' } },
    }),
  )
  const child = spawn(process.execPath, [MAIN, '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  for (const part of [file, 'global.misc.global-sidecar-mode', 'global.misc.log_source_port', 'metric.prometheus.handlers'])
    assert.ok(said.includes(part), said)
  assert.equal(code, 1)
})

test('a port that somebody else has stops the start, with the setting that moves it', async () => {
  const file = join(folder, 'taken')
  const misc = { metric_source_type: 'accesslog', 'metrics-addr': '0', 'aux-addr': '0', log_source_port: await lazyload.logPort() }
  writeFileSync(file, JSON.stringify({ global: { misc } }))
  const child = spawn(process.execPath, [MAIN, '--config', file, '--kubeconfig', cluster.kubeconfig], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  assert.match(said, /access log: cannot listen on port \d+: .*EADDRINUSE.*Set global\.misc\.log_source_port/)
  assert.equal(code, 1)
})

test('logRotate writes the log to its file instead of stdout', async () => {
  const file = join(folder, 'log', 'slime.log')
  const config = {
    name: 'lazyload',
    enable: true,
    global: {
      misc: { metric_source_type: 'accesslog', 'metrics-addr': '0', 'aux-addr': '0', log_source_port: ':0' },
      log: { logRotate: true, logRotateConfig: { filePath: file } },
    },
  }
  writeFileSync(join(folder, 'cfg'), JSON.stringify(config))
  const child = spawn(
    process.execPath,
    [MAIN, '--config', join(folder, 'cfg'), '--kubeconfig', cluster.kubeconfig, '--namespaces', namespace],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const out = text(child.stdout)
  await eventually(() => assert.match(readFileSync(file, 'utf8'), /"message":"working"/), { timeout: 30_000 })
  child.kill('SIGTERM')
  assert.equal(await out, '')
  assert.match(readFileSync(file, 'utf8'), /"message":"stopped"/)
})
