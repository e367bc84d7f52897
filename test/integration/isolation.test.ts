/** What stands against one namespace withholds that namespace; the others are installed, repaired and pruned meanwhile. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CONFIG_MAP, NAMESPACE } from '../../operator/api/kinds.ts'
import type { KubeObject } from '../../runtime/object.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { enemyIn } from '../helpers/enemy.ts'
import {
  bootRef,
  changeSpec,
  createBoot,
  type Installation,
  isGone,
  isReady,
  newInstallation,
  ownedIds,
  read,
  readBoot,
  readyIs,
  refTo,
  setStage,
  specOf,
  type Stage,
} from '../helpers/stage.ts'

/** Looked at again within 30 s of its cause going; the pods need their time, too. */
const HEALED = { timeout: 60_000 }
const QUOTA: ResourceType = { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true }
const POLICY: ResourceType = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingAdmissionPolicy',
  plural: 'validatingadmissionpolicies',
  namespaced: false,
}
const POLICY_BINDING: ResourceType = { ...POLICY, kind: 'ValidatingAdmissionPolicyBinding', plural: 'validatingadmissionpolicybindings' }

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'isolation')
})
after(async () => await stage[Symbol.asyncDispose]())

/** Everything of `name` lives in `namespaces`, and what is deleted there comes back. */
async function isWhole(name: string, { home, module }: Installation, namespaces: readonly string[]): Promise<void> {
  await stage.eventually(async () => {
    const ids = await ownedIds(stage, name)
    assert.ok(ids.includes(`Deployment/${home}/${module}`), 'no module')
    for (const namespace of namespaces)
      assert.ok(ids.includes(`EnvoyFilter/${namespace}/to-global-sidecar`), `no catch-all in ${namespace}`)
  })
  for (const namespace of namespaces)
    for (const ref of [refTo('Service', namespace, 'global-sidecar'), refTo('EnvoyFilter', namespace, 'to-global-sidecar')]) {
      const { uid } = (await read(stage, ref)).metadata
      await stage.client.remove(ref)
      await stage.eventually(async () => assert.notEqual((await read(stage, ref)).metadata.uid, uid), { timeout: 20_000 })
    }
}

/** Ready is False for this reason and says which namespace is left out, which has no catch-all. */
async function isWithheld(name: string, namespace: string, reason: string, words: RegExp): Promise<void> {
  const { message } = await readyIs(stage, name, 'False', reason)
  assert.match(message ?? '', words)
  assert.match(message ?? '', new RegExp(`Withheld: namespace ${namespace}\\. Everything else is applied`))
  assert.ok(!(await ownedIds(stage, name)).includes(`EnvoyFilter/${namespace}/to-global-sidecar`))
  const { objects } = (await readBoot(stage, name)).status ?? {}
  assert.ok((objects?.ready ?? 0) < (objects?.total ?? 0), 'the status counts what is withheld as ready')
}

describe('one namespace among others', { concurrency: true }, () => {
  test('that has a foreign object of a rendered name', async () => {
    const installation = await newInstallation(stage, 'foreign', 3)
    const [a, ...others] = installation.apps
    const metadata = { name: 'global-sidecar', namespace: a! }
    const ref = refTo('Service', a, 'global-sidecar')
    await stage.client.create(ref.type, { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ port: 80 }] } }, 'helm')
    await createBoot(stage, 'foreign', specOf(installation))
    await isWithheld('foreign', a!, 'Conflict', new RegExp(`Service/${a}/global-sidecar exists and is not ours`))
    await isWhole('foreign', installation, others)
    await stage.client.remove(ref)
    await isReady(stage, 'foreign', HEALED)
    await isWhole('foreign', installation, installation.apps)
  })

  test('where somebody overwrites our annotation, and that heals when he takes it away', async () => {
    const installation = await newInstallation(stage, 'defaced', 3)
    const [a, ...others] = installation.apps
    const enemy = await enemyIn(stage.cluster, a!)
    await createBoot(stage, 'defaced', specOf(installation))
    await isReady(stage, 'defaced')
    const service: KubeObject = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'global-sidecar', namespace: a! } }
    const annotate = async (owned: string | null): Promise<void> => {
      const body = { metadata: { annotations: { 'config.netease.com/owned': owned } } }
      const { status } = await enemy.send('PATCH', service, { body, contentType: 'application/merge-patch+json' })
      assert.equal(status, 200)
    }
    for (const owned of ['x=y', `other/boot=/Service/${a}/global-sidecar`]) {
      await annotate(owned)
      const { message } = await readyIs(stage, 'defaced', 'False', 'Conflict')
      assert.match(message ?? '', new RegExp(`Service/${a}/global-sidecar [^]*Withheld: namespace ${a}\\.`))
      await isWhole('defaced', installation, others)
      await annotate(null)
      await isReady(stage, 'defaced', HEALED)
    }
  })

  test('that does not exist, and gets its part when it does', async () => {
    const installation = await newInstallation(stage, 'missing')
    const missing = `${installation.root}-missing`
    await createBoot(stage, 'missing', specOf(installation, { namespaces: [missing, ...installation.apps] }))
    await isWithheld('missing', missing, 'NamespaceMissing', new RegExp(`Namespace ${missing} does not exist`))
    await isWhole('missing', installation, installation.apps)
    await stage.client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: missing } })
    await isReady(stage, 'missing', HEALED)
  })

  test('that is being deleted', async () => {
    const installation = await newInstallation(stage, 'ending', 2)
    const [a, ...others] = installation.apps
    await createBoot(stage, 'ending', specOf(installation))
    await isReady(stage, 'ending')
    const hold = { name: 'hold', namespace: a!, finalizers: ['example.com/hold'] }
    await stage.client.create(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: hold })
    await stage.client.remove({ type: NAMESPACE, name: a! })
    const { message } = await readyIs(stage, 'ending', 'False', 'NamespaceTerminating')
    assert.match(message ?? '', new RegExp(`Withheld: namespace ${a}\\.`))
    await isWhole('ending', installation, others)
    await stage.client.mergePatch({ type: CONFIG_MAP, namespace: a!, name: 'hold' }, { metadata: { finalizers: null } }, 'test')
    await stage.eventually(
      async () => assert.match((await readyIs(stage, 'ending', 'False', 'NamespaceMissing')).message ?? '', new RegExp(a!)),
      HEALED,
    )
  })

  test('that is out of quota, and gets its part when that is raised', async () => {
    const installation = await newInstallation(stage, 'quota', 2)
    const [a, ...others] = installation.apps
    const quota = { type: QUOTA, namespace: a!, name: 'none' }
    await stage.client.create(QUOTA, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none', namespace: a! },
      spec: { hard: { 'count/services': '0' } },
    })
    await stage.eventually(async () => assert.notEqual((await read(stage, quota))['status'], undefined))
    await createBoot(stage, 'quota', specOf(installation))
    await isWithheld('quota', a!, 'QuotaExceeded', /exceeded quota/)
    await isWhole('quota', installation, others)
    await stage.client.remove(quota)
    await isReady(stage, 'quota', HEALED)
  })

  test('where an admission policy refuses an object', async () => {
    const installation = await newInstallation(stage, 'denied', 2)
    const [a, ...others] = installation.apps
    const metadata = { name: `no-guard-${a}` }
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': a! } }
    await stage.client.create(POLICY, {
      apiVersion: POLICY.apiVersion,
      kind: POLICY.kind,
      metadata,
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: ['networking.istio.io'], apiVersions: ['*'], operations: ['CREATE'], resources: ['envoyfilters'] }],
        },
        validations: [{ expression: 'false', message: 'no filters here' }],
      },
    })
    await stage.client.create(POLICY_BINDING, {
      apiVersion: POLICY.apiVersion,
      kind: POLICY_BINDING.kind,
      metadata,
      spec: { policyName: metadata.name, validationActions: ['Deny'], matchResources: { namespaceSelector } },
    })
    const filter: KubeObject = {
      apiVersion: 'networking.istio.io/v1alpha3',
      kind: 'EnvoyFilter',
      metadata: { name: 'probe', namespace: a! },
      spec: {},
    }
    const { type } = refTo('EnvoyFilter', a, 'probe')
    // a policy counts from a moment after it was stored
    await stage.eventually(
      async () => await assert.rejects(async () => await stage.client.apply(type, filter, { fieldManager: 'test', dryRun: true })),
    )
    await createBoot(stage, 'denied', specOf(installation))
    await isWithheld('denied', a!, 'AdmissionDenied', /no filters here/)
    await isWhole('denied', installation, others)
    await stage.client.remove({ type: POLICY_BINDING, name: metadata.name })
    await isReady(stage, 'denied', HEALED)
  })

  test('that left the spec and whose objects somebody holds: the others that left are cleared, those that stay are kept right', async () => {
    const installation = await newInstallation(stage, 'held', 3)
    const [a, b, c] = installation.apps
    await createBoot(stage, 'held', specOf(installation))
    await isReady(stage, 'held')
    const refs = [refTo('EnvoyFilter', a, 'to-global-sidecar'), refTo('Service', a, 'global-sidecar')]
    for (const ref of refs) await stage.client.mergePatch(ref, { metadata: { finalizers: ['example.com/hold'] } }, 'kubectl-edit')
    await changeSpec(stage, 'held', specOf(installation, { namespaces: [c!] }))
    const { message } = await readyIs(stage, 'held', 'False', 'DeleteBlocked')
    assert.match(message ?? '', new RegExp(`EnvoyFilter/${a}/to-global-sidecar: .*example.com/hold`))
    await stage.eventually(async () =>
      assert.deepEqual(
        (await ownedIds(stage, 'held')).filter((id) => id.includes(b!)),
        [],
      ),
    )
    assert.ok((await ownedIds(stage, 'held')).includes(`Deployment/${a}/global-sidecar`), 'traffic still comes to it')
    await isWhole('held', installation, [c!])
    for (const ref of refs) await stage.client.mergePatch(ref, { metadata: { finalizers: null } }, 'kubectl-edit')
    await isReady(stage, 'held', HEALED)
  })

  test('whose objects somebody holds for ever does not keep the SlimeBoot from going', async () => {
    const installation = await newInstallation(stage, 'for-ever', 2)
    const [a] = installation.apps
    await createBoot(stage, 'for-ever', specOf(installation))
    await isReady(stage, 'for-ever')
    const refs = [refTo('EnvoyFilter', a, 'to-global-sidecar'), refTo('Service', a, 'global-sidecar')]
    for (const ref of refs) await stage.client.mergePatch(ref, { metadata: { finalizers: ['example.com/hold'] } }, 'kubectl-edit')
    await stage.client.remove(bootRef(stage, 'for-ever'))
    const { message } = await readyIs(stage, 'for-ever', 'False', 'DeleteBlocked')
    assert.match(message ?? '', new RegExp(`${a}/to-global-sidecar: .*example.com/hold`))
    await isGone(stage, 'for-ever', { timeout: 90_000 })
    assert.deepEqual(await ownedIds(stage, 'for-ever'), [`EnvoyFilter/${a}/to-global-sidecar`, `Service/${a}/global-sidecar`])
    assert.match(stage.operator().log(), new RegExp(`left behind .*EnvoyFilter/${a}/to-global-sidecar`))
    for (const ref of refs) await stage.client.mergePatch(ref, { metadata: { finalizers: null } }, 'kubectl-edit')
  })
})
