/** The Sidecar follows its fence and nobody else: repairs, strangers, selectors, routes, deadlines (spec 2). */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SERVICE, SERVICE_ENTRY, SERVICE_FENCE, SIDECAR, VIRTUAL_SERVICE } from '../../../lazyload/kinds.ts'
import { keyOfHost } from '../../../lazyload/learn/metric-key.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'
import type { ObjectRef, ResourceType } from '../../../runtime/resource.ts'
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
import { putPod } from '../../helpers/pods.ts'
import { adminClient } from '../../helpers/stage.ts'

const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
let lazyload: Lazyload
before(async () => {
  namespace = await createNamespace(cluster, 'sidecar')
  lazyload = await startLazyload(cluster, { namespaces: [namespace] })
})
after(async () => await lazyload.stop())

const refOf = (name: string, type = SIDECAR): ObjectRef => ({ type, namespace, name })
const full = (name: string): string => `${name}.${namespace}.svc.cluster.local`
const tail = (): readonly string[] => ['istio-system/*', 'mesh-operator/*', `*/${full('global-sidecar')}`]
const hostsAre = async (name: string, hosts: readonly string[], timeout = 15_000): Promise<void> =>
  await eventually(async () => assert.deepEqual(hostsOf(await sidecarOf(client, namespace, name)), [...hosts, ...tail()]), { timeout })
const isGone = async (name: string): Promise<void> =>
  await eventually(async () => assert.equal(await client.get(refOf(name)), undefined), { timeout: 60_000 })
const change = async (name: string, spec: JsonObject): Promise<unknown> =>
  await client.mergePatch(refOf(name, SERVICE_FENCE), { spec }, 'kubectl-edit')
const essence = ({ spec, metadata }: KubeObject): unknown => ({
  spec,
  owners: metadata.ownerReferences,
  revision: metadata.labels?.['istio.io/rev'],
})

test("a Sidecar that was deleted or edited by hand comes back as it was, others' labels stay", async () => {
  await createFence(client, namespace, 'repaired', { enable: true, host: { details: {} } }, { 'istio.io/rev': 'canary' })
  await hostsAre('repaired', [`*/${full('details')}`])
  const good = await sidecarOf(client, namespace, 'repaired')
  await client.remove(refOf('repaired'))
  await eventually(async () => assert.notEqual((await sidecarOf(client, namespace, 'repaired')).metadata.uid, good.metadata.uid))
  const spoils: readonly JsonObject[] = [
    { spec: { egress: [{ hosts: ['*/*'] }] } },
    { spec: { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } } },
    { spec: { workloadSelector: { labels: { extra: 'x' } } } },
    { metadata: { labels: { 'istio.io/rev': 'stable' } } },
    { metadata: { ownerReferences: null } },
  ]
  for (const spoil of spoils) {
    const { resourceVersion } = await client.mergePatch(refOf('repaired'), { ...spoil }, 'kubectl-edit').then(({ metadata }) => metadata)
    await eventually(async () => {
      const repaired = await sidecarOf(client, namespace, 'repaired')
      assert.notEqual(repaired.metadata.resourceVersion, resourceVersion)
      assert.deepEqual(essence(repaired), essence(good), JSON.stringify(spoil))
    })
  }
  await client.mergePatch(refOf('repaired'), { metadata: { labels: { mine: 'x' }, annotations: { mine: 'y' } } }, 'kubectl-label')
  await client.remove(refOf('other'))
  await change('repaired', { host: { ratings: {} } })
  await hostsAre('repaired', [`*/${full('details')}`, `*/${full('ratings')}`])
  assert.equal((await sidecarOf(client, namespace, 'repaired')).metadata.labels?.['mine'], 'x')
})

test("somebody else's Sidecar is left alone, and the fence says so, until it is gone", async () => {
  const spec = { egress: [{ hosts: ['mine/*'] }] }
  const theirs = await client.create(
    SIDECAR,
    { apiVersion: SIDECAR.apiVersion, kind: SIDECAR.kind, metadata: { name: 'foreign', namespace }, spec },
    'kubectl-create',
  )
  await putPod(cluster, { namespace, name: 'foreign', ip: '172.20.1.4', labels: { app: 'foreign' } })
  await createFence(client, namespace, 'foreign')
  await eventually(async () => {
    const { status, reason } = conditionOf(await fenceOf(client, namespace, 'foreign'), 'Ready')
    assert.deepEqual([status, reason], ['False', 'SidecarForeign'])
  })
  await change('foreign', { enable: false })
  await eventually(async () => assert.equal(conditionOf(await fenceOf(client, namespace, 'foreign'), 'Ready').reason, 'Disabled'))
  assert.equal((await sidecarOf(client, namespace, 'foreign')).metadata.resourceVersion, theirs.metadata.resourceVersion)
  await change('foreign', { enable: true })
  await client.remove(refOf('foreign'))
  await hostsAre('foreign', [])
  await eventually(async () => assert.equal(conditionOf(await fenceOf(client, namespace, 'foreign'), 'Ready').status, 'True'))
})

test('enable: false removes the Sidecar, true brings it back, deleting the fence removes it', async () => {
  await createFence(client, namespace, 'switched')
  await hostsAre('switched', [])
  await change('switched', { enable: false })
  await isGone('switched')
  await change('switched', { enable: true })
  await hostsAre('switched', [])
  await client.remove(refOf('switched', SERVICE_FENCE))
  await isGone('switched')
})

test('a fence deleted with --cascade=orphan leaves its Sidecar', async () => {
  const fence = refOf('orphaned', SERVICE_FENCE)
  await createFence(client, namespace, 'orphaned')
  await hostsAre('orphaned', [])
  // step by step what the garbage collector does, which may not know a young CRD yet
  await client.mergePatch(fence, { metadata: { finalizers: ['example.com/orphan'] } }, 'test')
  await client.remove(fence)
  await client.mergePatch(refOf('orphaned'), { metadata: { ownerReferences: null } }, 'test')
  await client.mergePatch(fence, { metadata: { finalizers: null } }, 'test')
  await eventually(async () => assert.equal(await client.get(fence), undefined))
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal((await sidecarOf(client, namespace, 'orphaned')).metadata.ownerReferences, undefined)
})

test('the pods are those of the Service when the fence says so, also when the Service changes', async () => {
  await createFence(client, namespace, 'selecting', { enable: true, workloadSelector: { fromService: true } })
  await eventually(async () => assert.equal(conditionOf(await fenceOf(client, namespace, 'selecting'), 'Ready').reason, 'NoService'))
  assert.equal(await client.get(refOf('selecting')), undefined)
  await createService(client, namespace, 'selecting', {}, { tier: 'one' })
  const labelsAre = async (labels: JsonObject): Promise<void> =>
    await eventually(async () =>
      assert.deepEqual(((await sidecarOf(client, namespace, 'selecting'))['spec'] as JsonObject)['workloadSelector'], { labels }),
    )
  await labelsAre({ tier: 'one' })
  await client.mergePatch(refOf('selecting', SERVICE), { spec: { selector: { tier: 'two' } } }, 'kubectl-edit')
  await labelsAre({ tier: 'two' })
  await change('selecting', { workloadSelector: { labels: { tier: 'three' } } })
  await labelsAre({ tier: 'three' })
})

test('Services are followed by their labels, whole namespaces by their name', async () => {
  const team = namespace
  await createFence(client, namespace, 'labels', {
    enable: true,
    labelSelector: [{ selector: { team, tier: 'db' } }, { selector: { shared: team } }],
    namespaceSelector: ['far'],
    host: { 'near/*': {} },
  })
  await hostsAre('labels', ['far/*', 'near/*'])
  await createService(client, namespace, 'db', { team, tier: 'db' })
  await createService(client, namespace, 'half', { team })
  await createService(client, namespace, 'shared', { shared: team })
  await hostsAre('labels', [`*/${full('db')}`, `*/${full('shared')}`, 'far/*', 'near/*'])
  await client.mergePatch(refOf('db', SERVICE), { metadata: { labels: { tier: null } } }, 'kubectl-label')
  await client.remove(refOf('shared', SERVICE))
  await hostsAre('labels', ['far/*', 'near/*'])
})

const create = async ({ apiVersion, kind, ...type }: ResourceType, name: string, spec: JsonObject): Promise<unknown> =>
  await client.create({ apiVersion, kind, ...type }, { apiVersion, kind, metadata: { name, namespace }, spec }, 'kubectl-create')

test('VirtualServices are followed: short names, http, tcp and tls, changes, deletion', async () => {
  await createFence(client, namespace, 'routes', { enable: true, host: { c: {} } })
  await hostsAre('routes', [`*/${full('c')}`])
  const route = (host: string): JsonObject => ({ route: [{ destination: { host } }] })
  const http = (host: string): JsonObject => ({ http: [route(host)] })
  await create(VIRTUAL_SERVICE, 'c', {
    hosts: ['c'],
    ...http('d'),
    tcp: [{ match: [{ port: 3306 }], ...route('mysql') }],
    tls: [{ match: [{ port: 443, sniHosts: ['c'] }], ...route('secure.far.svc.cluster.local') }],
  })
  await hostsAre('routes', [full('c'), full('d'), full('mysql'), 'secure.far.svc.cluster.local'].map((host) => `*/${host}`).sort())
  await client.mergePatch(refOf('c', VIRTUAL_SERVICE), { spec: { tcp: null, tls: null } }, 'kubectl-edit')
  await hostsAre('routes', [`*/${full('c')}`, `*/${full('d')}`])
  await client.mergePatch(refOf('c', VIRTUAL_SERVICE), { spec: http('www.example.com') }, 'kubectl-edit')
  await hostsAre('routes', [`*/${full('c')}`, '*/www.example.com'])
  await client.remove(refOf('c', VIRTUAL_SERVICE))
  await hostsAre('routes', [`*/${full('c')}`])
})

test('hosts of ServiceEntries are followed: a learned name of two labels is no Service once an entry has it, also when the entry goes', async () => {
  await createFence(client, namespace, 'external')
  const metricStatus = { [keyOfHost('example.com')]: '1', [keyOfHost('www.example.com')]: '1' }
  await client.mergePatch(refOf('external', SERVICE_FENCE), { status: { metricStatus } }, 'test', 'status')
  await hostsAre('external', ['*/example.com.svc.cluster.local', '*/www.example.com'])
  await create(SERVICE_ENTRY, 'external', {
    hosts: ['example.com'],
    ports: [{ number: 9080, name: 'http', protocol: 'HTTP' }],
    resolution: 'DNS',
  })
  await hostsAre('external', ['*/example.com', '*/www.example.com'])
  // what a deploy makes anew is away for a moment
  await client.remove(refOf('external', SERVICE_ENTRY))
  await change('external', { host: { 'more.example.com': {} } })
  await hostsAre('external', ['*/example.com', '*/more.example.com', '*/www.example.com'])
})

test('a deadline takes its host out when it is over, without another event', async () => {
  const seconds = Math.floor(Date.now() / 1000) + 2
  await createFence(client, namespace, 'deadline', {
    enable: true,
    host: { brief: { deadline: { expire: { seconds } } }, lasting: { stable: {} } },
  })
  await hostsAre('deadline', [`*/${full('brief')}`, `*/${full('lasting')}`])
  await hostsAre('deadline', [`*/${full('lasting')}`])
  assert.ok(Date.now() >= (seconds + 1) * 1000, 'too early')
  // the Sidecar is written before the status
  await eventually(async () =>
    assert.equal((await fenceOf(client, namespace, 'deadline')).status?.domains?.[full('brief')]?.status, 'EXPIRE'),
  )
})

test('a deadline that is null, empty or far away, an empty strategy and none: the host stays', async () => {
  const far = { seconds: '99999999999', nanos: 5 }
  const strategies = { a: null, b: {}, c: { deadline: null }, d: { deadline: {} }, e: { deadline: { expire: far } }, f: { auto: {} } }
  await createFence(client, namespace, 'lasting', { enable: true, host: strategies })
  await hostsAre(
    'lasting',
    Object.keys(strategies).map((name) => `*/${full(name)}`),
  )
})

test('a host that is none is told and left out', async () => {
  await createFence(client, namespace, 'invalid', { enable: true, host: { 'a b': {}, '*/*': {}, fine: {} } })
  await hostsAre('invalid', [`*/${full('fine')}`])
  await eventually(async () => {
    const { status, reason, message } = conditionOf(await fenceOf(client, namespace, 'invalid'), 'Accepted')
    assert.deepEqual([status, reason], ['False', 'InvalidHost'])
    assert.match(message ?? '', /\*\/\*, a b/)
  })
})

test('a Service with its namespace in spec.host is told while it is not there, and followed when it is', async () => {
  const short = `later.${namespace}`
  await createFence(client, namespace, 'ahead', { enable: true, host: { [short]: {} } })
  const accepted = async (): Promise<readonly unknown[]> => {
    const { status, reason } = conditionOf(await fenceOf(client, namespace, 'ahead'), 'Accepted')
    return [status, reason]
  }
  await eventually(async () => assert.deepEqual(await accepted(), ['False', 'UnknownHost']))
  await createService(client, namespace, 'later')
  await hostsAre('ahead', [`*/${full('later')}`])
  await eventually(async () => assert.deepEqual(await accepted(), ['True', 'Valid']))
})

/** Refuses, in this namespace, every Sidecar that lists a host with `unwanted` in it, as Istio's webhook refuses what it takes for no host. */
async function refuseUnwantedHosts(): Promise<AsyncDisposable> {
  const admission = (kind: string, plural: string): ResourceType => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    plural,
    namespaced: false,
  })
  const policy = admission('ValidatingAdmissionPolicy', 'validatingadmissionpolicies')
  const binding = admission('ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings')
  const rule = { apiGroups: ['networking.istio.io'], apiVersions: ['*'], operations: ['CREATE', 'UPDATE'], resources: ['sidecars'] }
  const expression = "!object.spec.egress.exists(listener, listener.hosts.exists(host, host.contains('unwanted')))"
  const metadata = { name: namespace }
  await client.create(policy, {
    apiVersion: policy.apiVersion,
    kind: policy.kind,
    metadata,
    spec: { matchConstraints: { resourceRules: [rule] }, validations: [{ expression, message: 'a host is unwanted' }] },
  })
  await client.create(binding, {
    apiVersion: binding.apiVersion,
    kind: binding.kind,
    metadata,
    spec: {
      policyName: namespace,
      validationActions: ['Deny'],
      matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } },
    },
  })
  const probe = {
    apiVersion: SIDECAR.apiVersion,
    kind: SIDECAR.kind,
    metadata: { name: 'probe', namespace },
    spec: { egress: [{ hosts: ['*/unwanted'] }] },
  }
  await eventually(
    async () => await assert.rejects(client.apply(SIDECAR, probe, { fieldManager: 'test', dryRun: true }), /a host is unwanted/),
  )
  return {
    async [Symbol.asyncDispose]() {
      for (const type of [binding, policy]) await client.remove({ type, name: namespace })
    },
  }
}

test('a host that the API server refuses does not keep the others from the Sidecar, and the fence names it', async () => {
  await using _ = await refuseUnwantedHosts()
  const readyOf = async (): Promise<ReturnType<typeof conditionOf>> => conditionOf(await fenceOf(client, namespace, 'picky'), 'Ready')
  const hosts = { a: {}, unwanted: {}, z: {} }
  await putPod(cluster, { namespace, name: 'picky', ip: '172.20.1.3', labels: { app: 'picky' } })
  await createFence(client, namespace, 'picky', { enable: true, host: hosts })
  await hostsAre('picky', [`*/${full('a')}`, `*/${full('z')}`])
  await eventually(async () => {
    const { status, reason, message } = await readyOf()
    assert.deepEqual([status, reason], ['False', 'HostsRefused'])
    assert.match(message ?? '', /without \*\/unwanted\..* is refused with: .*a host is unwanted/)
  })
  await change('picky', { host: { b: {} } })
  await hostsAre('picky', [`*/${full('a')}`, `*/${full('b')}`, `*/${full('z')}`])
  await change('picky', { host: { unwanted: null } })
  await eventually(async () => assert.equal((await readyOf()).status, 'True'))
})

test('fences that select the same pods have one Sidecar, with what each of them needs', async () => {
  for (const name of ['twin', 'twin-headless', 'elsewhere'])
    await createService(client, namespace, name, {}, { app: name === 'elsewhere' ? name : 'twin' })
  await putPod(cluster, { namespace, name: 'twin', ip: '172.20.1.2', labels: { app: 'twin' } })
  const workloadSelector = { fromService: true }
  for (const name of ['elsewhere', 'twin', 'twin-headless'])
    await createFence(client, namespace, name, { enable: true, workloadSelector, host: { [`for-${name}`]: {} } })
  await hostsAre('twin', [`*/${full('for-twin-headless')}`, `*/${full('for-twin')}`])
  await hostsAre('elsewhere', [`*/${full('for-elsewhere')}`])
  await isGone('twin-headless')
  await eventually(async () => {
    const [first, other] = await Promise.all(
      ['twin', 'twin-headless'].map(async (name) => conditionOf(await fenceOf(client, namespace, name), 'Ready')),
    )
    assert.deepEqual([first?.reason, other?.status, other?.reason], ['SidecarApplied', 'True', 'SidecarShared'])
    assert.match(first?.message ?? '', /those of twin-headless/)
    assert.match(other?.message ?? '', /^Sidecar twin holds/)
  })
  const learned = { status: { metricStatus: { [keyOfHost('learned.example.com')]: '1' } } }
  await client.mergePatch(refOf('twin-headless', SERVICE_FENCE), learned, 'test', 'status')
  await hostsAre('twin', [`*/${full('for-twin-headless')}`, `*/${full('for-twin')}`, '*/learned.example.com'])
  await change('twin', { enable: false })
  await isGone('twin')
  await hostsAre('twin-headless', [`*/${full('for-twin-headless')}`, '*/learned.example.com'])
  await change('twin', { enable: true })
  await isGone('twin-headless')
  await client.mergePatch(refOf('twin-headless', SERVICE), { spec: { selector: { app: 'other' } } }, 'kubectl-edit')
  await hostsAre('twin-headless', [`*/${full('for-twin-headless')}`, '*/learned.example.com'])
  await hostsAre('twin', [`*/${full('for-twin')}`])
})

test('nothing is written while nothing changes', async () => {
  const { items } = await client.list(SIDECAR, { namespace })
  // what the tests before have set going comes to its end first
  await eventually(
    async () => {
      const since = new Date()
      await new Promise((resolve) => setTimeout(resolve, 2000))
      const writes = (await cluster.auditEvents(since)).filter(
        ({ user, verb }) => user === lazyload.user && !['get', 'list', 'watch'].includes(verb),
      )
      assert.deepEqual(writes, [])
    },
    { timeout: 30_000 },
  )
  assert.ok(items.length >= 7)
})
