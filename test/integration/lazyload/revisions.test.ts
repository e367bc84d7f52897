/** Revisions of Istio and the tags that stand for them: fences follow both, are never made anew, and say so where nobody serves them. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, test } from 'node:test'
import { CREATED_BY, CREATED_BY_LABEL, FENCED_LABEL } from '../../../lazyload/auto-fence/decision.ts'
import { EVENT, MUTATING_WEBHOOK, NAMESPACE, REVISION_LABEL, SERVICE_FENCE, SIDECAR } from '../../../lazyload/kinds.ts'
import { keyOfHost } from '../../../lazyload/learn/metric-key.ts'
import { TAG_LABEL } from '../../../lazyload/mesh/revisions.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { type FaultProxy, startFaultProxy } from '../../helpers/fault-proxy.ts'
import { conditionOf, createFence, createService, fenceOf, type Lazyload, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { putPod } from '../../helpers/pods.ts'
import { adminClient } from '../../helpers/stage.ts'

const SLOW = { timeout: 60_000 }
const FORBIDDEN = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', message: 'forbidden', code: 403 }
const cluster = await sharedCluster()
const client = adminClient(cluster)
const proxy: FaultProxy = await startFaultProxy(cluster)
after(async () => await proxy[Symbol.asyncDispose]())
const running: Lazyload[] = []
afterEach(async () => {
  proxy.heal()
  for (const lazyload of running.splice(0)) await lazyload.stop()
})

/** Modules of one name are the same module, whatever their configuration. */
async function start(namespace: string, istioRev: string, { name = 'lazyload', strictRev = false } = {}): Promise<Lazyload> {
  const config: JsonObject = { name, global: { istioRev, strictRev, misc: { metric_source_type: 'accesslog' } } }
  const lazyload = await startLazyload(
    { dir: cluster.dir, kubeconfigFor: proxy.kubeconfigFor },
    { namespaces: [namespace], config, user: `${name}-${namespace}` },
  )
  running.push(lazyload)
  return lazyload
}
async function stop(lazyload: Lazyload): Promise<void> {
  running.splice(running.indexOf(lazyload), 1)
  await lazyload.stop()
}
const revisionOf = (object: KubeObject): string | undefined => object.metadata.labels?.[REVISION_LABEL]
async function revisionsAre(namespace: string, name: string, ofFence: string | undefined, ofSidecar = ofFence): Promise<void> {
  await eventually(async () => {
    const [fence, sidecar] = await Promise.all([fenceOf(client, namespace, name), sidecarOf(client, namespace, name)])
    assert.deepEqual([revisionOf(fence), revisionOf(sidecar)], [ofFence, ofSidecar])
  }, SLOW)
}
async function readyIs(namespace: string, name: string, status: string, reason: string, message = /^/): Promise<void> {
  await eventually(async () => {
    const found = conditionOf(await fenceOf(client, namespace, name), 'Ready')
    assert.deepEqual([found.status, found.reason], [status, reason], found.message)
    assert.match(found.message ?? '', message)
  }, SLOW)
}
async function learn(namespace: string, name: string): Promise<void> {
  const learned = { status: { metricStatus: { [keyOfHost('learned.example.com')]: '1' } } }
  await client.mergePatch({ type: SERVICE_FENCE, namespace, name }, learned, 'test', 'status')
}
/** An injector, as istioctl and the charts make it: of a revision, or of a tag that stands for one. */
async function webhook(revision: string, tag?: string): Promise<KubeObject> {
  const { apiVersion, kind } = MUTATING_WEBHOOK
  const labels = { app: 'sidecar-injector', [REVISION_LABEL]: revision, ...(tag === undefined ? {} : { [TAG_LABEL]: tag }) }
  return await client.create(MUTATING_WEBHOOK, { apiVersion, kind, metadata: { name: `injector-${unique()}`, labels } }, 'istioctl')
}
/** Names of revisions are the whole cluster's. */
const unique = (): string => randomBytes(3).toString('hex')
async function pod(namespace: string, app: string, revision: string): Promise<void> {
  await putPod(cluster, { namespace, name: `${app}-${unique()}`, ip: '172.20.0.2', labels: { app } })
  const pods = `/api/v1/namespaces/${namespace}/pods`
  const { body } = await cluster.request('GET', `${pods}?labelSelector=app%3D${app}`)
  for (const { metadata } of (body as unknown as { items: KubeObject[] }).items)
    await cluster.request('PATCH', `${pods}/${metadata.name}`, {
      body: { metadata: { annotations: { [REVISION_LABEL]: revision } } },
      contentType: 'application/merge-patch+json',
    })
}

test('istioRev changed: fences by label follow with all that they have learned, those made by hand stay and say that nobody serves them', async () => {
  const namespace = await createNamespace(cluster, 'revised')
  for (const name of ['one', 'two']) await createService(client, namespace, name, { [FENCED_LABEL]: 'true' })
  const first = await start(namespace, '1-19')
  await createFence(client, namespace, 'by-hand', { enable: true }, { [REVISION_LABEL]: '1-19' })
  await createFence(client, namespace, 'without', { enable: true })
  for (const name of ['one', 'two', 'by-hand']) await revisionsAre(namespace, name, '1-19')
  await revisionsAre(namespace, 'without', undefined)
  await learn(namespace, 'one')
  await eventually(async () => assert.equal((await fenceOf(client, namespace, 'one')).status?.hosts, 1))
  for (const name of ['one', 'two', 'by-hand', 'without']) await readyIs(namespace, name, 'Unknown', 'NoPods')
  const uids = await Promise.all(['one', 'two'].map(async (name) => (await fenceOf(client, namespace, name)).metadata.uid))
  await stop(first)

  const second = await start(namespace, '1-20')
  for (const name of ['one', 'two']) await revisionsAre(namespace, name, '1-20')
  await revisionsAre(namespace, 'without', undefined)
  const now = await Promise.all(['one', 'two'].map(async (name) => (await fenceOf(client, namespace, name)).metadata.uid))
  assert.deepEqual(now, uids)
  const { status } = await fenceOf(client, namespace, 'one')
  assert.deepEqual([status?.hosts, Object.keys(status?.metricStatus ?? {})], [1, [keyOfHost('learned.example.com')]])
  await readyIs(namespace, 'by-hand', 'False', 'NotServed', /istio\.io\/rev of the fence is 1-19, .*Served is 1-20\./)
  assert.equal(conditionOf(await fenceOf(client, namespace, 'by-hand'), 'Learning').reason, 'NotServed')
  await revisionsAre(namespace, 'by-hand', '1-19')
  await eventually(async () => {
    const { items } = await client.list(EVENT, { namespace, fieldSelector: 'involvedObject.name=by-hand,reason=NotServed' })
    assert.equal(items.length, 1)
  })
  await stop(second)

  await start(namespace, '1-19,1-20')
  await readyIs(namespace, 'by-hand', 'Unknown', 'NoPods')
  for (const name of ['one', 'two']) await revisionsAre(namespace, name, '1-20')
})

test('fences that an earlier version has left follow too, and say meanwhile that nobody serves them', async () => {
  const namespace = await createNamespace(cluster, 'earlier')
  await createService(client, namespace, 'svc', { [FENCED_LABEL]: 'true' })
  const labels = { [REVISION_LABEL]: '1-19', [CREATED_BY_LABEL]: CREATED_BY }
  const { metadata } = await createFence(client, namespace, 'svc', { enable: true, workloadSelector: { fromService: true } }, labels)
  await createFence(client, namespace, 'unheard-of', { enable: true }, { [REVISION_LABEL]: '1-18' })
  const ready = { type: 'Ready', status: 'True', reason: 'SidecarApplied', message: 'It is.', lastTransitionTime: '2026-01-01T00:00:00Z' }
  await client.mergePatch({ type: SERVICE_FENCE, namespace, name: 'svc' }, { status: { conditions: [ready] } }, 'test', 'status')
  await start(namespace, '1-20')
  await readyIs(namespace, 'svc', 'False', 'NotServed')
  await readyIs(namespace, 'unheard-of', 'False', 'NotServed')
  await revisionsAre(namespace, 'svc', '1-20')
  assert.equal((await fenceOf(client, namespace, 'svc')).metadata.uid, metadata.uid)
  await readyIs(namespace, 'svc', 'Unknown', 'NoPods')
})

test('in a list the label of the namespace decides; where it changes the fences follow', async () => {
  const namespace = await createNamespace(cluster, 'listed', { [REVISION_LABEL]: '1-20' })
  await createService(client, namespace, 'svc', { [FENCED_LABEL]: 'true' })
  await start(namespace, '1-19,1-20')
  await eventually(async () => await fenceOf(client, namespace, 'svc'))
  await revisionsAre(namespace, 'svc', '1-20')
  const { uid } = (await fenceOf(client, namespace, 'svc')).metadata
  await client.mergePatch({ type: NAMESPACE, name: namespace }, { metadata: { labels: { [REVISION_LABEL]: '1-19' } } }, 'kubectl-label')
  await revisionsAre(namespace, 'svc', '1-19')
  await client.mergePatch({ type: NAMESPACE, name: namespace }, { metadata: { labels: { [REVISION_LABEL]: null } } }, 'kubectl-label')
  await createService(client, namespace, 'later', { [FENCED_LABEL]: 'true' })
  await eventually(async () => await fenceOf(client, namespace, 'later'))
  await revisionsAre(namespace, 'later', '1-19')
  assert.equal((await fenceOf(client, namespace, 'svc')).metadata.uid, uid)
})

test('two modules, one for each revision: neither takes a fence from the other, and neither writes for ever', async () => {
  const namespace = await createNamespace(cluster, 'shared')
  for (const name of ['old', 'new'])
    await createFence(client, namespace, name, { enable: true }, { [REVISION_LABEL]: name === 'old' ? '1-19' : '1-20' })
  await createService(client, namespace, 'auto', { [FENCED_LABEL]: 'true' })
  const old = await start(namespace, '1-19', { name: 'of-old' })
  await revisionsAre(namespace, 'auto', '1-19')
  await start(namespace, '1-20', { name: 'of-new' })
  for (const name of ['old', 'new', 'auto']) await readyIs(namespace, name, 'Unknown', 'NoPods')
  // the first may have said of the second's fence that nobody serves it
  await eventually(async () => assert.match((await fenceOf(client, namespace, 'new')).status?.servedBy ?? '', /of-new$/), SLOW)
  const versions = async (): Promise<readonly unknown[]> =>
    await Promise.all(['old', 'new', 'auto'].map(async (name) => (await fenceOf(client, namespace, name)).metadata.resourceVersion))
  const was = await versions()
  const asked = (): number => proxy.exchanges.filter(({ path }) => path.endsWith(`${namespace}/pods`)).length
  const count = asked()
  await eventually(() => assert.ok(asked() > count), SLOW)
  assert.deepEqual(await versions(), was)
  await stop(old)
  // handed over by the namespace's label, with what the other has written
  await client.mergePatch({ type: NAMESPACE, name: namespace }, { metadata: { labels: { [REVISION_LABEL]: '1-20' } } }, 'kubectl-label')
  await revisionsAre(namespace, 'auto', '1-20')
})

test('a tag is resolved: the Sidecar has the label of its revision, and follows where the tag is moved', async () => {
  const namespace = await createNamespace(cluster, 'tagged', { [REVISION_LABEL]: 'stable' })
  const [old, next, tag] = [`old-${unique()}`, `next-${unique()}`, `stable-${unique()}`]
  await webhook(old)
  await webhook(next)
  const tagged = await webhook(old, tag)
  await client.mergePatch({ type: NAMESPACE, name: namespace }, { metadata: { labels: { [REVISION_LABEL]: tag } } }, 'kubectl-label')
  await createService(client, namespace, 'svc', { [FENCED_LABEL]: 'true' }, { app: 'svc' })
  await pod(namespace, 'svc', old)
  const first = await start(namespace, tag)
  await createFence(client, namespace, 'by-revision', { enable: true }, { [REVISION_LABEL]: old })
  await eventually(async () => await fenceOf(client, namespace, 'svc'))
  await revisionsAre(namespace, 'svc', tag, old)
  await readyIs(namespace, 'svc', 'True', 'SidecarApplied')
  await revisionsAre(namespace, 'by-revision', old)

  await client.mergePatch(
    { type: MUTATING_WEBHOOK, name: tagged.metadata.name },
    { metadata: { labels: { [REVISION_LABEL]: next } } },
    'istioctl',
  )
  await revisionsAre(namespace, 'svc', tag, next)
  await readyIs(namespace, 'svc', 'False', 'OtherRevision', new RegExp(`configured by Istio revision ${old}, .*Restart the pods`))
  await readyIs(namespace, 'by-revision', 'False', 'NotServed')
  await stop(first)

  // what was resolved before stays so where webhooks cannot be seen
  proxy.inject(({ path }) => path.endsWith('/mutatingwebhookconfigurations'), { answer: 403, body: FORBIDDEN })
  const second = await start(namespace, tag)
  await createFence(client, namespace, 'seen-last', { enable: true })
  await eventually(async () => await sidecarOf(client, namespace, 'seen-last'))
  await revisionsAre(namespace, 'svc', tag, next)
  assert.equal((await second.get('/modules/readyz')).status, 200)
})

test('a tag that cannot be resolved is told, by what the pods say or as not known', async () => {
  const namespace = await createNamespace(cluster, 'unresolved')
  proxy.inject(({ path }) => path.endsWith('/mutatingwebhookconfigurations'), { answer: 403, body: FORBIDDEN })
  await pod(namespace, 'injected', '1-20')
  await putPod(cluster, { namespace, name: 'bare', ip: '172.20.0.3', labels: { app: 'bare' } })
  await start(namespace, 'stable')
  for (const name of ['injected', 'bare', 'right'])
    await createFence(
      client,
      namespace,
      name,
      { enable: true, workloadSelector: { labels: { app: name === 'right' ? 'injected' : name } } },
      { [REVISION_LABEL]: 'stable' },
    )
  await readyIs(namespace, 'injected', 'False', 'RevisionTag', /revision 1-20, .*stable seems to be a tag/)
  await readyIs(namespace, 'bare', 'Unknown', 'RevisionTag', /mutatingwebhookconfigurations/)
  await client.remove({ type: SERVICE_FENCE, namespace, name: 'right' })
  proxy.heal()
})

test('strictRev: a fence without a revision that labels made gets the first one that is served', async () => {
  const namespace = await createNamespace(cluster, 'strict')
  await createService(client, namespace, 'svc', { [FENCED_LABEL]: 'true' })
  const first = await start(namespace, '')
  await eventually(async () => await sidecarOf(client, namespace, 'svc'))
  await readyIs(namespace, 'svc', 'Unknown', 'NoPods')
  await revisionsAre(namespace, 'svc', undefined)
  const { uid } = (await sidecarOf(client, namespace, 'svc')).metadata
  await stop(first)
  await start(namespace, '1-20', { strictRev: true })
  await revisionsAre(namespace, 'svc', '1-20')
  assert.equal((await client.get({ type: SIDECAR, namespace, name: 'svc' }))?.metadata.uid, uid)
})
