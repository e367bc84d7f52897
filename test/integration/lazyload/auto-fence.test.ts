/** Fences by label: the tutorial's example, who owns which fence, and what is never fenced (spec 4, fixture 8). */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CREATED_BY, CREATED_BY_LABEL, FENCED_LABEL } from '../../../lazyload/auto-fence/decision.ts'
import { NAMESPACE, SERVICE, SERVICE_FENCE, SIDECAR } from '../../../lazyload/kinds.ts'
import type { JsonObject } from '../../../runtime/object.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createFence, createService, fenceOf, type Lazyload, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const CONFIG: JsonObject = { name: 'lazyload', global: { misc: { metric_source_type: 'accesslog' } } }
const cluster = await sharedCluster()
const client = adminClient(cluster)
let testns: string
let lazyload: Lazyload
before(async () => {
  testns = await createNamespace(cluster, 'testns')
  for (const name of ['svc1', 'svc2', 'svc3']) await createService(client, testns, name)
  await createService(client, testns, 'selectorless', {}, null)
  await createService(client, testns, 'global-sidecar', {}, { app: 'qz-ingress' })
  lazyload = await startLazyload(cluster, { namespaces: [testns] })
})
after(async () => await lazyload.stop())

const namesOf = async (type: ResourceType): Promise<readonly string[]> =>
  (await client.list(type, { namespace: testns })).items.map(({ metadata }) => metadata.name).sort()
const label = async (type: ResourceType, name: string, key: string, value: string | null): Promise<unknown> =>
  await client.mergePatch(
    { type, name, ...(type.namespaced ? { namespace: testns } : {}) },
    { metadata: { labels: { [key]: value } } },
    'kubectl-label',
  )

/** Fences, and as many Sidecars. */
async function fencesAre(...names: readonly string[]): Promise<void> {
  await eventually(async () => assert.deepEqual(await namesOf(SERVICE_FENCE), names))
  await eventually(async () => assert.deepEqual(await namesOf(SIDECAR), names), { timeout: 20_000 })
}

test("the tutorial's example: label the namespace, one Service says no, no longer says so, one fence becomes the user's", async () => {
  await label(NAMESPACE, testns, FENCED_LABEL, 'true')
  await fencesAre('svc1', 'svc2', 'svc3')
  const { metadata, spec } = await fenceOf(client, testns, 'svc1')
  assert.deepEqual([metadata.labels, spec], [{ [CREATED_BY_LABEL]: CREATED_BY }, { enable: true, workloadSelector: { fromService: true } }])
  assert.deepEqual((await sidecarOf(client, testns, 'svc1'))['spec'], {
    egress: [{ hosts: ['istio-system/*', 'mesh-operator/*', `*/global-sidecar.${testns}.svc.cluster.local`] }],
    workloadSelector: { labels: { app: 'svc1' } },
  })

  await label(SERVICE, 'svc2', FENCED_LABEL, 'false')
  await fencesAre('svc1', 'svc3')

  await label(SERVICE, 'svc2', FENCED_LABEL, null)
  await fencesAre('svc1', 'svc2', 'svc3')

  await label(SERVICE_FENCE, 'svc3', CREATED_BY_LABEL, null)
  await label(NAMESPACE, testns, FENCED_LABEL, null)
  await fencesAre('svc3')
})

test('an automatic fence that is deleted by hand comes back', async () => {
  await label(SERVICE, 'svc1', FENCED_LABEL, 'true')
  await fencesAre('svc1', 'svc3')
  const { uid } = (await fenceOf(client, testns, 'svc1')).metadata
  await client.remove({ type: SERVICE_FENCE, namespace: testns, name: 'svc1' })
  await eventually(async () => assert.notEqual((await fenceOf(client, testns, 'svc1')).metadata.uid, uid))
  await eventually(async () =>
    assert.deepEqual(
      (await sidecarOf(client, testns, 'svc1')).metadata.ownerReferences?.[0]?.uid,
      (await fenceOf(client, testns, 'svc1')).metadata.uid,
    ),
  )
})

test('a restart with the labels as they were writes nothing: no fence flaps', async () => {
  await eventually(async () => assert.equal((await fenceOf(client, testns, 'svc1')).status?.observedGeneration, 1))
  await lazyload.stop()
  const since = new Date()
  lazyload = await startLazyload(cluster, { namespaces: [testns] })
  await lazyload.logs('working')
  // a label that is seen after the first look shows that the look is over
  await label(SERVICE, 'svc2', FENCED_LABEL, 'true')
  await fencesAre('svc1', 'svc2', 'svc3')
  const touched = (await cluster.auditEvents(since)).filter(
    ({ user, verb, name }) => user === lazyload.user && verb !== 'watch' && ['svc1', 'svc3'].includes(name),
  )
  assert.deepEqual(touched, [])
})

test('a Service that goes takes its automatic fence with it, and leaves one made by hand', async () => {
  await createFence(client, testns, 'manual')
  await createService(client, testns, 'manual', { [FENCED_LABEL]: 'true' })
  await fencesAre('manual', 'svc1', 'svc2', 'svc3')
  for (const name of ['manual', 'svc2']) await client.remove({ type: SERVICE, namespace: testns, name })
  await fencesAre('manual', 'svc1', 'svc3')
})

test('a fence of the user that gets the label is handed over to the labels', async () => {
  await label(SERVICE_FENCE, 'svc3', CREATED_BY_LABEL, CREATED_BY)
  await fencesAre('manual', 'svc1')
})

test('switched off, labels decide nothing: fences stay as they are, and what is deleted stays deleted', async () => {
  await lazyload.stop()
  lazyload = await startLazyload(cluster, { namespaces: [testns], config: { ...CONFIG, general: { autoFence: false } } })
  await lazyload.logs('working')
  await label(SERVICE, 'svc1', FENCED_LABEL, null)
  await createService(client, testns, 'later', { [FENCED_LABEL]: 'true' })
  await client.remove({ type: SERVICE_FENCE, namespace: testns, name: 'manual' })
  await fencesAre('svc1')
  await new Promise((resolve) => setTimeout(resolve, 1000))
  await fencesAre('svc1')
})

test('defaultFence fences what no label speaks of; managementSelectors and lists say where', async () => {
  await lazyload.stop()
  const general = { defaultFence: true, managementSelectors: [{ matchLabels: { team: testns } }] }
  lazyload = await startLazyload(cluster, { namespaces: [testns], config: { ...CONFIG, general } })
  // out of the selection what labels made goes, as upstream
  await fencesAre()
  await label(NAMESPACE, testns, 'team', testns)
  await fencesAre('later', 'svc1', 'svc3')
  await label(NAMESPACE, testns, FENCED_LABEL, 'false')
  await fencesAre('later')
  await label(NAMESPACE, testns, FENCED_LABEL, null)
  await fencesAre('later', 'svc1', 'svc3')
  await lazyload.stop()
  lazyload = await startLazyload(cluster, {
    namespaces: [testns],
    config: { ...CONFIG, general: { defaultFence: true, blackNamespaceList: `other,${testns}` } },
  })
  await fencesAre()
})

test('a module does not remove what another one fences by its own configuration; what no configuration asks for either of them removes', async () => {
  await lazyload.stop()
  const shared = await createNamespace(cluster, 'shared')
  const byDefault = { ...CONFIG, name: 'by-default', general: { defaultFence: true } }
  lazyload = await startLazyload(cluster, { namespaces: [shared], config: byDefault, user: 'by-default' })
  await createService(client, shared, 'web')
  await createService(client, shared, 'other')
  for (const name of ['web', 'other']) await eventually(async () => await fenceOf(client, shared, name))
  const { uid } = (await fenceOf(client, shared, 'web')).metadata
  {
    // by its own configuration nothing asks for these fences
    await using other = await startLazyload(cluster, {
      namespaces: [shared],
      config: { ...CONFIG, name: 'by-label', general: { blackNamespaceList: shared } },
      user: 'by-label',
    })
    await other.logs('working')
    // the one that has looked at everything makes nothing of this label, and sees it
    await createFence(client, shared, 'seen')
    await eventually(async () => assert.ok((await fenceOf(client, shared, 'seen')).status !== undefined))
    await lazyload.stop()
    await client.mergePatch(
      { type: SERVICE, namespace: shared, name: 'web' },
      { metadata: { labels: { touched: 'yes' } } },
      'kubectl-label',
    )
    // its maker is away, and somebody's word holds for every module
    await client.mergePatch(
      { type: SERVICE, namespace: shared, name: 'other' },
      { metadata: { labels: { [FENCED_LABEL]: 'false' } } },
      'kubectl-label',
    )
    await eventually(async () => assert.equal(await client.get({ type: SERVICE_FENCE, namespace: shared, name: 'other' }), undefined))
    assert.equal((await fenceOf(client, shared, 'web')).metadata.uid, uid)
    await other.stop()
  }
  const deleted = (await cluster.auditEvents()).filter(
    ({ verb, resource, namespace }) => verb === 'delete' && resource === 'servicefences' && namespace === shared,
  )
  assert.deepEqual(
    deleted.map(({ name }) => name),
    ['other'],
  )
})
