/** Fences as large as etcd takes them, stored before the CRD had bounds: refused, not computed, and nobody else waits for them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SERVICE_FENCE } from '../../../lazyload/kinds.ts'
import { type Cluster, startCluster } from '../../../local-cluster/cluster.ts'
import { installCrds } from '../../../local-cluster/crds.ts'
import type { Client } from '../../../runtime/client.ts'
import { LEASE } from '../../../runtime/lease.ts'
import type { Json } from '../../../runtime/object.ts'
import { LOOPBACK_MODULE } from '../../helpers/access-log.ts'
import { eventually } from '../../helpers/eventually.ts'
import {
  conditionOf,
  createFence,
  createService,
  dependenciesOf,
  fenceOf,
  type Lazyload,
  sidecarOf,
  startLazyload,
} from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const PATIENT = { timeout: 60_000 }
const DEFINITION = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/servicefences.microservice.slime.io`
const selectors = (count: number): Json => Array.from({ length: count }, (_, index) => ({ selector: { app: `x${index}` } }))

// of its own: its CRD is the loose one of before
let cluster: Cluster
let client: Client
let namespace: string
let lazyload: Lazyload
before(async () => {
  cluster = await startCluster({ name: 'too-large', controllers: false })
  await installCrds(cluster)
  const loose = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  const { status, body } = await cluster.request('PATCH', DEFINITION, {
    body: [
      { op: 'replace', path: '/spec/versions/0/schema/openAPIV3Schema', value: loose },
      { op: 'remove', path: '/spec/versions/0/additionalPrinterColumns' },
    ],
    contentType: 'application/json-patch+json',
  })
  assert.equal(status, 200, body.message)
  client = adminClient(cluster)
  namespace = await createNamespace(cluster, 'large')
  for (const name of ['one', 'two', 'grown']) await createService(client, namespace, name, { app: name })
  for (const name of ['one', 'two'])
    await eventually(
      async () => await createFence(client, namespace, `large-${name}`, { enable: true, labelSelector: selectors(36_000) }),
      PATIENT,
    )
  lazyload = await startLazyload(cluster, {
    namespaces: [namespace],
    config: LOOPBACK_MODULE,
    args: ['--enable-leader-election'],
    env: { POD_NAME: 'a', WATCH_NAMESPACE: namespace },
  })
})
after(async () => {
  await lazyload?.stop()
  await cluster?.stop()
})

const isTooLarge = async (name: string): Promise<void> =>
  await eventually(async () => {
    const fence = await fenceOf(client, namespace, name)
    for (const type of ['Ready', 'Accepted', 'Learning']) {
      const { status, reason, message } = conditionOf(fence, type)
      assert.deepEqual({ status, reason }, { status: 'False', reason: 'TooLarge' }, `${type}: ${message}`)
      assert.match(message ?? '', /^spec\.labelSelector has 36000 entries; at most 500 are taken\./)
    }
  }, PATIENT)

test('a fence with 36,000 selectors says that it is too large and gets no Sidecar', async () => {
  for (const name of ['large-one', 'large-two']) {
    await isTooLarge(name)
    await assert.rejects(sidecarOf(client, namespace, name))
  }
})

test('a fence beside it gets what it selects, and the lease is kept', async () => {
  await createFence(client, namespace, 'usual', { enable: true, labelSelector: [{ selector: { app: 'one' } }] })
  await eventually(
    async () => assert.deepEqual(await dependenciesOf(client, namespace, 'usual'), [`one.${namespace}.svc.cluster.local`]),
    PATIENT,
  )
  const lease = await client.get({ type: LEASE, namespace, name: 'lazyload' })
  assert.match((lease!['spec'] as { readonly holderIdentity?: string }).holderIdentity ?? '', /^a_/)
  assert.doesNotMatch(lazyload.log(), /lease lost|unexpected/)
})

test('a fence that grows too large keeps its Sidecar as it is, and is served again when it is made smaller', async () => {
  await createFence(client, namespace, 'grown', { enable: true, host: { [`two.${namespace}.svc.cluster.local`]: {} } })
  const ref = { type: SERVICE_FENCE, namespace, name: 'grown' }
  const hosts = [`two.${namespace}.svc.cluster.local`]
  await eventually(async () => assert.deepEqual(await dependenciesOf(client, namespace, 'grown'), hosts), PATIENT)
  await client.mergePatch(ref, { spec: { host: null, labelSelector: selectors(36_000) } }, 'kubectl')
  await isTooLarge('grown')
  assert.deepEqual(await dependenciesOf(client, namespace, 'grown'), hosts)
  await client.mergePatch(ref, { spec: { labelSelector: [{ selector: { app: 'one' } }] } }, 'kubectl')
  await eventually(
    async () => assert.deepEqual(await dependenciesOf(client, namespace, 'grown'), [`one.${namespace}.svc.cluster.local`]),
    PATIENT,
  )
})

test('a fence that is too large and disabled loses its Sidecar', async () => {
  await client.mergePatch(
    { type: SERVICE_FENCE, namespace, name: 'grown' },
    { spec: { enable: false, labelSelector: selectors(36_000) } },
    'kubectl',
  )
  await eventually(async () => await assert.rejects(sidecarOf(client, namespace, 'grown')), PATIENT)
})
