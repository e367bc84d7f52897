/** Hosts that no catch-all can serve stay in Sidecars without having been called, and the fence says which and why. On a cluster of its own: they stay in every Sidecar. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { NAMESPACE, POD, SERVICE, SERVICE_ENTRY, SERVICE_FENCE, SIDECAR, VIRTUAL_SERVICE } from '../../../lazyload/kinds.ts'
import { type Cluster, startCluster } from '../../../local-cluster/cluster.ts'
import { installCrds } from '../../../local-cluster/crds.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import { eventually } from '../../helpers/eventually.ts'
import { conditionOf, createFence, fenceOf, hostsOf, type Lazyload, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const SLOW = { timeout: 30_000 }
const IN_MESH = { 'istio-injection': 'enabled' }
const HTTP: JsonObject = { name: 'http', port: 9080 }
const TCP: JsonObject = { name: 'tcp-mysql', port: 3306 }

let cluster: Cluster
let client: ReturnType<typeof adminClient>
/** Of the fence, in the mesh. */
let home: string
/** Of others, in the mesh. */
let other: string
let lazyload: Lazyload

before(async () => {
  cluster = await startCluster({ name: 'keep' })
  await installCrds(cluster)
  client = adminClient(cluster)
  home = await createNamespace(cluster, 'home', IN_MESH)
  other = await createNamespace(cluster, 'other', { 'istio.io/rev': 'canary' })
  lazyload = await startLazyload(cluster, { namespaces: [home] })
})
after(async () => {
  await lazyload?.stop()
  await cluster?.stop()
})
beforeEach(async () => {
  for (const namespace of [home, other])
    for (const type of [SERVICE, SERVICE_ENTRY, VIRTUAL_SERVICE, SIDECAR, SERVICE_FENCE, POD])
      for (const { metadata } of (await client.list(type, { namespace })).items)
        if (metadata.name !== 'global-sidecar' && metadata.name !== 'kubernetes')
          await client.remove({ type, namespace, name: metadata.name })
})

const full = (name: string, namespace = other): string => `${name}.${namespace}.svc.cluster.local`
const create = async (type: ResourceType, name: string, spec: JsonObject, namespace = other, more: JsonObject = {}): Promise<KubeObject> =>
  await client.create(
    type,
    { apiVersion: type.apiVersion, kind: type.kind, metadata: { name, namespace, ...more }, spec },
    'kubectl-create',
  )
const service = async (name: string, spec: JsonObject, namespace = other, annotations: JsonObject = {}): Promise<KubeObject> =>
  await create(SERVICE, name, { selector: { app: name }, ...spec }, namespace, { annotations })
const exported = (to: string): JsonObject => ({ 'networking.istio.io/exportTo': to })

/** The Sidecar of `fence` has these beside what every Sidecar has, and its status says the same. */
async function keeps(fence: string, kept: Readonly<Record<string, string>>, namespace = home): Promise<void> {
  await eventually(async () => {
    const hosts = hostsOf(await sidecarOf(client, namespace, fence))
    assert.deepEqual(
      hosts.slice(0, -3),
      Object.keys(kept)
        .map((host) => `*/${host}`)
        .sort(),
      lazyload.log(),
    )
    const { status } = await fenceOf(client, namespace, fence)
    const reasons = Object.values(kept)
    assert.equal(status?.kept?.total ?? 0, reasons.length)
    assert.deepEqual(Object.fromEntries((status?.kept?.hosts ?? []).map(({ host, reason }) => [host, reason])), kept)
    assert.deepEqual(
      status?.kept?.reasons ?? {},
      Object.fromEntries(reasons.map((reason) => [reason, reasons.filter((each) => each === reason).length])),
    )
  }, SLOW)
}

test('Services that speak no HTTP, on other ports, headless or hidden stay; those that the catch-all serves do not, nor those without pods in the mesh', async () => {
  const outside = await createNamespace(cluster, 'outside')
  const off = await createNamespace(cluster, 'off', { 'istio-injection': 'disabled', 'istio.io/rev': 'canary' })
  const pod = { containers: [{ name: 'app', image: 'x' }] }
  await create(POD, 'plain', pod, outside)
  const kept: readonly (readonly [name: string, spec: JsonObject, reason: string])[] = [
    ['mysql', { ports: [TCP] }, 'NotHTTP'],
    ['both', { ports: [HTTP, { name: 'mongo', port: 27017 }] }, 'NotHTTP'],
    ['unnamed', { ports: [{ port: 9080 }] }, 'NotHTTP'],
    ['unknown', { ports: [{ name: 'web', port: 9080 }] }, 'NotHTTP'],
    ['tcp-named', { ports: [{ name: 'tcp-web', port: 9080 }] }, 'NotHTTP'],
    ['https', { ports: [{ name: 'https', port: 443 }] }, 'NotHTTP'],
    ['app-protocol', { ports: [{ name: 'http', port: 9080, appProtocol: 'redis' }] }, 'NotHTTP'],
    ['wss', { ports: [{ name: 'http', port: 9080, appProtocol: 'kubernetes.io/wss' }] }, 'NotHTTP'],
    ['odd-port', { ports: [{ name: 'http', port: 8000 }] }, 'Port'],
    ['grpc-port', { ports: [HTTP, { name: 'grpc', port: 50051 }] }, 'Port'],
    ['headless', { ports: [HTTP], clusterIP: 'None' }, 'Headless'],
    ['headless-tcp', { ports: [TCP], clusterIP: 'None' }, 'Headless'],
    ['node-port', { ports: [TCP], type: 'NodePort' }, 'NotHTTP'],
  ]
  const served: readonly (readonly [name: string, spec: JsonObject, namespace?: string, annotations?: JsonObject])[] = [
    ['details', { ports: [HTTP] }],
    ['http2', { ports: [{ name: 'http2-x', port: 9080 }] }],
    ['grpc-web', { ports: [{ name: 'grpc-web', port: 9080 }] }],
    ['upper', { ports: [{ name: 'x', port: 9080, appProtocol: 'HTTP' }] }],
    ['h2c', { ports: [{ name: 'tcp', port: 9080, appProtocol: 'kubernetes.io/h2c' }] }],
    ['udp', { ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] }],
    ['with-udp', { ports: [HTTP, { name: 'dns', port: 53, protocol: 'UDP' }] }],
    ['no-selector', { ports: [TCP], selector: null }],
    ['alias', { type: 'ExternalName', externalName: 'db.example.com', ports: [TCP] }],
    ['headless-udp', { ports: [{ name: 'dns', port: 53, protocol: 'UDP' }], clusterIP: 'None' }],
    ['invisible', { ports: [TCP] }, other, exported('~')],
    ['private', { ports: [TCP] }, other, exported('.')],
    ['elsewhere', { ports: [TCP] }, other, exported('x, y')],
    ['outside', { ports: [TCP] }, outside],
    ['off', { ports: [TCP] }, off],
    ['system', { ports: [TCP] }, 'kube-system'],
  ]
  for (const [name, spec] of kept) await service(name, spec)
  await service('given', { ports: [TCP] }, other, exported(`x, ${home}`))
  await service('own', { ports: [TCP] }, home, exported('.'))
  for (const [name, spec, namespace, annotations] of served) await service(name, spec, namespace, annotations)
  await createFence(client, home, 'fence')
  await keeps('fence', {
    ...Object.fromEntries(kept.map(([name, , reason]) => [full(name), reason])),
    [full('given')]: 'NotHTTP',
    [full('own', home)]: 'NotHTTP',
  })
  const { status } = await fenceOf(client, home, 'fence')
  assert.equal(status?.hosts, 0, 'what is kept is not counted as learned')
  // what happens to a Service later is followed
  await client.mergePatch({ type: SERVICE, namespace: other, name: 'mysql' }, { spec: { ports: [HTTP] } }, 'kubectl-edit')
  for (const [name] of kept.slice(1, -1)) await client.remove({ type: SERVICE, namespace: other, name })
  await client.mergePatch({ type: SERVICE, namespace: other, name: 'given' }, { metadata: { annotations: exported('*') } }, 'kubectl-edit')
  await keeps('fence', { [full('given')]: 'NotHTTP', [full('own', home)]: 'NotHTTP', [full('node-port')]: 'NotHTTP' })
})

test('the wormhole ports are those that the global-sidecar serves, also when they change', async () => {
  await service('odd-port', { ports: [{ name: 'http', port: 8000 }] })
  await createFence(client, home, 'fence')
  await keeps('fence', { [full('odd-port')]: 'Port' })
  const globalSidecar = { type: SERVICE, namespace: home, name: 'global-sidecar' }
  await client.mergePatch(globalSidecar, { spec: { ports: [HTTP, { name: 'http-8000', port: 8000 }] } }, 'slimeboot')
  await keeps('fence', {})
  await client.mergePatch(globalSidecar, { spec: { ports: [HTTP] } }, 'slimeboot')
  await keeps('fence', { [full('odd-port')]: 'Port' })
})

test('a namespace without a label is in the mesh once one of its pods is; the global-sidecar in it is none', async () => {
  const pods: readonly JsonObject[] = [
    { metadata: { labels: { 'sidecar.istio.io/inject': 'true' } } },
    { metadata: { annotations: { 'sidecar.istio.io/status': '{}' } } },
    { metadata: { labels: { 'istio.io/rev': 'canary' } } },
    { spec: { containers: [{ name: 'istio-proxy', image: 'x' }] } },
  ]
  const namespaces = await Promise.all(pods.map(async () => await createNamespace(cluster, 'unlabelled')))
  for (const namespace of namespaces) await service('db', { ports: [TCP] }, namespace)
  await createFence(client, home, 'fence')
  await keeps('fence', {})
  const spec = { containers: [{ name: 'app', image: 'x' }] }
  const [first] = namespaces
  await client.create(
    { apiVersion: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true },
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'global-sidecar', namespace: first! },
    },
  )
  await create(POD, 'gs', { ...spec, serviceAccountName: 'global-sidecar' }, first, { labels: { 'sidecar.istio.io/inject': 'true' } })
  await create(POD, 'refuses', spec, first, { labels: { 'sidecar.istio.io/inject': 'false', 'istio.io/rev': 'canary' } })
  const kept: Record<string, string> = {}
  for (const [index, pod] of pods.entries()) {
    const namespace = namespaces[index]!
    await create(POD, 'app', { ...spec, ...(pod['spec'] as JsonObject | undefined) }, namespace, (pod['metadata'] ?? {}) as JsonObject)
    kept[full('db', namespace)] = 'NotHTTP'
    await keeps('fence', kept)
  }
  // pods come and go: that they are away for a moment takes nothing back
  await client.remove({ type: POD, namespace: first!, name: 'app' })
  await client.mergePatch(
    { type: NAMESPACE, name: namespaces[1]! },
    { metadata: { labels: { 'istio-injection': 'disabled' } } },
    'kubectl-label',
  )
  delete kept[full('db', namespaces[1])]
  await keeps('fence', kept)
  await client.mergePatch({ type: NAMESPACE, name: namespaces[1]! }, { metadata: { labels: IN_MESH } }, 'kubectl-label')
  kept[full('db', namespaces[1])] = 'NotHTTP'
  await keeps('fence', kept)
  for (const namespace of namespaces) await client.remove({ type: SERVICE, namespace, name: 'db' })
})

test('ServiceEntries with such a port, without resolution, or of a whole domain stay; those that the catch-all serves do not', async () => {
  const ports = [{ number: 9080, name: 'http', protocol: 'HTTP' }]
  const tls = [{ number: 443, name: 'tls', protocol: 'TLS' }]
  const entry = async (name: string, spec: JsonObject, namespace = other): Promise<KubeObject> =>
    await create(SERVICE_ENTRY, name, { resolution: 'DNS', hosts: [`${name}.example.com`], ...spec }, namespace)
  await entry('tls', { ports: tls })
  await entry('two', { ports: [...ports, { number: 6379, name: 'http-redis', protocol: 'Redis' }], hosts: ['b.two.org', 'A.two.org'] })
  await entry('none', { ports, resolution: 'NONE' })
  await entry('absent', { ports, resolution: null })
  await entry('wildcard', { ports, resolution: 'NONE', hosts: ['*.wild.org'] })
  await entry('port', { ports: [{ number: 8443, name: 'x', protocol: 'GRPC' }] })
  await entry('own', { ports: tls, exportTo: ['.'] }, home)
  await entry('given', { ports: tls, exportTo: ['x', home] })
  await entry('served', { ports })
  await entry('static', { ports, resolution: 'STATIC', endpoints: [{ address: '192.0.2.1' }] })
  await entry('hidden', { ports: tls, exportTo: ['.'] })
  await entry('udp', { ports: [{ number: 53, name: 'dns', protocol: 'UDP' }] })
  await createFence(client, home, 'fence')
  await keeps('fence', {
    'tls.example.com': 'NotHTTP',
    'a.two.org': 'NotHTTP',
    'b.two.org': 'NotHTTP',
    'none.example.com': 'NoResolution',
    'absent.example.com': 'NoResolution',
    '*.wild.org': 'Wildcard',
    'port.example.com': 'Port',
    'own.example.com': 'NotHTTP',
    'given.example.com': 'NotHTTP',
  })
})

test('VirtualServices that look at the caller stay, with all that they route to', async () => {
  const to = (...hosts: readonly string[]): JsonObject => ({ route: hosts.map((host) => ({ destination: { host } })) })
  const labels = { sourceLabels: { app: 'a' } }
  await create(VIRTUAL_SERVICE, 'labels', { hosts: ['labels'], http: [{ match: [labels], ...to('v2') }, to('v1.far.svc.cluster.local')] })
  await create(VIRTUAL_SERVICE, 'namespace', { hosts: ['b.example.com'], tcp: [{ match: [{ sourceNamespace: home }], ...to('tcp') }] })
  await create(VIRTUAL_SERVICE, 'gateways', {
    hosts: ['c.example.com'],
    gateways: ['mesh', 'egress'],
    tls: [{ match: [{ gateways: ['mesh'], port: 443, sniHosts: ['c.example.com'] }], ...to('egress') }],
  })
  await create(VIRTUAL_SERVICE, 'root', { hosts: ['root'], http: [{ delegate: { name: 'delegate', namespace: home } }] })
  await create(VIRTUAL_SERVICE, 'delegate', { http: [{ match: [labels], ...to('delegated') }] }, home)
  await create(VIRTUAL_SERVICE, 'hidden', { hosts: ['hidden'], exportTo: ['.'], http: [{ match: [labels], ...to('v2') }] })
  await create(VIRTUAL_SERVICE, 'ordinary', { hosts: ['ordinary'], http: [{ match: [{ uri: { prefix: '/' } }], ...to('v9') }] })
  await create(VIRTUAL_SERVICE, 'edge', { hosts: ['edge'], gateways: ['edge'], http: [{ match: [labels], ...to('v9') }] })
  await createFence(client, home, 'fence')
  const kept = {
    ...Object.fromEntries(['labels', 'v2', 'tcp', 'egress', 'root'].map((name) => [full(name), 'CallerRoutes'])),
    'v1.far.svc.cluster.local': 'CallerRoutes',
    'b.example.com': 'CallerRoutes',
    'c.example.com': 'CallerRoutes',
    [full('delegated', home)]: 'CallerRoutes',
  }
  await keeps('fence', kept)
  await client.mergePatch(
    { type: VIRTUAL_SERVICE, namespace: home, name: 'delegate' },
    { spec: { http: [to('delegated')] } },
    'kubectl-edit',
  )
  delete kept[full('root')]
  delete kept[full('delegated', home)]
  await keeps('fence', kept)
})

test('spec.keep narrows what is kept to the namespace of the fence, or to nothing; condition Kept says so', async () => {
  await service('near', { ports: [TCP] }, home)
  await service('far', { ports: [TCP] })
  for (const name of ['a', 'b', 'c', 'd']) await service(name, { ports: [HTTP] })
  await createFence(client, home, 'fence')
  await keeps('fence', { [full('near', home)]: 'NotHTTP', [full('far')]: 'NotHTTP' })
  const set = async (spec: JsonObject): Promise<unknown> =>
    await client.mergePatch({ type: SERVICE_FENCE, namespace: home, name: 'fence' }, { spec }, 'kubectl-edit')
  const keptIs = async (status: string, reason: string, text: RegExp): Promise<void> =>
    await eventually(async () => {
      const condition = conditionOf(await fenceOf(client, home, 'fence'), 'Kept')
      assert.deepEqual([condition.status, condition.reason], [status, reason])
      assert.match(condition.message ?? '', text)
    })
  await set({ keep: 'namespace' })
  await keeps('fence', { [full('near', home)]: 'NotHTTP' })
  await set({ keep: 'none' })
  await keeps('fence', {})
  await keptIs('False', 'KeepsNothing', /spec\.keep/)
  await set({ keep: null })
  await keeps('fence', { [full('near', home)]: 'NotHTTP', [full('far')]: 'NotHTTP' })
  await assert.rejects(set({ keep: 'some' }), /keep/)
  // what the fence has as a whole namespace is not listed twice
  await set({ namespaceSelector: [other] })
  await eventually(async () =>
    assert.deepEqual(hostsOf(await sidecarOf(client, home, 'fence')).slice(0, -3), [`*/${full('near', home)}`, `${other}/*`]),
  )
  await set({ enable: false })
  await keptIs('False', 'Disabled', /enable/)
  assert.equal((await fenceOf(client, home, 'fence')).status?.kept, undefined)
})

test('a change of what is kept is written once, one that changes nothing of it not at all', async () => {
  await service('db', { ports: [TCP] })
  for (const name of ['one', 'two']) await createFence(client, home, name)
  for (const name of ['one', 'two']) await keeps(name, { [full('db')]: 'NotHTTP' })
  const since = new Date()
  await service('served', { ports: [HTTP] })
  await client.mergePatch({ type: SERVICE, namespace: other, name: 'db' }, { metadata: { labels: { a: 'b' } } }, 'kubectl-label')
  await Promise.all(['q', 'r', 's'].map(async (name) => await service(name, { ports: [TCP] })))
  const kept = Object.fromEntries(['db', 'q', 'r', 's'].map((name) => [full(name), 'NotHTTP']))
  for (const name of ['one', 'two']) await keeps(name, kept)
  const writes = (await cluster.auditEvents(since)).filter(
    ({ user, verb, resource }) => user === lazyload.user && resource === 'sidecars' && !['get', 'list', 'watch'].includes(verb),
  )
  assert.ok(writes.length <= 4, `${writes.length} writes for two fences`)
})
