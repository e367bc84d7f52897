/** A Sidecar that is as it should be and has no effect: the fence says so, and why, and heals when that is over. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { FENCED_LABEL } from '../../../lazyload/auto-fence/decision.ts'
import { EVENT, SERVICE, SERVICE_FENCE, SIDECAR } from '../../../lazyload/kinds.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { type FaultProxy, startFaultProxy } from '../../helpers/fault-proxy.ts'
import {
  conditionOf,
  createEndpoints,
  createFence,
  createService,
  fenceOf,
  type Lazyload,
  sidecarOf,
  startLazyload,
} from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { putPod, removePod } from '../../helpers/pods.ts'
import { adminClient } from '../../helpers/stage.ts'

const SLOW = { timeout: 40_000 }
const FORBIDDEN = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', message: 'forbidden', code: 403 }
const PODS = /\/pods$/
const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
let proxy: FaultProxy
let lazyload: Lazyload

before(async () => {
  namespace = await createNamespace(cluster, 'effect')
  proxy = await startFaultProxy(cluster)
  lazyload = await startLazyload({ dir: cluster.dir, kubeconfigFor: proxy.kubeconfigFor }, { namespaces: [namespace] })
})
after(async () => {
  await lazyload?.stop()
  await proxy[Symbol.asyncDispose]()
})

const readyOf = async (name: string): Promise<ReturnType<typeof conditionOf>> =>
  conditionOf(await fenceOf(client, namespace, name), 'Ready')
const readyIs = async (name: string, status: string, reason: string, message = /^/): Promise<void> =>
  await eventually(async () => {
    const found = await readyOf(name)
    assert.deepEqual([found.status, found.reason], [status, reason], `${found.message} ${lazyload.log()}`)
    assert.match(found.message ?? '', message)
  }, SLOW)
const pod = async (name: string, labels: Readonly<Record<string, string>>, phase: 'Running' | 'Succeeded' = 'Running'): Promise<void> =>
  await putPod(cluster, { namespace, name, ip: '172.20.0.1', labels, phase })
const selecting = (labels: JsonObject): JsonObject => ({ enable: true, workloadSelector: { labels } })
const sidecar = async (name: string, workloadSelector: JsonObject | null, labels = {}): Promise<KubeObject> =>
  await client.create(
    SIDECAR,
    {
      apiVersion: SIDECAR.apiVersion,
      kind: SIDECAR.kind,
      metadata: { name, namespace, labels },
      spec: { egress: [{ hosts: ['./*'] }], ...(workloadSelector === null ? {} : { workloadSelector }) },
    },
    'kubectl-create',
  )
const remove = async (type: typeof SIDECAR, name: string): Promise<unknown> => await client.remove({ type, namespace, name })
/** The API server's times of creation have seconds. */
async function nextSecond(): Promise<void> {
  const second = Math.floor(Date.now() / 1000)
  await eventually(() => assert.ok(Math.floor(Date.now() / 1000) > second + 1))
}

test('a selector that matches no pod is no success: the fence says which labels the pods of its Service have; with them it heals', async () => {
  await createService(client, namespace, 'reviews', {}, { 'app.kubernetes.io/name': 'reviews' })
  await pod('reviews-1', { 'app.kubernetes.io/name': 'reviews', 'pod-template-hash': 'abc', version: 'v1' })
  await createFence(client, namespace, 'reviews')
  await readyIs('reviews', 'False', 'NoPods', /app=reviews, .*have app\.kubernetes\.io\/name=reviews, version=v1\. .*fromService/)
  // the Sidecar is made all the same
  await sidecarOf(client, namespace, 'reviews')
  await eventually(async () => {
    const { items } = await client.list(EVENT, { namespace, fieldSelector: 'involvedObject.name=reviews,reason=NoPods' })
    assert.deepEqual(
      items.map((event) => event['type']),
      ['Warning'],
    )
  })
  await client.mergePatch(
    { type: SERVICE_FENCE, namespace, name: 'reviews' },
    { spec: { workloadSelector: { fromService: true } } },
    'kubectl-edit',
  )
  await readyIs('reviews', 'True', 'SidecarApplied')
})

test('a workload that is scaled to zero, finished or not there yet is no fault: Unknown, until there is a pod', async () => {
  await createService(client, namespace, 'later')
  await pod('job', { app: 'later' }, 'Succeeded')
  await createFence(client, namespace, 'later', { enable: true, workloadSelector: { fromService: true } })
  await createFence(client, namespace, 'without-service')
  await createFence(client, namespace, 'impossible', selecting({ app: 'not a label, or=two' }))
  for (const name of ['later', 'without-service', 'impossible']) await readyIs(name, 'Unknown', 'NoPods', /scaled to zero/)
  await pod('later-1', { app: 'later' })
  await pod('without-1', { app: 'without-service' })
  await readyIs('later', 'True', 'SidecarApplied')
  await readyIs('without-service', 'True', 'SidecarApplied')
})

test('the pods of a Service that come and go are noticed by its endpoints', async () => {
  await createService(client, namespace, 'scaled')
  await createFence(client, namespace, 'scaled')
  await pod('scaled-1', { app: 'scaled' })
  const { metadata } = await createEndpoints(client, namespace, 'scaled', ['172.20.0.1'])
  await readyIs('scaled', 'True', 'SidecarApplied')
  await removePod(cluster, namespace, 'scaled-1')
  await client.remove({
    type: { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', plural: 'endpointslices', namespaced: true },
    namespace,
    name: metadata.name,
  })
  await readyIs('scaled', 'Unknown', 'NoPods')
})

test('an older Sidecar for the same pods shadows the fence, which names it; without it the fence is Ready', async () => {
  await pod('old-1', { app: 'old', version: 'v1' })
  for (const [name, selector] of [
    ['hand-made', { labels: { app: 'old' } }],
    ['everybody', {}],
    ['by-version', { labels: { version: 'v1' } }],
  ] as const) {
    await sidecar(name, selector)
    await nextSecond()
    await createFence(client, namespace, 'old')
    await readyIs('old', 'False', 'Shadowed', new RegExp(`no effect: Sidecar ${name} selects`))
    await remove(SIDECAR, name)
    await readyIs('old', 'True', 'SidecarApplied')
    await remove(SERVICE_FENCE, 'old')
    await eventually(async () => assert.equal(await client.get({ type: SIDECAR, namespace, name: 'old' }), undefined), SLOW)
  }
})

test('what Istio does not take instead is not reported: younger, namespace-wide, of other pods, for another revision', async () => {
  await pod('calm-1', { app: 'calm', version: 'v1' })
  await sidecar('wide', null)
  await sidecar('others', { labels: { app: 'other', version: 'v1' } })
  await sidecar('nobody', { labels: { version: 'v2' } })
  await sidecar('canary', { labels: { app: 'calm' } }, { 'istio.io/rev': 'canary' })
  await nextSecond()
  await createFence(client, namespace, 'calm', { enable: true }, { 'istio.io/rev': '1-20' })
  await readyIs('calm', 'True', 'SidecarApplied')
  await nextSecond()
  await sidecar('younger', { labels: { app: 'calm' } })
  await createFence(client, namespace, 'after-younger')
  await readyIs('after-younger', 'Unknown', 'NoPods')
  await readyIs('calm', 'True', 'SidecarApplied')
  for (const name of ['wide', 'others', 'nobody', 'canary', 'younger']) await remove(SIDECAR, name)
})

test('of two fences whose selectors overlap the younger says so, if there are pods of both; disjoint ones and equal ones do not', async () => {
  await pod('web-1', { app: 'web', version: 'v1', tier: 'front' })
  await pod('web-2', { app: 'web', version: 'v2', tier: 'front' })
  await createFence(client, namespace, 'web', selecting({ app: 'web' }))
  await sidecarOfSoon('web')
  await nextSecond()
  await createFence(client, namespace, 'web-v1', selecting({ app: 'web', version: 'v1' }))
  await createFence(client, namespace, 'v2', selecting({ version: 'v2' }))
  await createFence(client, namespace, 'web-back', selecting({ version: 'v3' }))
  await createFence(client, namespace, 'web-again', selecting({ app: 'web' }))
  await pod('v3-1', { app: 'api', version: 'v3' })
  await readyIs('web-v1', 'False', 'Shadowed', /Sidecar web of fence web selects pods with app=web too/)
  await readyIs('v2', 'False', 'Shadowed', /Sidecar web of fence web/)
  await readyIs('web', 'True', 'SidecarApplied')
  await readyIs('web-back', 'True', 'SidecarApplied')
  await readyIs('web-again', 'True', 'SidecarShared')
  await client.mergePatch({ type: SERVICE_FENCE, namespace, name: 'web' }, { spec: { enable: false } }, 'kubectl-edit')
  await client.mergePatch({ type: SERVICE_FENCE, namespace, name: 'web-again' }, { spec: { enable: false } }, 'kubectl-edit')
  await readyIs('web-v1', 'True', 'SidecarApplied')
  await readyIs('v2', 'True', 'SidecarApplied')
})

test('of a fence that only some pods are taken from, the message says some', async () => {
  await pod('part-1', { app: 'part', version: 'one' })
  await pod('part-2', { app: 'part', version: 'two' })
  await createFence(client, namespace, 'part-one', selecting({ app: 'part', version: 'one' }))
  await sidecarOfSoon('part-one')
  await nextSecond()
  await createFence(client, namespace, 'part')
  await readyIs('part', 'False', 'Shadowed', /no effect on some of its pods: Sidecar part-one of fence part-one/)
})

test('where pods may not be listed nothing is claimed; Sidecars are made, and it heals with the right', async () => {
  proxy.inject(({ path }) => PODS.test(path), { answer: 403, body: FORBIDDEN })
  await createFence(client, namespace, 'unseen')
  await readyIs('unseen', 'Unknown', 'PodsUnseen', /Grant "list" on pods/)
  await sidecarOf(client, namespace, 'unseen')
  await sidecar('perhaps', { labels: { version: 'v1' } })
  await nextSecond()
  await createFence(client, namespace, 'unseen-too')
  await readyIs('unseen-too', 'Unknown', 'PodsUnseen', /Sidecar \S+ of fence \S+ selects pods with/)
  await sidecar('certainly', { labels: { app: 'certain' } })
  await nextSecond()
  await createFence(client, namespace, 'certain')
  await readyIs('certain', 'False', 'Shadowed', /Sidecar certainly/)
  await pod('unseen-1', { app: 'unseen' })
  await pod('unseen-2', { app: 'unseen-too', version: 'v9' })
  proxy.heal()
  await readyIs('unseen', 'True', 'SidecarApplied')
  await readyIs('unseen-too', 'True', 'SidecarApplied')
})

test('a pods list that hangs keeps no Sidecar from being made', async () => {
  proxy.inject(({ path }) => PODS.test(path), { stall: 'headers' })
  await createFence(client, namespace, 'hanging', { enable: true, host: { details: {} } })
  await eventually(async () => await sidecarOf(client, namespace, 'hanging'))
  await readyIs('hanging', 'Unknown', 'PodsUnseen')
  proxy.heal()
})

test('the same state is written once: nothing is written while nothing changes', async () => {
  await createService(client, namespace, 'quiet', { [FENCED_LABEL]: 'true' }, { app: 'quiet' })
  await eventually(async () => await fenceOf(client, namespace, 'quiet'))
  await readyIs('quiet', 'Unknown', 'NoPods')
  await readyIs('impossible', 'Unknown', 'NoPods')
  const versions = async (): Promise<readonly unknown[]> =>
    await Promise.all(
      ['quiet', 'impossible', 'part'].map(async (name) => (await fenceOf(client, namespace, name)).metadata.resourceVersion),
    )
  const was = await versions()
  const asked = (): number => proxy.exchanges.filter(({ path, status }) => PODS.test(path) && status === 200).length
  const count = asked()
  await eventually(() => assert.ok(asked() > count + 1), SLOW)
  assert.deepEqual(await versions(), was)
  await remove(SERVICE, 'quiet')
})

async function sidecarOfSoon(name: string): Promise<void> {
  await eventually(async () => await sidecarOf(client, namespace, name), SLOW)
}
