/** The cluster says no to a running operator: what it says is in the condition, it is asked again but not in a loop, and it heals. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { ClusterAccess } from '../../../local-cluster/access.ts'
import { CONFIG_MAP, NAMESPACE } from '../../../operator/api/kinds.ts'
import { ADOPT_ANNOTATION, SUSPEND_ANNOTATION } from '../../../operator/api/slimeboot.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import {
  annotate,
  bootRef,
  changeSpec,
  createBoot,
  isGone,
  isReady,
  newInstallation,
  read,
  readyIs,
  refTo,
  setStage,
  specOf,
  type Stage,
  summaryOf,
  writes,
} from '../../helpers/stage.ts'
import { startWebhook } from '../../helpers/webhook.ts'

/** What heals by itself is looked at every 15 s; a busy machine adds to that. */
const HEALED = { timeout: 120_000 }
/** Writes that one refusal may cost while a test watches it: a look every 15 s. */
const BOUND = 12
const QUOTA: ResourceType = { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true }
const CLUSTER_ROLE: ResourceType = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  plural: 'clusterroles',
  namespaced: false,
}

let cluster: ClusterAccess
let stage: Stage
before(async () => {
  cluster = await sharedCluster()
  stage = await setStage(cluster, 'no')
})
after(async () => await stage?.[Symbol.asyncDispose]())

describe('a refusal', { concurrency: true }, () => {
  test('by a namespace that is terminating names it; what is there elsewhere stays; a new namespace gets its objects', async () => {
    const installation = await newInstallation(stage, 'ending', 2)
    const [stays, ends] = installation.apps as [string, string]
    await createBoot(stage, 'ending', specOf(installation))
    await isReady(stage, 'ending')
    const { metadata } = await stage.client.create(CONFIG_MAP, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'holds', namespace: ends, finalizers: ['example.com/holds'] },
    })
    const since = new Date()
    await stage.client.remove({ type: NAMESPACE, name: ends })
    const ready = await readyIs(stage, 'ending', 'False', 'NamespaceTerminating', HEALED)
    assert.match(ready.message ?? '', new RegExp(`amespace ${ends} is terminating`))
    assert.ok(await stage.client.get(refTo('Deployment', stays, 'global-sidecar')))
    await stage.client.jsonPatch(
      { type: CONFIG_MAP, namespace: ends, name: metadata.name },
      [{ op: 'remove', path: '/metadata/finalizers' }],
      'test',
    )
    await stage.eventually(async () => assert.equal(await stage.client.get({ type: NAMESPACE, name: ends }), undefined), HEALED)
    await stage.client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ends } })
    await isReady(stage, 'ending', HEALED)
    const refused = (await writes(stage, since)).filter(({ namespace, code }) => namespace === ends && code >= 400)
    assert.ok(refused.length < 3 * BOUND, summaryOf(refused).join('\n'))
  })

  test('by a webhook that does not answer, and then says no, quotes it; when it agrees all is well', async () => {
    const installation = await newInstallation(stage, 'webhook', 0)
    await using webhook = await startWebhook(cluster, stage.client, installation.home, 'hangs')
    await stage.eventually(async () => {
      const probe = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'probe', namespace: installation.home } }
      await assert.rejects(stage.client.create(CONFIG_MAP, probe), /failed calling webhook/)
    })
    const since = new Date()
    await createBoot(stage, 'webhook', specOf(installation, { mode: 'none' }))
    const silent = await readyIs(stage, 'webhook', 'False', 'WebhookFailed', HEALED)
    assert.match(
      silent.message ?? '',
      new RegExp(`ConfigMap/${installation.home}/${installation.module}: .*${installation.home}\\.example\\.com`),
    )
    webhook.mood = 'refuses'
    const refused = await readyIs(stage, 'webhook', 'False', 'AdmissionDenied', HEALED)
    assert.match(refused.message ?? '', /no ConfigMaps on a Sunday/)
    webhook.mood = 'agrees'
    await isReady(stage, 'webhook', HEALED)
    const tries = (await writes(stage, since)).filter(
      ({ resource, namespace }) => resource === 'configmaps' && namespace === installation.home,
    )
    assert.ok(tries.length < BOUND, summaryOf(tries).join('\n'))
  })

  test('by a quota names it, and goes when it is raised', async () => {
    const installation = await newInstallation(stage, 'quota', 0)
    const quota = { type: QUOTA, namespace: installation.home, name: 'none' }
    await stage.client.create(QUOTA, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none', namespace: installation.home },
      spec: { hard: { services: '0' } },
    })
    await stage.eventually(async () =>
      assert.deepEqual(((await read(stage, quota))['status'] as { hard?: unknown }).hard, { services: '0' }),
    )
    const since = new Date()
    await createBoot(stage, 'quota', specOf(installation, { mode: 'none' }))
    const ready = await readyIs(stage, 'quota', 'False', 'QuotaExceeded', HEALED)
    assert.match(
      ready.message ?? '',
      new RegExp(`Service/${installation.home}/${installation.module}: .*exceeded quota: none.*Raise the quota`),
    )
    await stage.client.mergePatch(quota, { spec: { hard: { services: '9' } } }, 'test')
    await isReady(stage, 'quota', HEALED)
    const tries = (await writes(stage, since)).filter(
      ({ resource, namespace }) => resource === 'services' && namespace === installation.home,
    )
    assert.ok(tries.length < BOUND, summaryOf(tries).join('\n'))
  })

  test('because the selector of a Deployment cannot be changed says what to delete, and goes on when that is done', async () => {
    const installation = await newInstallation(stage, 'selector', 0)
    const deployment = refTo('Deployment', installation.home, installation.module)
    await stage.client.create(deployment.type, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: installation.module, namespace: installation.home },
      spec: {
        selector: { matchLabels: { made: 'by-hand' } },
        template: { metadata: { labels: { made: 'by-hand' } }, spec: { containers: [{ name: 'c', image: 'example.com/c' }] } },
      },
    })
    const since = new Date()
    await createBoot(stage, 'selector', specOf(installation, { mode: 'none' }), { [ADOPT_ANNOTATION]: 'true' })
    const ready = await readyIs(stage, 'selector', 'False', 'Invalid', HEALED)
    assert.match(
      ready.message ?? '',
      new RegExp(
        `Deployment/${installation.home}/${installation.module}: .*field is immutable.*Delete Deployment/${installation.home}/${installation.module}, and it is made anew`,
      ),
    )
    await stage.client.remove(deployment)
    await isReady(stage, 'selector', HEALED)
    const tries = (await writes(stage, since)).filter(
      ({ resource, namespace }) => resource === 'deployments' && namespace === installation.home,
    )
    assert.ok(tries.length < BOUND, summaryOf(tries).join('\n'))
  })

  test('because the roleRef of a binding cannot be changed is answered by a new binding', async () => {
    const installation = await newInstallation(stage, 'role', 0)
    await createBoot(stage, 'role', specOf(installation, { mode: 'none' }))
    await isReady(stage, 'role')
    const binding = refTo('ClusterRoleBinding', undefined, installation.module)
    const { metadata, ...ours } = await read(stage, binding)
    await annotate(stage, bootRef(stage, 'role'), { [SUSPEND_ANNOTATION]: 'true' })
    await readyIs(stage, 'role', 'Unknown', 'Suspended')
    await stage.client.remove(binding)
    const { name, labels = {}, annotations = {} } = metadata
    const roleRef = { ...(ours['roleRef'] as object), name: 'view' }
    await stage.client.create(binding.type, { ...ours, roleRef, metadata: { name, labels, annotations } })
    await annotate(stage, bootRef(stage, 'role'), { [SUSPEND_ANNOTATION]: null })
    await stage.eventually(async () => assert.deepEqual((await read(stage, binding))['roleRef'], ours['roleRef']), HEALED)
    await isReady(stage, 'role')
  })

  test('of a right that was granted before names verb and resource, on change and on deletion, and goes when it is granted again', async () => {
    const name = `${stage.namespace}-rights`
    const grant = async (deployments: readonly string[], services: readonly string[]): Promise<unknown> =>
      await stage.client.apply(
        CLUSTER_ROLE,
        { apiVersion: CLUSTER_ROLE.apiVersion, kind: CLUSTER_ROLE.kind, metadata: { name }, rules: rules(deployments, services) },
        { fieldManager: 'test' },
      )
    await grant(['*'], ['*'])
    await bind(name)
    await using own = await setStage(cluster, 'rights', { user: `${name}-user`, groups: [name] })
    const installation = await newInstallation(own, 'rights', 0)
    const spec = specOf(installation, { mode: 'none' })
    await createBoot(own, 'rights', spec)
    await isReady(own, 'rights', HEALED)

    await grant(['get', 'list', 'watch', 'create', 'delete'], ['*'])
    await changeSpec(own, 'rights', { ...spec, replicaCount: 2 })
    const change = await readyIs(own, 'rights', 'False', 'Forbidden', HEALED)
    assert.match(change.message ?? '', /patch deployments\.apps/)
    await grant(['*'], ['*'])
    await isReady(own, 'rights', HEALED)

    await grant(['*'], ['get', 'list', 'watch', 'create', 'patch'])
    await own.client.remove(bootRef(own, 'rights'))
    const deletion = await readyIs(own, 'rights', 'False', 'DeleteBlocked', HEALED)
    assert.match(deletion.message ?? '', new RegExp(`Service/${installation.home}/${installation.module}: .*delete services`))
    await grant(['*'], ['*'])
    await isGone(own, 'rights', HEALED)
  })
})

const rules = (deployments: readonly string[], services: readonly string[]): readonly unknown[] => [
  ...[
    'policy',
    'networking.k8s.io',
    'networking.istio.io',
    'rbac.authorization.k8s.io',
    'config.netease.com',
    'microservice.slime.io',
    'autoscaling',
  ].map((group) => ({
    apiGroups: [group],
    resources: ['*'],
    verbs: ['*'],
  })),
  { apiGroups: [''], resources: ['configmaps', 'serviceaccounts', 'events', 'namespaces', 'pods'], verbs: ['*'] },
  { apiGroups: [''], resources: ['services'], verbs: services },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: deployments },
]

async function bind(name: string): Promise<void> {
  const { type } = refTo('ClusterRoleBinding', undefined, name)
  await stage.client.create(type, {
    apiVersion: type.apiVersion,
    kind: type.kind,
    metadata: { name },
    subjects: [{ kind: 'Group', name, apiGroup: 'rbac.authorization.k8s.io' }],
    roleRef: { kind: 'ClusterRole', name, apiGroup: 'rbac.authorization.k8s.io' },
  })
}
