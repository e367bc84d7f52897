/** Two replicas behind a real Envoy: the leader is killed, then one freezes. What is learned stays; what was under way is learned by the next call. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFence, dependenciesOf, type Lazyload, type LazyloadOptions } from '../../helpers/lazyload.ts'
import { type Bookinfo, startBookinfo } from '../../helpers/mesh/bookinfo.ts'
import { callAll, learnedHosts, serviceNames, untilLearned, watchLearned } from '../../helpers/mesh/many-calls.ts'

const TAKE_OVER = { timeout: 60_000 }
const SERVICES = serviceNames(60)
const [KILLED, FROZEN] = [SERVICES.slice(0, 30), SERVICES.slice(30)]
const cluster = await sharedCluster()
let bookinfo: Bookinfo
let leader: Lazyload
let standby: Lazyload
before(async () => {
  bookinfo = await startBookinfo(cluster, { services: SERVICES, replicas: 2 })
  await createFence(bookinfo.client, bookinfo.namespace, 'productpage')
  leader = await start(0)
  await leader.logs('leading')
  standby = await start(1)
  await standby.logs('standing by')
  await eventually(async () => assert.deepEqual(await dependenciesOf(bookinfo.client, bookinfo.namespace, 'productpage'), []))
})
after(async () => await bookinfo[Symbol.asyncDispose]())

const start = async (replica: number): Promise<Lazyload> => {
  const options: Partial<LazyloadOptions> = { args: ['--enable-leader-election'], user: `${bookinfo.namespace}-${replica}` }
  return await bookinfo.startLazyload({ ...options, replica })
}
const sidecarHas = async (services: readonly string[]): Promise<void> =>
  await eventually(
    async () => assert.deepEqual(await dependenciesOf(bookinfo.client, bookinfo.namespace, 'productpage'), services.map(bookinfo.host)),
    TAKE_OVER,
  )

test('the leader is killed (kill -9) while logs stream: no host is lost, and the next calls teach what was under way', async () => {
  const watching = watchLearned(bookinfo)
  const calls = callAll(bookinfo, KILLED)
  await eventually(async () => assert.ok((await learnedHosts(bookinfo)).length > 0))
  leader.signal('SIGKILL')
  await leader.exited
  await calls
  await untilLearned(bookinfo, KILLED)
  await standby.logs('leading')
  await sidecarHas(KILLED)
  assert.deepEqual(await watching.end(), [])
})

test('a leader freezes while logs stream: the other takes over, the frozen one ends when it wakes and writes nothing', async () => {
  const [frozen, next] = [standby, await start(0)]
  await next.logs('standing by')
  const watching = watchLearned(bookinfo)
  const calls = callAll(bookinfo, FROZEN)
  await eventually(async () => assert.ok((await learnedHosts(bookinfo)).length > KILLED.length))
  frozen.signal('SIGSTOP')
  await calls
  await next.logs('leading')
  const woken = new Date()
  frozen.signal('SIGCONT')
  assert.equal(await frozen.exited, 1, frozen.log())
  await untilLearned(bookinfo, FROZEN)
  await sidecarHas(SERVICES)
  assert.deepEqual(await watching.end(), [])
  const writes = (await cluster.auditEvents(woken)).filter(
    ({ user, verb, resource }) => user === frozen.user && resource === 'sidecars' && !['get', 'list', 'watch'].includes(verb),
  )
  assert.deepEqual(writes, [])
})
