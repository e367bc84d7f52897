/** Learning from Prometheus: what is called comes, what is called no more goes, and a query that fails harms only its fence. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { JsonObject } from '../../../runtime/object.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
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
import { type QueryServer, startQueryServer } from '../../helpers/prometheus.ts'
import { adminClient } from '../../helpers/stage.ts'

const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
let prometheus: QueryServer
let lazyload: Lazyload
before(async () => {
  namespace = await createNamespace(cluster, 'query')
  prometheus = await startQueryServer()
  const query = 'sum(istio_requests_total{source_app="$source_app",reporter="destination"})by(destination_service)\n'
  const config: JsonObject = {
    name: 'lazyload',
    metric: { prometheus: { address: prometheus.address, handlers: { destination: { query, type: 'Group' } } } },
    general: { prometheusInterval: '500ms' },
  }
  for (const name of ['productpage', 'details']) await createService(client, namespace, name)
  lazyload = await startLazyload(cluster, { namespaces: [namespace], config })
})
after(async () => {
  await lazyload.stop()
  await prometheus[Symbol.asyncDispose]()
})

const full = (name: string): string => `${name}.${namespace}.svc.cluster.local`
const tail = (): readonly string[] => ['istio-system/*', 'mesh-operator/*', `*/${full('global-sidecar')}`]
const calls = (...names: readonly string[]): readonly Readonly<Record<string, string>>[] =>
  names.map((name) => ({ destination_service: full(name) }))
const hostsAre = async (name: string, ...hosts: readonly string[]): Promise<void> =>
  await eventually(
    async () => assert.deepEqual(hostsOf(await sidecarOf(client, namespace, name)), [...hosts.map((host) => `*/${full(host)}`), ...tail()]),
    { timeout: 20_000 },
  )
const queriesFor = (name: string): number => prometheus.queries.filter((query) => query.includes(`source_app="${name}"`)).length
const writes = async (since: Date): Promise<readonly unknown[]> =>
  (await cluster.auditEvents(since)).filter(({ user, verb }) => user === lazyload.user && !['get', 'list', 'watch'].includes(verb))

/** Lets `count` more rounds pass for a fence. */
async function rounds(name: string, count: number): Promise<void> {
  const enough = queriesFor(name) + count
  await eventually(() => assert.ok(queriesFor(name) >= enough), { timeout: 20_000 })
}

test("the tutorial's query teaches what is called", async () => {
  prometheus.answers.set('source_app="productpage"', calls('details', 'reviews'))
  await createFence(client, namespace, 'productpage')
  await hostsAre('productpage', 'details', 'reviews')
  await eventually(async () => {
    const { status } = await fenceOf(client, namespace, 'productpage')
    assert.deepEqual(Object.keys(status?.metricStatus ?? {}), [
      `{destination_service="${full('details')}"}`,
      `{destination_service="${full('reviews')}"}`,
    ])
    assert.deepEqual(
      Object.values(status?.domains ?? {}).map((domain) => [domain?.status, domain?.source]),
      [
        ['ACTIVE', 'prometheus'],
        ['ACTIVE', 'prometheus'],
      ],
    )
  })
})

test('moving counts write nothing', async () => {
  await rounds('productpage', 2)
  const since = new Date()
  await rounds('productpage', 3)
  assert.deepEqual(await writes(since), [])
})

test('a fence whose query fails says so and keeps its hosts; others go on learning', async () => {
  prometheus.answers.set('source_app="broken"', calls('details'))
  await createFence(client, namespace, 'broken')
  await hostsAre('broken', 'details')
  prometheus.answers.set('source_app="broken"', new Error('too many samples'))
  prometheus.answers.set('source_app="productpage"', calls('details', 'reviews', 'ratings'))
  await hostsAre('productpage', 'details', 'ratings', 'reviews')
  await eventually(async () => {
    const { status, reason, message } = conditionOf(await fenceOf(client, namespace, 'broken'), 'Learning')
    assert.deepEqual([status, reason], ['False', 'QueryFailed'])
    assert.match(message ?? '', /too many samples/)
  })
  await rounds('broken', 3)
  await hostsAre('broken', 'details')
  prometheus.answers.set('source_app="broken"', calls('details'))
  await eventually(async () => assert.equal(conditionOf(await fenceOf(client, namespace, 'broken'), 'Learning').status, 'True'))
})

test('a host that two queries do not find leaves status and Sidecar', async () => {
  prometheus.answers.set('source_app="productpage"', calls('details'))
  await hostsAre('productpage', 'details')
  await eventually(async () => {
    const { status } = await fenceOf(client, namespace, 'productpage')
    assert.deepEqual(
      [Object.keys(status?.domains ?? {}), Object.keys(status?.metricStatus ?? {})],
      [[full('details')], [`{destination_service="${full('details')}"}`]],
    )
  })
})

test('Prometheus that does not answer makes the pod unready, with the reason, and takes no host away', async () => {
  await eventually(async () => assert.equal((await lazyload.get('/modules/readyz')).status, 200))
  await prometheus[Symbol.asyncDispose]()
  await eventually(async () => {
    const { status, text } = await lazyload.get('/modules/readyz')
    assert.equal(status, 503)
    assert.match(text, /\[-\]prometheus failed: Prometheus at .*ECONNREFUSED/)
  })
  assert.equal((await lazyload.get('/modules/livez')).status, 200)
  await hostsAre('productpage', 'details')
})
