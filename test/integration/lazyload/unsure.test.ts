/** What lazyload cannot see, or what others do at the same moment: no fence, no host and no Sidecar of somebody else is lost to it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CREATED_BY, CREATED_BY_LABEL, FENCED_LABEL } from '../../../lazyload/auto-fence/decision.ts'
import { GLOBAL_SIDECAR, SERVICE, SERVICE_FENCE, SIDECAR, VIRTUAL_SERVICE } from '../../../lazyload/kinds.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'
import type { ObjectRef, ResourceType } from '../../../runtime/resource.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { type FaultProxy, isWatch, startFaultProxy } from '../../helpers/fault-proxy.ts'
import {
  conditionOf,
  createFence,
  createGlobalSidecar,
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

const SLOW = { timeout: 30_000 }
const FORBIDDEN = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', message: 'forbidden', code: 403 }
const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
let bare: string
let proxy: FaultProxy
let lazyload: Lazyload

before(async () => {
  namespace = await createNamespace(cluster, 'unsure')
  bare = await createNamespace(cluster, 'bare')
  await createGlobalSidecar(client, namespace)
  for (const app of ['blind', 'later']) await putPod(cluster, { namespace, name: app, ip: '172.20.1.1', labels: { app } })
  for (const app of ['svc', 'by-hand']) await putPod(cluster, { namespace: bare, name: app, ip: '172.20.1.1', labels: { app } })
  proxy = await startFaultProxy(cluster)
})
after(async () => {
  await lazyload?.stop()
  await proxy[Symbol.asyncDispose]()
})

const refTo = (name: string, type: ResourceType = SIDECAR, where = namespace): ObjectRef => ({ type, namespace: where, name })
const create = async (type: ResourceType, name: string, spec: JsonObject): Promise<KubeObject> =>
  await client.create(type, { apiVersion: type.apiVersion, kind: type.kind, metadata: { name, namespace }, spec }, 'kubectl-create')
const readyIs = async (name: string, status: string, reason: string, where = namespace): Promise<void> =>
  await eventually(async () => {
    const { status: found, reason: why } = conditionOf(await fenceOf(client, where, name), 'Ready')
    assert.deepEqual([found, why], [status, reason])
  }, SLOW)
const hostsAre = async (name: string, ...hosts: readonly string[]): Promise<void> =>
  await eventually(async () => assert.deepEqual(hostsOf(await sidecarOf(client, namespace, name)).slice(0, -3), hosts), SLOW)
/** The watch of `resource` says nothing any more, as one whose connection has died. */
function silence(resource: string): void {
  proxy.inject((exchange) => isWatch(exchange) && exchange.path.endsWith(`/${resource}`), { stall: 'body' })
  proxy.cut()
}
const autoFence = async (name: string): Promise<KubeObject> =>
  await createFence(client, namespace, name, { enable: true, workloadSelector: { fromService: true } }, { [CREATED_BY_LABEL]: CREATED_BY })
const uidOf = async (name: string): Promise<string | undefined> => (await fenceOf(client, namespace, name)).metadata.uid

test('before everything is listed nothing is written: neither a proxy that answers 404 instead nor a missing right unmakes fences', async () => {
  await createService(client, namespace, 'kept', { [FENCED_LABEL]: 'true' })
  const { uid } = (await autoFence('kept')).metadata
  proxy.inject(({ path }) => path === '/api/v1/services', { answer: 404, body: '<html>' }, 4)
  proxy.inject(({ path }) => path.endsWith('/serviceentries'), { answer: 403, body: FORBIDDEN })
  lazyload = await startLazyload(
    { dir: cluster.dir, kubeconfigFor: proxy.kubeconfigFor },
    { namespaces: [namespace, bare], globalSidecar: false },
  )
  await eventually(async () => {
    const { status, text } = await lazyload.get('/modules/readyz')
    assert.equal(status, 503, text)
    assert.match(text, /^\[-]watch services failed: not listed yet/m)
    assert.doesNotMatch(text, /^\[-]watch virtualservices/m)
  }, SLOW)
  assert.match(await lazyload.logs('waiting: nothing is written'), /resources=\["serviceentries/)
  assert.match((await lazyload.get('/modules/readyz')).text, /^\[-]watch serviceentries\S+ failed: may not be listed/m)
  assert.equal(await client.get(refTo('kept')), undefined)
  proxy.heal()
  await eventually(async () => await sidecarOf(client, namespace, 'kept'), SLOW)
  assert.equal(await uidOf('kept'), uid)
})

test('a fence whose Service has not been heard of is looked up before it is removed', async () => {
  silence('services')
  await createService(client, namespace, 'unheard', { [FENCED_LABEL]: 'true' })
  const { uid } = (await autoFence('unheard')).metadata
  const path = `/api/v1/namespaces/${namespace}/services/unheard`
  await eventually(() =>
    assert.ok(
      proxy.exchanges.some((exchange) => exchange.path === path && exchange.status === 200),
      lazyload.log(),
    ),
  )
  proxy.heal()
  proxy.cut()
  await eventually(async () => await sidecarOf(client, namespace, 'unheard'), SLOW)
  assert.equal(await uidOf('unheard'), uid)
  await client.remove(refTo('unheard', SERVICE))
  await eventually(async () => assert.equal(await client.get(refTo('unheard', SERVICE_FENCE)), undefined), SLOW)
})

test('a Sidecar that somebody makes just before is theirs, also where its event has not come; so is one that is replaced', async () => {
  await createFence(client, namespace, 'replaced')
  await hostsAre('replaced')
  silence('sidecars')
  const theirs = await create(SIDECAR, 'raced', { workloadSelector: { labels: { app: 'raced' } }, egress: [{ hosts: ['mine/*'] }] })
  await createFence(client, namespace, 'raced')
  await readyIs('raced', 'False', 'SidecarForeign')
  await client.remove(refTo('replaced'))
  const again = await create(SIDECAR, 'replaced', { workloadSelector: { labels: { app: 'replaced' } }, egress: [{ hosts: ['mine/*'] }] })
  const refused = `/namespaces/${namespace}/sidecars/replaced`
  await client.mergePatch(refTo('replaced', SERVICE_FENCE), { spec: { host: { details: {} } } }, 'kubectl-edit')
  await eventually(() =>
    assert.ok(
      proxy.exchanges.some(({ path, status }) => path.endsWith(refused) && status === 409),
      lazyload.log(),
    ),
  )
  proxy.heal()
  proxy.cut()
  await readyIs('replaced', 'False', 'SidecarForeign')
  for (const { metadata } of [theirs, again])
    assert.equal((await sidecarOf(client, namespace, metadata.name)).metadata.resourceVersion, metadata.resourceVersion)
})

test('while VirtualServices may not be listed hosts are only added, and no Sidecar is made; the fence says so', async () => {
  await create(VIRTUAL_SERVICE, 'seen', { hosts: ['a.example.com'], http: [{ route: [{ destination: { host: 'b.example.com' } }] }] })
  await createFence(client, namespace, 'blind', { enable: true, host: { 'a.example.com': {} } })
  await hostsAre('blind', '*/a.example.com', '*/b.example.com')
  proxy.inject(({ path }) => path.endsWith('/virtualservices'), { answer: 403, body: FORBIDDEN })
  proxy.cut()
  await readyIs('blind', 'Unknown', 'KindsUnseen')
  await client.mergePatch(refTo('blind', SERVICE_FENCE), { spec: { host: { 'a.example.com': null, 'c.example.com': {} } } }, 'kubectl-edit')
  await hostsAre('blind', '*/a.example.com', '*/b.example.com', '*/c.example.com')
  await createFence(client, namespace, 'later')
  await readyIs('later', 'Unknown', 'KindsUnseen')
  assert.equal(await client.get(refTo('later')), undefined)
  proxy.heal()
  await hostsAre('blind', '*/c.example.com')
  await readyIs('blind', 'True', 'SidecarApplied')
  await readyIs('later', 'True', 'SidecarApplied')
})

test('without a global-sidecar a namespace gets fences by label, which say what is missing, and no Sidecars; with it they come', async () => {
  await createService(client, bare, 'svc', { [FENCED_LABEL]: 'true' })
  await createFence(client, bare, 'by-hand')
  for (const name of ['svc', 'by-hand']) {
    await eventually(async () => await fenceOf(client, bare, name))
    await readyIs(name, 'False', 'NoGlobalSidecar', bare)
    assert.equal(await client.get(refTo(name, SIDECAR, bare)), undefined)
    assert.equal(conditionOf(await fenceOf(client, bare, name), 'Learning').reason, 'NoGlobalSidecar')
  }
  await createGlobalSidecar(client, bare)
  for (const name of ['svc', 'by-hand']) {
    await readyIs(name, 'True', 'SidecarApplied', bare)
    assert.equal(conditionOf(await fenceOf(client, bare, name), 'Learning').status, 'True')
  }
  await client.remove(refTo(GLOBAL_SIDECAR, SERVICE, bare))
  await readyIs('by-hand', 'False', 'NoGlobalSidecar', bare)
  await sidecarOf(client, bare, 'by-hand')
})

test('a Sidecar that somebody changes again and again is let go, and the fence names them', async () => {
  await createFence(client, namespace, 'fought')
  await hostsAre('fought')
  const spoiled = { spec: { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } } }
  for (let fights = 0; fights < 12; fights++) {
    await client.mergePatch(refTo('fought'), spoiled, 'gitops')
    const isOver = await eventually(async () => {
      const { reason, message } = conditionOf(await fenceOf(client, namespace, 'fought'), 'Ready')
      if (reason === 'Contested') {
        assert.match(message ?? '', /^gitops writes the Sidecar again and again/)
        return true
      }
      assert.equal(((await sidecarOf(client, namespace, 'fought'))['spec'] as JsonObject)['outboundTrafficPolicy'], undefined)
      return false
    })
    if (isOver) return assert.ok(fights >= 5, 'too soon: an edit or two in good faith are repaired at once')
  }
  assert.fail('it fights for ever')
})
