/** A Sidecar is made only where what it lacks can be reached: behind a catch-all whose global-sidecar has a ready endpoint. One that is there stays. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  CATCH_ALL,
  CATCH_ALL_ANNOTATION,
  ENDPOINT_SLICE,
  ENVOY_FILTER,
  GLOBAL_SIDECAR,
  LEAVING_ANNOTATION,
  SERVICE,
  SERVICE_FENCE,
  SIDECAR,
} from '../../../lazyload/kinds.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'
import { refOf } from '../../../runtime/resource.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { type FaultProxy, startFaultProxy } from '../../helpers/fault-proxy.ts'
import {
  conditionOf,
  createCatchAll,
  createEndpoints,
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
type Seven = [string, string, string, string, string, string, string]
const names = ['steps', 'parts', 'forged', 'hidden', 'slime', 'root', 'tenant']
let [steps, parts, forged, hidden, slime, root, tenant] = Array.from({ length: names.length }, () => '') as Seven
let proxy: FaultProxy
let lazyload: Lazyload
before(async () => {
  ;[steps, parts, forged, hidden, slime, root, tenant] = (await Promise.all(
    names.map(async (name) => await createNamespace(cluster, name)),
  )) as unknown as Seven
  // without pods a fence is not Ready, whatever its Sidecar is
  for (const namespace of [steps, parts, forged, hidden, tenant])
    for (const app of ['web', 'later', 'probe', 'new-1', 'new-2', 'new-3'])
      await putPod(cluster, { namespace, name: app, ip: '172.20.1.1', labels: { app } })
  proxy = await startFaultProxy(cluster)
  lazyload = await startLazyload(
    { dir: cluster.dir, kubeconfigFor: proxy.kubeconfigFor },
    { namespaces: [steps, parts, forged, hidden], globalSidecar: false },
  )
})
after(async () => {
  await lazyload?.stop()
  await proxy[Symbol.asyncDispose]()
})

/** Waits until Ready is so and its message has `text`; the Sidecar is there, or not. */
async function readyIs(
  namespace: string,
  name: string,
  reason: 'SidecarApplied' | 'NoGlobalSidecar' | 'KindsUnseen',
  text: RegExp,
  hasSidecar: boolean,
): Promise<void> {
  const status = { SidecarApplied: 'True', NoGlobalSidecar: 'False', KindsUnseen: 'Unknown' }[reason]
  await eventually(async () => {
    const ready = conditionOf(await fenceOf(client, namespace, name), 'Ready')
    assert.deepEqual([ready.status, ready.reason], [status, reason], ready.message)
    assert.match(ready.message ?? '', text)
    assert.equal((await client.get({ type: SIDECAR, namespace, name })) !== undefined, hasSidecar)
  }, SLOW)
}

const setReady = async (slice: KubeObject, ready: boolean): Promise<KubeObject> =>
  await client.jsonPatch(refOf(ENDPOINT_SLICE, slice), [{ op: 'replace', path: '/endpoints/0/conditions/ready', value: ready }], 'test')

test('during an install a fence waits for all three: the Service, the catch-all, a ready endpoint', async () => {
  await createFence(client, steps, 'web')
  await readyIs(steps, 'web', 'NoGlobalSidecar', /Service \S+\/global-sidecar, the catch-all/, false)
  await createService(client, steps, GLOBAL_SIDECAR, {}, { app: 'qz-ingress' })
  const slice = await createEndpoints(client, steps, GLOBAL_SIDECAR, ['192.0.2.1'], false)
  await readyIs(steps, 'web', 'NoGlobalSidecar', /missing: the catch-all \(EnvoyFilter \S+\/to-global-sidecar\), a ready endpoint/, false)
  await createCatchAll(client, steps)
  await readyIs(steps, 'web', 'NoGlobalSidecar', /missing: a ready endpoint of Service \S+\/global-sidecar\. No Sidecar is made/, false)
  assert.equal(conditionOf(await fenceOf(client, steps, 'web'), 'Learning').reason, 'NoGlobalSidecar')
  await setReady(slice, true)
  await readyIs(steps, 'web', 'SidecarApplied', /dependencies/, true)
  assert.equal(conditionOf(await fenceOf(client, steps, 'web'), 'Learning').status, 'True')
})

test('whichever part goes later: a Sidecar stays and loses no host, none is made anew, and the fence says what is missing', async () => {
  await createGlobalSidecar(client, parts)
  await createFence(client, parts, 'web', { enable: true, host: { 'a.example.com': {} } })
  await readyIs(parts, 'web', 'SidecarApplied', /dependencies/, true)
  const { items } = await client.list(ENDPOINT_SLICE, { namespace: parts, labelSelector: `kubernetes.io/service-name=${GLOBAL_SIDECAR}` })
  const slice = items.find(({ endpoints }) => ((endpoints ?? []) as readonly unknown[]).length > 0)
  let round = 0
  for (const [what, away] of [
    [/missing: a ready endpoint/, async () => await setReady(slice!, false)],
    [/missing: the catch-all[^,]*\. The Sidecar that is there stays/, async () => await client.remove(catchAllRef(parts))],
    [/missing: Service/, async () => await client.remove({ type: SERVICE, namespace: parts, name: GLOBAL_SIDECAR })],
  ] as const) {
    await away()
    await readyIs(parts, 'web', 'NoGlobalSidecar', what, true)
    const name = `new-${++round}`
    await createFence(client, parts, name)
    await readyIs(parts, name, 'NoGlobalSidecar', what.source.startsWith('missing: the') ? /missing: the catch-all/ : what, false)
    const host = { 'a.example.com': null, [`b${round}.example.com`]: {} }
    await client.mergePatch({ type: SERVICE_FENCE, namespace: parts, name: 'web' }, { spec: { host } }, 'kubectl-edit')
    await eventually(async () => {
      const hosts = hostsOf(await sidecarOf(client, parts, 'web'))
      for (const wanted of ['*/a.example.com', `*/b${round}.example.com`]) assert.ok(hosts.includes(wanted), hosts.join())
    }, SLOW)
    if (round === 1) await setReady(slice!, true)
    else await createGlobalSidecar(client, parts)
    await readyIs(parts, 'web', 'SidecarApplied', /dependencies/, true)
    await readyIs(parts, name, 'SidecarApplied', /dependencies/, true)
    // what waited is done now
    await eventually(async () => assert.ok(!hostsOf(await sidecarOf(client, parts, 'web')).includes('*/a.example.com')), SLOW)
    await client.mergePatch(
      { type: SERVICE_FENCE, namespace: parts, name: 'web' },
      { spec: { host: { 'a.example.com': {} } } },
      'kubectl-edit',
    )
    await eventually(async () => assert.ok(hostsOf(await sidecarOf(client, parts, 'web')).includes('*/a.example.com')), SLOW)
  }
})

test('what counts as the catch-all of a namespace: its name, for all pods, and if it carries our mark, the mark of this place', async () => {
  await createService(client, forged, GLOBAL_SIDECAR, {}, { app: 'qz-ingress' })
  await createEndpoints(client, forged, GLOBAL_SIDECAR, ['192.0.2.2'])
  await createFence(client, forged, 'web')
  const mine = `${forged}=${forged}`
  const objects: readonly (readonly [string, JsonObject, boolean])[] = [
    ['another name', { metadata: { name: 'my-catch-all', annotations: { [CATCH_ALL_ANNOTATION]: mine } } }, false],
    ['the mark of the mesh', { metadata: { annotations: { [CATCH_ALL_ANNOTATION]: `*=${forged}` } } }, false],
    ['that of another global-sidecar', { metadata: { annotations: { [CATCH_ALL_ANNOTATION]: `${forged}=elsewhere` } } }, false],
    ['for some pods only', { spec: { workloadSelector: { labels: { app: 'web' } } } }, false],
    ['one on its way out', { metadata: { annotations: { [CATCH_ALL_ANNOTATION]: mine, [LEAVING_ANNOTATION]: 'true' } } }, false],
    ['made by hand', {}, true],
    ["the operator's", { metadata: { annotations: { [CATCH_ALL_ANNOTATION]: mine } } }, true],
  ]
  for (const [what, { metadata = {}, spec = {} }, counts] of objects) {
    await createFence(client, forged, 'probe')
    const object = await client.create(
      ENVOY_FILTER,
      {
        apiVersion: ENVOY_FILTER.apiVersion,
        kind: ENVOY_FILTER.kind,
        metadata: { name: CATCH_ALL, namespace: forged, ...(metadata as object) },
        spec: { configPatches: [], ...(spec as object) },
      },
      'kubectl-create',
    )
    // later than the EnvoyFilter: whoever takes it for the catch-all makes a Sidecar for it
    await createFence(client, forged, 'later')
    for (const name of ['probe', 'later'])
      await readyIs(forged, name, counts ? 'SidecarApplied' : 'NoGlobalSidecar', counts ? /./ : /missing: the catch-all/, counts).catch(
        (error: unknown) => assert.fail(`${what}: ${String(error)}`),
      )
    for (const name of ['probe', 'later']) await client.remove({ type: SERVICE_FENCE, namespace: forged, name })
    await client.remove(refOf(ENVOY_FILTER, object))
    await eventually(
      async () =>
        assert.equal((await client.list(SIDECAR, { namespace: forged })).items.filter(({ metadata: m }) => m.name !== 'web').length, 0),
      SLOW,
    )
  }
})

test('while EnvoyFilters may not be listed nobody knows: no Sidecar is made, none loses a host, and the fence names the right', async () => {
  await createGlobalSidecar(client, hidden)
  await createFence(client, hidden, 'web', { enable: true, host: { 'a.example.com': {} } })
  await readyIs(hidden, 'web', 'SidecarApplied', /dependencies/, true)
  proxy.inject(({ path }) => path.endsWith('/envoyfilters'), { answer: 403, body: FORBIDDEN })
  proxy.cut()
  await readyIs(hidden, 'web', 'KindsUnseen', /envoyfilters\.networking\.istio\.io cannot be seen/, true)
  await createFence(client, hidden, 'later')
  await readyIs(hidden, 'later', 'KindsUnseen', /no Sidecar is made/, false)
  await client.mergePatch(
    { type: SERVICE_FENCE, namespace: hidden, name: 'web' },
    { spec: { host: { 'a.example.com': null, 'c.example.com': {} } } },
    'kubectl-edit',
  )
  await eventually(
    async () => assert.deepEqual(hostsOf(await sidecarOf(client, hidden, 'web')).slice(0, 2), ['*/a.example.com', '*/c.example.com']),
    SLOW,
  )
  proxy.heal()
  proxy.cut()
  await readyIs(hidden, 'later', 'SidecarApplied', /dependencies/, true)
  await eventually(async () => assert.equal(hostsOf(await sidecarOf(client, hidden, 'web'))[0], '*/c.example.com'), SLOW)
})

test('a lazyload that may not list EnvoyFilters from its start says so, and still keeps Sidecars up that are there', async () => {
  await lazyload.stop()
  proxy.inject(({ path }) => path.endsWith('/envoyfilters'), { answer: 403, body: FORBIDDEN })
  lazyload = await startLazyload({ dir: cluster.dir, kubeconfigFor: proxy.kubeconfigFor }, { namespaces: [hidden], globalSidecar: false })
  await createFence(client, hidden, 'newest')
  await readyIs(hidden, 'newest', 'KindsUnseen', /no Sidecar is made/, false)
  await client.mergePatch(
    { type: SERVICE_FENCE, namespace: hidden, name: 'web' },
    { spec: { host: { 'd.example.com': {} } } },
    'kubectl-edit',
  )
  await eventually(async () => assert.ok(hostsOf(await sidecarOf(client, hidden, 'web')).includes('*/d.example.com')), SLOW)
  proxy.heal()
})

test("in mode cluster the catch-all is in Istio's namespace: what a tenant makes in his own opens nothing", async () => {
  await createService(client, slime, GLOBAL_SIDECAR, {}, { app: 'qz-ingress' })
  await createEndpoints(client, slime, GLOBAL_SIDECAR, ['192.0.2.3'])
  await createGlobalSidecar(client, tenant)
  await client.mergePatch(catchAllRef(tenant), { metadata: { annotations: { [CATCH_ALL_ANNOTATION]: `*=${slime}` } } }, 'kubectl-edit')
  const misc = { metric_source_type: 'accesslog', 'global-sidecar-mode': 'cluster' }
  const config: JsonObject = { name: 'lazyload', global: { istioNamespace: root, slimeNamespace: slime, misc } }
  await createFence(client, tenant, 'web')
  await using _ = await startLazyload(cluster, { namespaces: [tenant], globalSidecar: false, config })
  await readyIs(tenant, 'web', 'NoGlobalSidecar', new RegExp(`missing: the catch-all \\(EnvoyFilter ${root}/`), false)
  await createCatchAll(client, root, `*=${tenant}`)
  await createFence(client, tenant, 'later')
  await readyIs(tenant, 'later', 'NoGlobalSidecar', /missing: the catch-all/, false)
  await client.remove(catchAllRef(root))
  await createCatchAll(client, root, `*=${slime}`)
  for (const name of ['web', 'later']) await readyIs(tenant, name, 'SidecarApplied', /dependencies/, true)
})

function catchAllRef(namespace: string): { type: typeof ENVOY_FILTER; namespace: string; name: string } {
  return { type: ENVOY_FILTER, namespace, name: CATCH_ALL }
}
