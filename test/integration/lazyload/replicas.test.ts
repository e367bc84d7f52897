/** Several replicas: every one learns, one writes Sidecars; and what happens when it dies or freezes. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LOOPBACK, LOOPBACK_MODULE, messageOf, openLogStream } from '../../helpers/access-log.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import {
  createEndpoints,
  createFence,
  createService,
  fenceOf,
  hostsOf,
  type Lazyload,
  sidecarOf,
  startLazyload,
} from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const TAKE_OVER = { timeout: 60_000 }
const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
before(async () => {
  namespace = await createNamespace(cluster, 'replicas')
  await createService(client, namespace, 'caller')
  await createEndpoints(client, namespace, 'caller', ['172.17.0.60'])
})

const start = async (name: string): Promise<Lazyload> =>
  await startLazyload(cluster, {
    namespaces: [namespace],
    config: LOOPBACK_MODULE,
    user: `${namespace}-${name}`,
    args: ['--enable-leader-election'],
    env: { POD_NAME: name, WATCH_NAMESPACE: namespace },
  })
const full = (name: string): string => `${name}.${namespace}.svc.cluster.local`
async function callThrough(replica: Lazyload, ...hosts: readonly string[]): Promise<void> {
  const stream = openLogStream(await replica.logPort(), LOOPBACK)
  stream.send(messageOf(hosts.map((host) => ({ directRemote: '172.17.0.60', upstreamCluster: `outbound|9080||${full(host)}` }))))
  await stream.end()
}
const sidecarHas = async (hosts: readonly string[], timing = {}): Promise<void> =>
  await eventually(
    async () =>
      assert.deepEqual(
        hostsOf(await sidecarOf(client, namespace, 'caller')).slice(0, -3),
        hosts.map((host) => `*/${full(host)}`),
      ),
    timing,
  )
const sidecarWrites = async (replica: Lazyload, since?: Date): Promise<number> =>
  (await cluster.auditEvents(since)).filter(
    ({ user, resource, verb, namespace: where }) =>
      user === replica.user && resource === 'sidecars' && where === namespace && !['get', 'list', 'watch'].includes(verb),
  ).length

test('a replica that stands by learns, is ready, and writes no Sidecar; when the leader dies it takes over', async () => {
  const leader = await start('one')
  await leader.logs('leading')
  await using standby = await start('two')
  await standby.logs('standing by')
  await createFence(client, namespace, 'caller')
  await sidecarHas([])
  await callThrough(standby, 'a')
  await callThrough(leader, 'b')
  await sidecarHas(['a', 'b'])
  await eventually(async () => assert.equal((await standby.get('/modules/readyz')).status, 200))
  assert.equal(await sidecarWrites(standby), 0)

  leader.signal('SIGKILL')
  await leader.exited
  await callThrough(standby, 'c')
  await eventually(async () =>
    assert.ok(
      Object.keys((await fenceOf(client, namespace, 'caller')).status?.metricStatus ?? {}).includes(`{destination_service="${full('c')}"}`),
    ),
  )
  await sidecarHas(['a', 'b', 'c'], TAKE_OVER)
})

test('a leader that freezes while logs stream is replaced, and writes nothing when it wakes', async () => {
  const frozen = await start('three')
  await frozen.logs('leading')
  await using next = await start('four')
  await next.logs('standing by')
  const stream = openLogStream(await frozen.logPort(), LOOPBACK)
  stream.send(messageOf([{ directRemote: '172.17.0.60', upstreamCluster: `outbound|9080||${full('d')}` }]))
  await sidecarHas(['a', 'b', 'c', 'd'])
  frozen.signal('SIGSTOP')
  stream.send(messageOf([{ directRemote: '172.17.0.60', upstreamCluster: `outbound|9080||${full('e')}` }]))
  await callThrough(next, 'f')
  await next.logs('leading')
  await sidecarHas(['a', 'b', 'c', 'd', 'f'], TAKE_OVER)
  const woken = new Date()
  frozen.signal('SIGCONT')
  assert.equal(await frozen.exited, 1, 'it ends, because its lease is lost')
  stream[Symbol.dispose]()
  assert.equal(await sidecarWrites(frozen, woken), 0)
})

test('a leader that is told to end hands over at once', async () => {
  const leader = await start('five')
  await leader.logs('leading')
  await using next = await start('six')
  await next.logs('standing by')
  await leader.stop()
  const { body } = await cluster.request('GET', `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/lazyload`)
  assert.match(body.spec.holderIdentity ?? '', /^(six_|$)/, 'the Lease is given back, nobody has to wait for its end')
  await next.logs('leading')
})

test('two modules that serve one fence differently give in, both in its Sidecar and in its status', async () => {
  const place = await createNamespace(cluster, 'two-modules')
  await createService(client, place, 'caller')
  await createFence(client, place, 'caller')
  const since = new Date()
  await using first = await startLazyload(cluster, { namespaces: [place], user: `${place}-first`, config: LOOPBACK_MODULE })
  await using second = await startLazyload(cluster, {
    namespaces: [place],
    user: `${place}-second`,
    config: { ...LOOPBACK_MODULE, general: { stableHost: ['www.example.com'] } },
  })
  const writesOf = async (from: Date): Promise<readonly string[]> =>
    (await cluster.auditEvents(from))
      .filter(({ user, verb, namespace: where }) => [first.user, second.user].includes(user) && where === place && verb === 'patch')
      .map(({ resource, subresource }) => [resource, subresource].filter(Boolean).join('/'))
  const contested = async (): Promise<void> => {
    const conditions = (await fenceOf(client, place, 'caller')).status?.conditions ?? []
    assert.match(conditions.find(({ type }) => type === 'Ready')?.message ?? '', /writes the Sidecar again and again/)
  }
  // at the end nothing is written for a while
  await eventually(async () => {
    const from = new Date()
    await sleep(1500)
    assert.deepEqual(await writesOf(from), [])
  }, TAKE_OVER)
  const writes = Map.groupBy(await writesOf(since), (what) => what)
  for (const what of ['sidecars', 'servicefences/status']) {
    const { length } = writes.get(what) ?? []
    assert.ok(length > 3 && length <= 60, `${length} writes of ${what}`)
  }
  await contested()
})
