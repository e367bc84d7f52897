/** `wormholePort: auto`: the operator serves the HTTP ports of the Services of the mesh, as they come and go. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { NAMESPACE, POD, SERVICE } from '../../operator/api/kinds.ts'
import { FOUND_PORTS_ANNOTATION } from '../../operator/api/slimeboot.ts'
import type { JsonObject } from '../../runtime/object.ts'
import type { ObjectRef } from '../../runtime/resource.ts'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { createNamespace } from '../helpers/namespace.ts'
import {
  changeSpec,
  createBoot,
  type Installation,
  isReady,
  newInstallation,
  read,
  readBoot,
  refTo,
  setStage,
  specOf,
  type Stage,
  writes,
} from '../helpers/stage.ts'

/** Well under the time after which anything is looked at again anyway. */
const SOON = { timeout: 10_000 }
let stage: Stage
let installation: Installation
/** In the mesh, not listed by the SlimeBoot. */
let member: string
let outside: string

// A cluster of its own: the Services of others would be served too, and these would be kept in the Sidecars of others.
let cluster: Cluster
before(async () => {
  cluster = await startCluster({ name: 'auto-port' })
  await installCrds(cluster)
  stage = await setStage(cluster, 'auto-port')
  installation = await newInstallation(stage, 'auto-port')
  member = await createNamespace(stage.cluster, 'auto-port-member')
  outside = await createNamespace(stage.cluster, 'auto-port-outside')
  await label(member, 'enabled')
  await label(outside, 'disabled')
  await createService(member, 'base', [{ name: 'http', port: 7001 }])
  await createBoot(stage, installation.name, spec())
  await stage.eventually(async () => assert.deepEqual(ours(await servicePorts()), [7001]))
  await isReady(stage, installation.name)
})
after(async () => {
  await stage?.[Symbol.asyncDispose]()
  await cluster?.stop()
})

function spec(general: JsonObject = {}, wormholePort: JsonObject[string] = 'auto'): JsonObject {
  const base = specOf(installation, { source: 'accesslog' })
  const [module] = base['module'] as readonly JsonObject[]
  return { ...base, module: [{ ...module, general, fence: { ...(module!['fence'] as JsonObject), wormholePort } }] }
}

async function label(namespace: string, injection: string): Promise<void> {
  const { client } = stage
  await client.mergePatch({ type: NAMESPACE, name: namespace }, { metadata: { labels: { 'istio-injection': injection } } }, 'test')
}

async function createService(namespace: string, name: string, ports: readonly JsonObject[]): Promise<void> {
  await stage.client.create(SERVICE, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { selector: { app: name }, ports },
  })
}

async function removeService(namespace: string, name: string): Promise<void> {
  await stage.client.remove(refTo('Service', namespace, name))
}

const app = (kind: string, name: string): ObjectRef => refTo(kind, installation.apps[0], name)

async function servicePorts(): Promise<readonly number[]> {
  const service = await read(stage, app('Service', 'global-sidecar'))
  return (service['spec'] as { ports: readonly { port: number }[] }).ports.map(({ port }) => port)
}

/** Other test files use the same cluster: only ports of this file count. */
const ours = (ports: readonly number[]): readonly number[] => ports.filter((port) => port >= 7000 && port < 8000)

async function everywhere(port: number, there: boolean): Promise<void> {
  assert.equal((await servicePorts()).includes(port), there)
  const sidecar = JSON.stringify((await read(stage, app('Sidecar', 'global-sidecar')))['spec'])
  assert.equal(sidecar.includes(`"http-${port}"`), there)
  const catchAll = JSON.stringify((await read(stage, app('EnvoyFilter', 'to-global-sidecar')))['spec'])
  assert.equal(catchAll.includes(String(port)), there)
}

async function annotation(): Promise<string> {
  const configMap = await read(stage, refTo('ConfigMap', installation.home, installation.module))
  return configMap.metadata.annotations?.[FOUND_PORTS_ANNOTATION] ?? ''
}

async function warnings(): Promise<string> {
  return JSON.stringify((await readBoot(stage, installation.name)).status ?? {})
}

test('an HTTP port of a Service in the mesh is served soon after it comes', async () => {
  await createService(member, 'comes', [{ name: 'grpc-api', port: 7010 }])
  await stage.eventually(async () => await everywhere(7010, true), SOON)
})

test('ports outside the mesh, of unknown protocol and of the proxy itself are not served', async () => {
  await createService(outside, 'outside', [{ name: 'http', port: 7011 }])
  await createService(member, 'unknown', [{ name: 'web', port: 7012 }])
  await createService(member, 'proxy', [{ name: 'http', port: 15_021 }])
  await createService(member, 'later', [{ name: 'http', port: 7013 }])
  await stage.eventually(async () => await everywhere(7013, true), SOON)
  const ports = await servicePorts()
  for (const port of [7011, 7012, 15_021]) assert.ok(!ports.includes(port), String(port))
})

test('a port on which a Service speaks TCP is not served, and the status names the Services', async () => {
  await createService(member, 'speaks-http', [{ name: 'http', port: 7020 }])
  await stage.eventually(async () => await everywhere(7020, true), SOON)
  await createService(member, 'speaks-tcp', [{ name: 'tcp-db', port: 7020 }])
  await stage.eventually(async () => {
    await everywhere(7020, false)
    const text = await warnings()
    assert.match(text, /PortConflict/)
    assert.ok(text.includes(`${member}/speaks-http`) && text.includes(`${member}/speaks-tcp`), text)
  }, SOON)
  await removeService(member, 'speaks-tcp')
  await stage.eventually(async () => await everywhere(7020, true))
})

test('a namespace without labels is in the mesh as soon as it has a pod of the mesh', async () => {
  const unlabelled = await createNamespace(stage.cluster, 'auto-port-pods')
  await createService(unlabelled, 'web', [{ name: 'http', port: 7030 }])
  await createService(member, 'marker', [{ name: 'http', port: 7031 }])
  await stage.eventually(async () => await everywhere(7031, true))
  assert.ok(!(await servicePorts()).includes(7030))
  await stage.client.create(POD, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: unlabelled, annotations: { 'sidecar.istio.io/status': '{}' } },
    spec: { containers: [{ name: 'web', image: 'web' }] },
  })
  await stage.eventually(async () => await everywhere(7030, true))
})

test('a port whose last Service goes stays, also over a restart, and one that comes back stays for good', async () => {
  await createService(member, 'goes', [{ name: 'http', port: 7040 }])
  await createService(member, 'stays', [{ name: 'http', port: 7041 }])
  await stage.eventually(async () => await everywhere(7040, true))
  await removeService(member, 'goes')
  await stage.eventually(async () => assert.match(await annotation(), /\b7040=20\d\d-/))
  await everywhere(7040, true)
  const earlier = await read(stage, app('Service', 'global-sidecar'))
  const noted = await annotation()
  await stage.restart(async () => await removeService(member, 'stays'))
  await stage.eventually(async () => assert.match(await annotation(), /\b7041=20\d\d-/))
  await everywhere(7040, true)
  await everywhere(7041, true)
  const later = await read(stage, app('Service', 'global-sidecar'))
  assert.equal(later.metadata.resourceVersion, earlier.metadata.resourceVersion)
  assert.equal(/\b7040=\S+/.exec(await annotation())?.[0], /\b7040=\S+/.exec(noted)?.[0])
  await createService(member, 'goes', [{ name: 'http', port: 7040 }])
  await stage.eventually(async () => assert.match(await annotation(), /\b7040( |$)/))
})

test('a port leaves after portGrace, and -PORT leaves one out', async () => {
  await createService(member, 'brief', [{ name: 'http', port: 7050 }])
  await stage.eventually(async () => await everywhere(7050, true))
  await changeSpec(stage, installation.name, spec({ portGrace: '1s' }, ['auto', '7999', '-7001']))
  await stage.eventually(async () => {
    await everywhere(7999, true)
    await everywhere(7001, false)
  })
  await removeService(member, 'brief')
  await stage.eventually(async () => await everywhere(7050, false))
  await changeSpec(stage, installation.name, spec({ autoPort: true }, ['7999']))
  await stage.eventually(async () => await everywhere(7001, true))
})

test('two hundred Services at once are a few writes', async () => {
  const since = new Date()
  await Promise.all(
    Array.from(
      { length: 200 },
      async (_, index) => await createService(member, `many-${index}`, [{ name: 'http', port: 7100 + (index % 15) }]),
    ),
  )
  await stage.eventually(async () => {
    for (let port = 7100; port < 7115; port++) await everywhere(port, true)
  })
  const ofService = (await writes(stage, since)).filter(
    ({ resource, name, namespace }) => resource === 'services' && name === 'global-sidecar' && namespace === installation.apps[0],
  )
  assert.ok(ofService.length <= 4, `${ofService.length} writes`)
})
