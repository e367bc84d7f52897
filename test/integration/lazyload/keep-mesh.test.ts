/** What holds for the whole mesh, or a whole namespace, holds for fenced pods too: the mesh configuration, and Sidecars without a selector. On a cluster of its own: it holds for everybody. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { CONFIG_MAP, SERVICE, SERVICE_FENCE, SIDECAR } from '../../../lazyload/kinds.ts'
import { type Cluster, startCluster } from '../../../local-cluster/cluster.ts'
import { installCrds } from '../../../local-cluster/crds.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import { eventually } from '../../helpers/eventually.ts'
import { type FaultProxy, startFaultProxy } from '../../helpers/fault-proxy.ts'
import { conditionOf, createFence, fenceOf, hostsOf, type Lazyload, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { putPod } from '../../helpers/pods.ts'
import { adminClient } from '../../helpers/stage.ts'

const SLOW = { timeout: 30_000 }
const ISTIO = 'istio-system'
const FORBIDDEN = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', message: 'forbidden', code: 403 }

let cluster: Cluster
let client: ReturnType<typeof adminClient>
let namespace: string
let proxy: FaultProxy
let lazyload: Lazyload

before(async () => {
  cluster = await startCluster({ name: 'keep-mesh' })
  await installCrds(cluster)
  client = adminClient(cluster)
  await cluster.request('POST', '/api/v1/namespaces', { body: { metadata: { name: ISTIO } } })
  namespace = await createNamespace(cluster, 'mesh', { 'istio-injection': 'enabled' })
  for (const [index, name] of ['fence', 'old', 'new'].entries())
    await putPod(cluster, { namespace, name, ip: `172.21.1.${index + 1}`, labels: { app: name } })
  proxy = await startFaultProxy(cluster)
  lazyload = await start()
})
after(async () => {
  await lazyload?.stop()
  await proxy?.[Symbol.asyncDispose]()
  await cluster?.stop()
})
beforeEach(async () => {
  for (const where of [namespace, ISTIO])
    for (const type of [SIDECAR, SERVICE_FENCE])
      for (const { metadata } of (await client.list(type, { namespace: where })).items)
        await client.remove({ type, namespace: where, name: metadata.name })
})

const start = async (): Promise<Lazyload> =>
  await startLazyload({ dir: cluster.dir, kubeconfigFor: proxy.kubeconfigFor }, { namespaces: [namespace] })
const full = (name: string, where = namespace): string => `${name}.${where}.svc.cluster.local`
const create = async (
  { apiVersion, kind, ...type }: ResourceType,
  name: string,
  spec: JsonObject,
  where = namespace,
): Promise<KubeObject> =>
  await client.create({ apiVersion, kind, ...type }, { apiVersion, kind, metadata: { name, namespace: where }, spec }, 'kubectl-create')
const service = async (name: string, port: JsonObject): Promise<KubeObject> =>
  await create(SERVICE, name, { selector: { app: name }, ports: [port] })
const writeMesh = async (mesh: JsonObject, name = 'istio'): Promise<KubeObject> =>
  await client.apply(
    CONFIG_MAP,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: ISTIO }, data: { mesh: JSON.stringify(mesh) } },
    { fieldManager: 'istioctl' },
  )
const spec = async (name: string): Promise<JsonObject> => (await sidecarOf(client, namespace, name))['spec'] as JsonObject
const hostsAre = async (name: string, ...hosts: readonly string[]): Promise<void> =>
  await eventually(
    async () => assert.deepEqual(hostsOf(await sidecarOf(client, namespace, name)).slice(0, -3), hosts, lazyload.log()),
    SLOW,
  )
const conditionIs = async (name: string, type: string, status: string, reason: string, message = /./): Promise<void> =>
  await eventually(async () => {
    const condition = conditionOf(await fenceOf(client, namespace, name), type)
    assert.deepEqual([condition.status, condition.reason], [status, reason], condition.message)
    assert.match(condition.message ?? '', message)
  }, SLOW)

test('hosts of extension providers and of tracing stay, whoever has them, and follow the mesh configuration; without one nobody knows', async () => {
  await service('authz', { name: 'http', port: 9080 })
  await createFence(client, namespace, 'fence')
  await hostsAre('fence')
  await conditionIs('fence', 'Ready', 'True', 'SidecarApplied')
  await conditionIs('fence', 'Kept', 'Unknown', 'MeshConfigUnseen', /no mesh configuration in istio-system/)
  await writeMesh({
    extensionProviders: [
      { name: 'a', envoyExtAuthzGrpc: { service: full('authz'), port: 9000 } },
      { name: 'b', opentelemetry: { service: 'tracing/otel.example.com', port: 4317 } },
      { name: 'c', zipkin: { service: 'zipkin.istio-system.svc.cluster.local', port: 9411 } },
      { name: 'd', prometheus: {} },
    ],
    defaultConfig: { tracing: { zipkin: { address: `authz.${namespace}:9411` } } },
  })
  await hostsAre('fence', `*/${full('authz')}`, '*/otel.example.com')
  await eventually(async () =>
    assert.deepEqual((await fenceOf(client, namespace, 'fence')).status?.kept, {
      total: 2,
      reasons: { Provider: 2 },
      hosts: [full('authz'), 'otel.example.com'].map((host) => ({ host, reason: 'Provider' })),
    }),
  )
  await conditionIs('fence', 'Kept', 'True', 'Kept', /2 Provider/)
  // spec.keep: namespace is about the Services of others, not about what the mesh itself needs
  await client.mergePatch(
    { type: SERVICE_FENCE, namespace, name: 'fence' },
    { spec: { keep: 'namespace', host: { a: {} } } },
    'kubectl-edit',
  )
  await hostsAre('fence', `*/${full('a')}`, `*/${full('authz')}`, '*/otel.example.com')
  await writeMesh({ extensionProviders: [{ name: 'b', opentelemetry: { service: 'otel.example.com', port: 4317 } }] })
  await hostsAre('fence', `*/${full('a')}`, '*/otel.example.com')
})

test('where the mesh configuration may not be read what was kept for it stays, a new fence works all the same, and both say so', async () => {
  await writeMesh({ extensionProviders: [{ name: 'b', opentelemetry: { service: 'otel.example.com', port: 4317 } }] })
  await createFence(client, namespace, 'old')
  await hostsAre('old', '*/otel.example.com')
  await conditionIs('old', 'Kept', 'True', 'Kept')
  await lazyload.stop()
  proxy.inject(({ path }) => path.includes('/configmaps'), { answer: 403, body: FORBIDDEN })
  lazyload = await start()
  await conditionIs('old', 'Kept', 'Unknown', 'MeshConfigUnseen', /may not be read/)
  await createFence(client, namespace, 'new')
  await hostsAre('new')
  await hostsAre('old', '*/otel.example.com')
  for (const name of ['old', 'new']) {
    await conditionIs(name, 'Ready', 'True', 'SidecarApplied')
    await conditionIs(
      name,
      'Kept',
      'Unknown',
      'MeshConfigUnseen',
      /ConfigMap istio in istio-system may not be read: grant "list" and "watch"/,
    )
  }
  assert.equal((await lazyload.get('/modules/readyz')).status, 200)
  proxy.heal()
  await lazyload.stop()
  lazyload = await start()
  await hostsAre('new', '*/otel.example.com')
})

test('a mesh that hides Services by default, or shows them, decides for those that say nothing', async () => {
  await writeMesh({ defaultServiceExportTo: ['.'] })
  const other = await createNamespace(cluster, 'hiding', { 'istio-injection': 'enabled' })
  await create(SERVICE, 'db', { selector: { app: 'db' }, ports: [{ name: 'tcp', port: 3306 }] }, other)
  await service('own', { name: 'tcp', port: 3306 })
  await createFence(client, namespace, 'fence')
  await hostsAre('fence', `*/${full('own')}`)
  await writeMesh({})
  await hostsAre('fence', ...[full('db', other), full('own')].sort().map((host) => `*/${host}`))
  await client.remove({ type: SERVICE, namespace: other, name: 'db' })
  await hostsAre('fence', `*/${full('own')}`)
  await client.remove({ type: SERVICE, namespace, name: 'own' })
  await hostsAre('fence')
})

test('outboundTrafficPolicy, ingress and inboundConnectionPool of a namespace-wide Sidecar hold for fenced pods, and follow it', async () => {
  await createFence(client, namespace, 'fence', { enable: true, host: { details: {} } })
  await hostsAre('fence', `*/${full('details')}`)
  const ingress = [{ port: { number: 9080, protocol: 'HTTP', name: 'http' }, defaultEndpoint: '127.0.0.1:8080' }]
  const carried: readonly JsonObject[] = [
    { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } },
    { ingress },
    { inboundConnectionPool: { http: { http1MaxPendingRequests: 7 } } },
    { outboundTrafficPolicy: { mode: 'ALLOW_ANY' }, ingress, inboundConnectionPool: { tcp: { maxConnections: 3 } } },
  ]
  const isCarried = async (expected: JsonObject): Promise<void> =>
    await eventually(async () => {
      const { egress, workloadSelector, ...rest } = await spec('fence')
      assert.deepEqual(rest, expected)
      assert.deepEqual(workloadSelector, { labels: { app: 'fence' } })
      assert.ok(Array.isArray(egress))
    }, SLOW)
  for (const where of [namespace, ISTIO]) {
    const ref = { type: SIDECAR, namespace: where, name: 'default' }
    await create(SIDECAR, 'default', { egress: [{ hosts: ['*/*'] }], ...carried[0] }, where)
    await isCarried(carried[0]!)
    await conditionIs('fence', 'Ready', 'True', 'SidecarApplied', new RegExp(`outboundTrafficPolicy of Sidecar ${where}/default`))
    for (const fields of carried.slice(1)) {
      await client.jsonPatch(ref, [{ op: 'replace', path: '/spec', value: fields }], 'kubectl-edit')
      await isCarried(fields)
    }
    await client.remove(ref)
    await isCarried({})
    await conditionIs('fence', 'Ready', 'True', 'SidecarApplied', /^The Sidecar holds the dependencies below\.$/)
  }
  // that of the namespace replaces that of the mesh, and one for some pods is none of these
  await create(SIDECAR, 'mesh', carried[0]!, ISTIO)
  await isCarried(carried[0]!)
  await create(SIDECAR, 'ours', { egress: [{ hosts: ['*/*'] }] })
  await isCarried({})
  await client.remove({ type: SIDECAR, namespace, name: 'ours' })
  await create(SIDECAR, 'some', { ...carried[1], workloadSelector: { labels: { app: 'other' } } })
  await isCarried(carried[0]!)
})

test('hosts that a namespace-wide Sidecar keeps from pods are not reached through a fence, whether learned, said or kept', async () => {
  const other = await createNamespace(cluster, 'beyond', { 'istio-injection': 'enabled' })
  await create(SERVICE, 'db', { selector: { app: 'db' }, ports: [{ name: 'tcp', port: 3306 }] }, other)
  await create(SIDECAR, 'default', { egress: [{ hosts: ['./*', '*/www.example.com'] }] })
  await createFence(client, namespace, 'fence', {
    enable: true,
    host: { details: {}, [full('details', other)]: {}, 'www.example.com': {} },
    namespaceSelector: [other],
  })
  await hostsAre('fence', `*/${full('details')}`, '*/www.example.com', `${other}/www.example.com`)
  await conditionIs('fence', 'Ready', 'True', 'SidecarApplied', new RegExp(`default lets pods reach no \\*/.*${other}`))
  await client.mergePatch(
    { type: SIDECAR, namespace, name: 'default' },
    { spec: { egress: [{ hosts: ['./*', `${other}/*`] }] } },
    'kubectl-edit',
  )
  const narrowed = [namespace, other].map((where) => `${where}/www.example.com`)
  await hostsAre('fence', ...[`*/${full('details')}`, `*/${full('details', other)}`, `${other}/*`, ...narrowed].sort())
  await client.remove({ type: SERVICE, namespace: other, name: 'db' })
})

test('a namespace-wide Sidecar that cannot be carried leaves the fence without one, named with its field, until that is gone', async () => {
  await createFence(client, namespace, 'fence')
  await hostsAre('fence')
  const obstacles: readonly (readonly [egress: JsonObject, field: string])[] = [
    [{ port: { number: 9080, protocol: 'HTTP', name: 'http' } }, 'port'],
    [{ bind: '127.0.0.1', port: { number: 9080, protocol: 'HTTP', name: 'http' } }, 'bind|port'],
    [{ captureMode: 'NONE' }, 'captureMode'],
  ]
  for (const [egress, field] of obstacles) {
    await create(SIDECAR, 'default', { egress: [{ hosts: ['*/*'], ...egress }] })
    await conditionIs(
      'fence',
      'Ready',
      'False',
      'SidecarNotCarried',
      new RegExp(`Sidecar ${namespace}/default .*spec\\.egress\\[0\\]\\.(${field})`),
    )
    assert.equal(await client.get({ type: SIDECAR, namespace, name: 'fence' }), undefined)
    await client.remove({ type: SIDECAR, namespace, name: 'default' })
    await hostsAre('fence')
    await conditionIs('fence', 'Ready', 'True', 'SidecarApplied')
  }
})

test('the same state twice is no write', async () => {
  await writeMesh({ extensionProviders: [{ name: 'b', opentelemetry: { service: 'otel.example.com', port: 4317 } }] })
  await create(SIDECAR, 'default', { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, egress: [{ hosts: ['*/*'] }] })
  await createFence(client, namespace, 'fence')
  await hostsAre('fence', '*/otel.example.com')
  await conditionIs('fence', 'Kept', 'True', 'Kept')
  await lazyload.stop()
  const since = new Date()
  lazyload = await start()
  await lazyload.logs('working')
  // it watches: what comes after the start is seen
  await createFence(client, namespace, 'later')
  await hostsAre('later', '*/otel.example.com')
  const writes = (await cluster.auditEvents(since)).filter(
    ({ user, verb, name }) => user === lazyload.user && name === 'fence' && !['get', 'list', 'watch'].includes(verb),
  )
  assert.deepEqual(writes, [])
})
