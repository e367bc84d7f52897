/** Leader election: of several replicas one works, and none writes when it must not. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { before, test } from 'node:test'
import { createClient, type Client } from '../../runtime/client.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import { createLeaderElection, LeaseLostError, type LeaderElection } from '../../runtime/leader-election.ts'
import { LEASE, type LeaseSpec } from '../../runtime/lease.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { createTransport } from '../../runtime/transport.ts'
import { CONFIG_MAP } from '../../operator/api/kinds.ts'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { type Replica, startReplica } from '../helpers/replica.ts'
import { adminClient, changeSpec, createBoot, newInstallation, specOf, type Stage } from '../helpers/stage.ts'

const QUICK = ['--lease-duration', '6s', '--renew-deadline', '5s', '--retry-period', '500ms']
const PATIENT = { timeout: 60_000 }

let cluster: ClusterAccess
let client: Client
before(async () => {
  cluster = await sharedCluster()
  client = adminClient(cluster)
})

test('the leader is killed: the other replica takes over and repairs what was changed meanwhile', async () => {
  const { stage, name, configMap } = await setUp('killed')
  await using first = replica(stage, 'a')
  await first.logs('leading')
  await using second = replica(stage, 'b')
  await second.logs('standing by')
  await createBoot(stage, name, specOf(stage.installation, { mode: 'none' }))
  const { metadata } = await eventually(async () => (await client.get(configMap)) ?? assert.fail('no ConfigMap'))

  first.signal('SIGKILL')
  await first.exited
  await client.remove(configMap)
  await eventually(async () => {
    const made = (await client.get(configMap)) ?? assert.fail(`not made anew. ${second.log()}`)
    assert.notEqual(made.metadata.uid, metadata.uid)
  }, PATIENT)
  await second.logs('leading')
  const { leaseTransitions, renewTime } = await leaseOf(stage)
  assert.equal(leaseTransitions, 1)
  assert.match(renewTime ?? '', /\.\d{6}Z$/)
})

test('a replica that stands by asks for the Lease and nothing else', async () => {
  const { stage } = await setUp('standby')
  await using first = replica(stage, 'a')
  await first.logs('watching')
  await using second = replica(stage, 'b')
  await second.logs('standing by', first.user)
  await eventually(async () => {
    const sent = (await cluster.auditEvents()).filter(({ user }) => user === second.user)
    assert.ok(sent.length > 3, 'not asked yet')
    assert.deepEqual([...new Set(sent.map(({ verb, resource }) => `${verb} ${resource}`))], ['get leases'])
    assert.ok(sent.every(({ userAgent }) => userAgent.endsWith(`(${second.user})`)))
  })
  second.signal('SIGTERM')
  assert.equal(await second.exited, 0, second.log())
})

test('SIGTERM releases the Lease: the other replica leads without waiting for its end', async () => {
  const { stage } = await setUp('released')
  const forever = ['--lease-duration', '3600s', '--renew-deadline', '60s', '--retry-period', '500ms']
  await using first = replica(stage, 'a', forever)
  await first.logs('leading')
  await using second = replica(stage, 'b', forever)
  await second.logs('standing by')
  first.signal('SIGTERM')
  assert.equal(await first.exited, 0, first.log())
  await second.logs('leading')
  assert.match((await leaseOf(stage)).holderIdentity ?? '', new RegExp(`^${second.user}_`))
  second.signal('SIGTERM')
  assert.equal(await second.exited, 0, second.log())
  const { holderIdentity, leaseDurationSeconds, leaseTransitions } = await leaseOf(stage)
  assert.deepEqual(
    { holderIdentity, leaseDurationSeconds, leaseTransitions },
    { holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions: 1 },
  )
})

test('a leader that was frozen until another one leads writes nothing when it goes on, and exits with code 1', async () => {
  const { stage, name, configMap } = await setUp('frozen')
  await using first = replica(stage, 'a')
  await first.logs('leading')
  await using second = replica(stage, 'b')
  await createBoot(stage, name, specOf(stage.installation, { mode: 'none' }))
  await eventually(async () => assert.ok((await client.get(configMap)) !== undefined))
  await first.logs('not ready')

  first.signal('SIGSTOP')
  await second.logs('leading')
  const since = new Date()
  await second.logs('watching')
  // frozen too for a moment: so the first finds work that nobody has done when it goes on
  second.signal('SIGSTOP')
  await client.remove(configMap)
  await changeSpec(stage, name, {
    ...specOf(stage.installation, { mode: 'none' }),
    image: { repository: 'docker.io/slimeio/slime-lazyload', tag: 'v2' },
  })
  first.signal('SIGCONT')
  assert.equal(await first.exited, 1, first.log())
  second.signal('SIGCONT')
  await first.logs('lease lost')
  await eventually(async () => assert.ok((await client.get(configMap)) !== undefined, second.log()), PATIENT)

  const written = (await cluster.auditEvents(since)).filter(
    ({ user, verb }) => user === first.user && !['get', 'list', 'watch'].includes(verb),
  )
  assert.deepEqual(written, [])
})

test('a Lease that is deleted is made anew by its leader, one that is given to somebody else ends it', async () => {
  const { stage } = await setUp('meddled')
  await using first = replica(stage, 'a')
  await first.logs('leading')
  const { holderIdentity } = await leaseOf(stage)
  await client.remove(leaseRef(stage))
  await eventually(async () => assert.equal((await leaseOf(stage)).holderIdentity, holderIdentity))
  await client.mergePatch(leaseRef(stage), { spec: { holderIdentity: 'somebody' } }, 'kubectl-patch')
  assert.equal(await first.exited, 1, first.log())
  assert.match(first.log(), /lease lost.*somebody/)
})

test('a write is refused when the deadline has passed since it was queued, before any timer has noticed', async () => {
  const namespace = await createNamespace(cluster, 'deadline')
  let skipped = 0
  let answers = 0
  // what a process sees that was frozen: no timer has fired, the clock has gone on
  const freeze = (): void => {
    if (++answers === 2) skipped = 10_001
  }
  const { election, worker, close } = inProcess(namespace, { now: () => performance.now() + skipped, onAnswer: freeze })
  let outcomes: readonly unknown[] = []
  const leading = election.lead(new AbortController().signal, async () => {
    await worker.create(CONFIG_MAP, configMapOf(namespace, 'before'))
    const queued = ['dispatched', 'queued', 'later'].map(async (name) => await worker.create(CONFIG_MAP, configMapOf(namespace, name)))
    const settled = await Promise.allSettled(queued)
    outcomes = settled.map((result) =>
      result.status === 'fulfilled' ? 'stored' : result.reason instanceof LeaseLostError ? 'refused' : result.reason,
    )
    await new Promise(() => {})
  })
  await assert.rejects(leading, LeaseLostError)
  assert.deepEqual(outcomes, ['stored', 'refused', 'refused'])
  const names = (await client.list(CONFIG_MAP, { namespace })).items
    .map(({ metadata }) => metadata.name)
    .filter((name) => name !== 'kube-root-ca.crt')
  assert.deepEqual(names, ['before', 'dispatched'])
  close()
})

test('a write is refused when the deadline has passed during the TLS handshake of its connection', async () => {
  const namespace = await createNamespace(cluster, 'handshake')
  let skipped = 0
  await using proxy = await slowProxy()
  const { election, worker, close } = inProcess(namespace, { now: () => performance.now() + skipped, server: proxy.url })
  let outcome: unknown
  const leading = election.lead(new AbortController().signal, async () => {
    const writing = worker.create(CONFIG_MAP, configMapOf(namespace, 'late'))
    await proxy.connected
    skipped = 10_001
    proxy.answer()
    outcome = await writing.catch((error: unknown) => error)
    await new Promise(() => {})
  })
  await assert.rejects(leading, LeaseLostError)
  await eventually(() => assert.ok(outcome instanceof LeaseLostError, String(outcome)))
  assert.equal(await client.get({ type: CONFIG_MAP, namespace, name: 'late' }), undefined)
  close()
})

/** Stands before the API server and lets no byte of it through until `answer` is called. */
async function slowProxy(): Promise<
  AsyncDisposable & { readonly url: string; readonly connected: Promise<unknown>; readonly answer: () => void }
> {
  const answering = Promise.withResolvers<void>()
  const sockets: Socket[] = []
  const proxy = createServer((socket) => {
    const upstream = connect(Number(new URL(cluster.server).port), '127.0.0.1')
    sockets.push(socket, upstream)
    for (const end of [socket, upstream]) end.on('error', () => {})
    socket.pipe(upstream)
    void answering.promise.then(() => upstream.pipe(socket))
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return {
    url: `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    connected: once(proxy, 'connection'),
    answer: answering.resolve,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      proxy.close()
      await once(proxy, 'close')
    },
  }
}

/** Elector and worker with clients of their own in this process; one write at a time, by way of `server`. */
function inProcess(
  namespace: string,
  { now, onAnswer = () => {}, server }: { now: () => number; onAnswer?: () => void; server?: string },
): { election: LeaderElection; worker: Client; close: () => void } {
  const loadConfig = () => loadKubeConfig(cluster.kubeconfig)
  const loadSlow = () => {
    const config = loadConfig()
    config.clusters = config.clusters.map((each) => ({ ...each, server: server ?? each.server }))
    return config
  }
  const lease = createTransport({ loadConfig, userAgent: 'elector' })
  const timing = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 }
  const election = createLeaderElection({ client: createClient(lease), namespace, name: 'slime-boot', identity: 'me', timing, now })
  const work = createTransport({
    loadConfig: loadSlow,
    userAgent: 'worker',
    concurrency: 1,
    beforeSend: election.checkWrite,
    observe: onAnswer,
  })
  const close = (): void => {
    lease.close()
    work.close()
  }
  return { election, worker: createClient(work), close }
}

interface Scene {
  readonly stage: Pick<Stage, 'client' | 'namespace' | 'cluster'> & { readonly installation: Awaited<ReturnType<typeof newInstallation>> }
  readonly name: string
  /** The module's ConfigMap. */
  readonly configMap: { readonly type: typeof CONFIG_MAP; readonly namespace: string; readonly name: string }
}

async function setUp(prefix: string): Promise<Scene> {
  const namespace = await createNamespace(cluster, prefix)
  const installation = await newInstallation({ cluster }, prefix, 0)
  return {
    stage: { cluster, client, namespace, installation },
    name: prefix,
    configMap: { type: CONFIG_MAP, namespace: installation.home, name: installation.module },
  }
}

function replica({ namespace }: Pick<Stage, 'namespace'>, name: string, args: readonly string[] = QUICK): Replica {
  return startReplica(cluster, { name: `${namespace}-${name}`, namespace, args })
}

function leaseRef({ namespace }: Pick<Stage, 'namespace'>) {
  return { type: LEASE, namespace, name: 'slime-boot' }
}

async function leaseOf(stage: Pick<Stage, 'namespace'>): Promise<LeaseSpec> {
  const lease = (await client.get(leaseRef(stage))) ?? assert.fail('no Lease')
  return lease['spec'] as LeaseSpec
}

function configMapOf(namespace: string, name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace } }
}
