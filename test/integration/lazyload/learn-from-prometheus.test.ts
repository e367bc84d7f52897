/** Learning from a real Prometheus: what is called comes, what is called no more goes, and what fails harms only its fence (spec 3.3, 3.5). */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SERVICE_FENCE } from '../../../lazyload/kinds.ts'
import type { FenceStatus } from '../../../lazyload/fence/fence.ts'
import type { JsonObject } from '../../../runtime/object.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { recordHistory } from '../../helpers/history.ts'
import {
  conditionOf,
  createFence,
  createService,
  fenceOf,
  hostsOf,
  type Lazyload,
  sidecarOf,
  startLazyload,
} from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { type Call, type PrometheusServer, startPrometheus } from '../../helpers/prometheus-server.ts'
import { adminClient } from '../../helpers/stage.ts'

/** The tutorial's, to the letter. */
const TUTORIAL = 'sum(istio_requests_total{source_app="$source_app",reporter="destination"})by(destination_service)\n'
/** Fails for a caller that has two series which differ in response_code only. */
const TCP =
  'sum(label_replace(istio_tcp_connections_opened_total{source_app="$source_app"},"response_code","","",""))by(destination_service)'
const AGGREGATED = 'sum(istio_requests_total{reporter="destination"})by(destination_service,source_app,source_workload_namespace)'

const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
let prometheus: PrometheusServer
let lazyload: Lazyload
before(async () => {
  ;[namespace, prometheus] = await Promise.all([createNamespace(cluster, 'query'), startPrometheus()])
  for (const name of ['productpage', 'details', 'reviews', 'ratings', 'mysql']) await createService(client, namespace, name)
  const handlers = { destination: { query: TUTORIAL, type: 'Group' }, tcp: { query: TCP } }
  lazyload = await startLazyload(cluster, { namespaces: [namespace], config: configOf(handlers, '1s') })
})
after(async () => {
  await lazyload.stop()
  await prometheus[Symbol.asyncDispose]()
})

const configOf = (handlers: JsonObject, prometheusInterval: string): JsonObject => ({
  name: 'lazyload',
  metric: { prometheus: { address: prometheus.address, handlers } },
  general: { prometheusInterval, prometheusAbsence: '1s', prometheusRecovery: '1s' },
})
const full = (name: string, home = namespace): string => `${name}.${home}.svc.cluster.local`
const keyOf = (name: string): string => `{destination_service="${full(name)}"}`
const http = (source_app: string, to: string, home = namespace): Call => ({
  source_app,
  source_workload_namespace: home,
  destination_service: full(to, home),
})
const tcp = (source_app: string, to: string, response_code = '200'): Call => ({
  ...http(source_app, to),
  metric: 'istio_tcp_connections_opened_total',
  response_code,
})
const hostsAre = async (name: string, hosts: readonly string[], home = namespace): Promise<void> =>
  await eventually(
    async () =>
      assert.deepEqual(
        hostsOf(await sidecarOf(client, home, name)).slice(0, -3),
        hosts.map((host) => `*/${full(host, home)}`),
      ),
    { timeout: 30_000 },
  )
const isAsked = async (name: string, more: number): Promise<void> => {
  const count = (): number => prometheus.queries().filter((query) => query.includes(`source_app="${name}"`)).length
  const enough = count() + more
  await eventually(() => assert.ok(count() >= enough), { timeout: 30_000 })
}
const writes = async (since: Date): Promise<readonly string[]> =>
  (await cluster.auditEvents(since))
    .filter(({ user, verb }) => user === lazyload.user && !['get', 'list', 'watch'].includes(verb))
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`)
const learningOf = async (name: string): Promise<ReturnType<typeof conditionOf>> =>
  conditionOf(await fenceOf(client, namespace, name), 'Learning')

test("the tutorial's query and handler teach what is called, a second handler adds what it knows", async () => {
  prometheus.calls([
    http('productpage', 'details'),
    http('productpage', 'reviews'),
    tcp('productpage', 'mysql'),
    http('productpage', 'nobody'),
    { ...http('productpage', ''), destination_service: 'my_service' },
    http('else', 'secret'),
  ])
  await prometheus.scraped()
  await createFence(client, namespace, 'productpage')
  await hostsAre('productpage', ['details', 'mysql', 'reviews'])
  const { status } = await eventually(async () => {
    const fence = await fenceOf(client, namespace, 'productpage')
    assert.equal(fence.status?.hosts, 3)
    return fence
  })
  assert.deepEqual(Object.keys(status?.metricStatus ?? {}), [keyOf('details'), keyOf('mysql'), keyOf('reviews')])
  assert.deepEqual(
    Object.values(status?.domains ?? {}).map((domain) => [domain?.status, domain?.source]),
    Array.from({ length: 3 }, () => ['ACTIVE', 'prometheus']),
  )
})

test('moving counts write nothing', async () => {
  await isAsked('productpage', 2)
  const since = new Date()
  await isAsked('productpage', 6)
  assert.deepEqual(await writes(since), [])
})

test('a query that fails harms only its fence, which says so and keeps its hosts; others go on learning', async () => {
  const others = [http('productpage', 'details'), http('productpage', 'reviews'), tcp('productpage', 'mysql')]
  const broken = [http('broken', 'details'), tcp('broken', 'mysql')]
  prometheus.calls([...others, ...broken])
  await prometheus.scraped()
  await createFence(client, namespace, 'broken')
  await hostsAre('broken', ['details', 'mysql'])
  prometheus.calls([...others, http('productpage', 'ratings'), tcp('broken', 'mysql'), tcp('broken', 'mysql', '500')])
  await hostsAre('productpage', ['details', 'mysql', 'ratings', 'reviews'])
  await eventually(async () => {
    const { status, reason, message } = await learningOf('broken')
    assert.deepEqual([status, reason], ['False', 'QueryFailed'])
    assert.match(message ?? '', /same labelset/)
  })
  await isAsked('broken', 6)
  await hostsAre('broken', ['details', 'mysql'])
  assert.deepEqual((await lazyload.get('/modules/readyz')).status, 200, 'Prometheus does answer')
  assert.equal((await learningOf('productpage')).status, 'True')
  prometheus.calls([...others, http('productpage', 'ratings'), ...broken])
  await eventually(async () => assert.equal((await learningOf('broken')).status, 'True'))
})

test('a host whose series is gone waits, and leaves after its time of absence, from status and Sidecar', async () => {
  const ref = { type: SERVICE_FENCE, namespace, name: 'productpage' }
  using history = await recordHistory(client, ref, await fenceOf(client, namespace, 'productpage'))
  prometheus.calls([http('productpage', 'details'), tcp('productpage', 'mysql'), http('productpage', 'ratings'), http('broken', 'details')])
  await hostsAre('productpage', ['details', 'mysql', 'ratings'])
  await eventually(async () =>
    assert.deepEqual(Object.keys((await fenceOf(client, namespace, 'productpage')).status?.metricStatus ?? {}), [
      keyOf('details'),
      keyOf('mysql'),
      keyOf('ratings'),
    ]),
  )
  const states = history.versions
    .map((version) => version['status'] as FenceStatus)
    .map(({ domains, hosts }) => `${String(domains?.[full('reviews')]?.status ?? 'gone')} of ${hosts}`)
  assert.deepEqual(
    states.filter((state, index) => state !== states[index - 1]),
    ['ACTIVE of 4', 'EXPIREWAIT of 4', 'gone of 3'],
  )
})

test('a Prometheus that has lost everything takes no host away', async () => {
  prometheus.calls([])
  await eventually(async () => {
    const { status, reason } = await learningOf('productpage')
    assert.deepEqual([status, reason], ['Unknown', 'NoSamples'])
  })
  await isAsked('productpage', 6)
  await hostsAre('productpage', ['details', 'mysql', 'ratings'])
  prometheus.calls([http('productpage', 'details'), tcp('productpage', 'mysql'), http('productpage', 'ratings'), http('broken', 'details')])
  await eventually(async () => assert.equal((await learningOf('productpage')).status, 'True'))
})

test('Prometheus that is away makes the pod unready, with the reason, and takes no host away, also when it is back', async () => {
  await eventually(async () => assert.equal((await lazyload.get('/modules/readyz')).status, 200))
  const sidecar = await sidecarOf(client, namespace, 'productpage')
  await prometheus.stop()
  await eventually(async () => {
    const { status, text } = await lazyload.get('/modules/readyz')
    assert.equal(status, 503)
    assert.match(text, /\[-\]prometheus failed: Prometheus at .*ECONNREFUSED/)
  })
  assert.equal((await lazyload.get('/modules/livez')).status, 200)
  const failures = async (): Promise<number> =>
    Number(/prometheus_queries_total\{result="error"\} (\d+)/.exec((await lazyload.get('/metrics')).text)?.[1])
  const enough = (await failures()) + 9
  await eventually(async () => assert.ok((await failures()) >= enough), { timeout: 30_000 })
  const { status, reason } = await learningOf('productpage')
  assert.deepEqual([status, reason], ['False', 'QueryFailed'])
  await prometheus.start()
  await eventually(async () => assert.equal((await lazyload.get('/modules/readyz')).status, 200), { timeout: 30_000 })
  await eventually(async () => assert.equal((await learningOf('productpage')).status, 'True'))
  await isAsked('productpage', 6)
  assert.equal((await sidecarOf(client, namespace, 'productpage')).metadata.resourceVersion, sidecar.metadata.resourceVersion)
})

/** Two namespaces whose apps have the same names and call different hosts: `<namespace>/web` and `<namespace>/api`. */
async function twins(): Promise<readonly [string, string]> {
  const homes = [await createNamespace(cluster, 'twin-a'), await createNamespace(cluster, 'twin-b')] as const
  for (const home of homes) for (const name of ['one', 'two', 'three', 'four']) await createService(client, home, name)
  for (const home of homes) for (const name of ['web', 'api']) await createFence(client, home, name)
  prometheus.calls([http('web', 'one', homes[0]), http('api', 'two', homes[0]), http('web', 'three', homes[1])])
  await prometheus.scraped()
  return homes
}
async function twinsLearned([a, b]: readonly [string, string]): Promise<void> {
  await hostsAre('web', ['one'], a)
  await hostsAre('api', ['two'], a)
  await hostsAre('web', ['three'], b)
  await hostsAre('api', [], b)
}

test('an aggregated query is asked once for all fences', async () => {
  const homes = await twins()
  const config = configOf({ all: { query: AGGREGATED, aggregate: true } }, '1h')
  await using _ = await startLazyload(cluster, { namespaces: homes, config })
  await twinsLearned(homes)
  assert.deepEqual(
    prometheus.queries().filter((query) => query === AGGREGATED),
    [AGGREGATED],
  )
})

test("fences of one name in several namespaces do not mix, though the tutorial's query knows no namespace; a new fence is asked for at once", async () => {
  const homes = await twins()
  const config = configOf({ destination: { query: TUTORIAL, type: 'Group' } }, '1h')
  const earlier = prometheus.queries().length
  await using _ = await startLazyload(cluster, { namespaces: homes, config })
  await twinsLearned(homes)
  const asked = prometheus
    .queries()
    .slice(earlier)
    .filter((query) => query.includes('source_workload_namespace'))
  assert.equal(asked.length, 4, 'one query for each fence')
  prometheus.calls([http('late', 'four', homes[0])])
  await prometheus.scraped()
  await createFence(client, homes[0], 'late')
  await hostsAre('late', ['four'], homes[0])
  assert.ok(
    prometheus.queries().includes(TUTORIAL.trim().replace('$source_app', 'late')),
    'a name that only one namespace has is asked for as the tutorial does',
  )
})
