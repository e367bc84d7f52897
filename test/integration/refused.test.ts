/** Refused: what stands in the way stops everything before the first write, is named with a remedy, and heals when it goes. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { NAMESPACE, SERVICE } from '../../operator/api/kinds.ts'
import type { KubeObject } from '../../runtime/object.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import {
  annotate,
  bootRef,
  changeSpec,
  conditionOf,
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
const CLUSTER_ROLE: ResourceType = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  plural: 'clusterroles',
  namespaced: false,
}

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'refused')
})
after(async () => await stage[Symbol.asyncDispose]())

describe('a SlimeBoot that is refused', { concurrency: true }, () => {
  test('for an object that is not ours names it and its manager, writes nothing, and goes on when it is gone', async () => {
    const installation = await newInstallation(stage, 'foreign')
    const { ref } = await foreignService(installation)
    await createBoot(stage, 'foreign', specOf(installation))
    const ready = await readyIs(stage, 'foreign', 'False', 'Conflict')
    assert.match(
      ready.message ?? '',
      new RegExp(`Service/${installation.home}/${installation.module} exists and is not ours \\(managed by helm\\)`),
    )
    assert.equal(conditionOf(await readBoot(stage, 'foreign'), 'Stalled').status, 'True')
    assert.deepEqual(await ownedIds(stage, 'foreign'), [])
    await stage.client.remove(ref)
    await isReady(stage, 'foreign', HEALED)
  })

  test('for an object that is not ours takes it over when told to adopt it', async () => {
    const installation = await newInstallation(stage, 'adopt')
    const { ref, object } = await foreignService(installation)
    await createBoot(stage, 'adopt', specOf(installation))
    await readyIs(stage, 'adopt', 'False', 'Conflict')
    await annotate(stage, bootRef(stage, 'adopt'), { 'config.netease.com/adopt': 'true' })
    await isReady(stage, 'adopt')
    const adopted = await read(stage, ref)
    assert.equal(adopted.metadata.uid, object.metadata.uid)
    assert.deepEqual((adopted['spec'] as { selector: unknown }).selector, { app: installation.module })
  })

  test('for the namespace of its module, which is missing, writes nothing, and goes on when it is there', async () => {
    const installation = await newInstallation(stage, 'nowhere')
    const home = `${installation.root}-home`
    await createBoot(stage, 'nowhere', specOf({ ...installation, home }))
    const ready = await readyIs(stage, 'nowhere', 'False', 'NamespaceMissing')
    assert.match(ready.message ?? '', new RegExp(home))
    assert.deepEqual(await ownedIds(stage, 'nowhere'), [])
    await stage.client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: home } })
    await isReady(stage, 'nowhere', HEALED)
  })

  test('for missing namespaces names all of them, and goes on when they are there', async () => {
    const installation = await newInstallation(stage, 'several')
    const missing = [`${installation.root}-a`, `${installation.root}-b`]
    await createBoot(stage, 'several', specOf(installation, { namespaces: [...installation.apps, ...missing] }))
    const ready = await readyIs(stage, 'several', 'False', 'NamespaceMissing')
    for (const name of missing) assert.match(ready.message ?? '', new RegExp(name))
    for (const name of missing) await stage.client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    await isReady(stage, 'several', HEALED)
  })

  test('for a missing namespace makes it when told to', async () => {
    const installation = await newInstallation(stage, 'makes')
    const missing = `${installation.root}-made`
    await createBoot(stage, 'makes', specOf(installation, { namespaces: [missing] }), { 'config.netease.com/create-namespaces': 'true' })
    await isReady(stage, 'makes')
    assert.ok((await ownedIds(stage, 'makes')).includes(`EnvoyFilter/${missing}/to-global-sidecar`))
  })

  test('for the objects and ports of an older one names it, and goes on as soon as that one is gone', async () => {
    const installation = await newInstallation(stage, 'older')
    await createBoot(stage, 'older', specOf(installation))
    await isReady(stage, 'older')
    await createBoot(stage, 'younger', specOf(installation))
    const ready = await readyIs(stage, 'younger', 'False', 'Conflict')
    assert.match(ready.message ?? '', new RegExp(`SlimeBoot ${stage.namespace}/older has .*port 9080 of namespace ${installation.apps[0]}`))
    assert.deepEqual(await ownedIds(stage, 'younger'), [])
    await stage.client.remove(bootRef(stage, 'older'))
    await isReady(stage, 'younger', { timeout: 15_000 })
  })

  test('for the ports of another leaves that one as it is, also when it is the older one that moves in, and after a restart', async () => {
    await using own = await setStage(stage.cluster, 'refused-move')
    const [first, second] = [await newInstallation(own, 'first'), await newInstallation(own, 'second')]
    await createBoot(own, 'first', specOf(first))
    await isReady(own, 'first')
    await createBoot(own, 'second', specOf(second))
    await isReady(own, 'second')
    const earlier = await ownedIds(own, 'second')
    await changeSpec(own, 'first', specOf(first, { namespaces: second.apps }))
    const ready = await readyIs(own, 'first', 'False', 'Conflict')
    assert.match(ready.message ?? '', new RegExp(`SlimeBoot ${own.namespace}/second has`))
    await own.restart()
    // a reconcile of both after the restart, seen by their answers
    for (const name of ['first', 'second'])
      await changeSpec(own, name, { ...specOf(name === 'first' ? first : second, { namespaces: second.apps }), replicaCount: 2 })
    await readyIs(own, 'first', 'False', 'Conflict')
    await isReady(own, 'second')
    assert.deepEqual(await ownedIds(own, 'second'), earlier)
    assert.ok((await ownedIds(own, 'first')).includes(`EnvoyFilter/${first.apps[0]}/to-global-sidecar`), 'a refused change prunes nothing')
  })

  test('reports a copy of one of its objects and never deletes it', async () => {
    const installation = await newInstallation(stage, 'copied')
    await createBoot(stage, 'copied', specOf(installation))
    await isReady(stage, 'copied')
    const { metadata, ...original } = await read(stage, refTo('Service', installation.apps[0], 'global-sidecar'))
    const { clusterIP: _, clusterIPs: __, ...spec } = original['spec'] as Readonly<Record<string, unknown>>
    const copy = {
      ...original,
      spec,
      metadata: { name: 'copy', namespace: installation.apps[0]!, labels: metadata.labels!, annotations: metadata.annotations! },
    }
    const { metadata: made } = await stage.client.create(SERVICE, copy, 'kubectl-create')
    await stage.eventually(async () => {
      const boot = await readBoot(stage, 'copied')
      assert.match(
        (boot.status?.warnings ?? []).map(({ message }) => message).join('\n'),
        new RegExp(`Service/${installation.apps[0]}/copy carries our annotation of another object`),
      )
      assert.equal(conditionOf(boot, 'Ready').status, 'True')
    })
    await stage.client.remove(bootRef(stage, 'copied'))
    await isGone(stage, 'copied')
    const left = await read(stage, { type: SERVICE, namespace: installation.apps[0]!, name: 'copy' })
    assert.deepEqual([left.metadata.uid, left.metadata.deletionTimestamp], [made.uid, undefined])
  })

  test('for a verb that is forbidden names verb and resource, and goes on when it is granted', async () => {
    const role = await restrictedRole('create', ['get', 'list', 'watch', 'patch', 'delete'])
    await using own = await setStage(stage.cluster, 'refused-verb', { user: `${role}-user`, groups: [role] })
    const installation = await newInstallation(own, 'verb')
    await createBoot(own, 'verb', specOf(installation))
    const ready = await readyIs(own, 'verb', 'False', 'Forbidden')
    assert.match(ready.message ?? '', /create envoyfilters\.networking\.istio\.io/)
    assert.deepEqual(await ownedIds(own, 'verb'), [])
    await grant(role, ['*'])
    await isReady(own, 'verb', HEALED)
  })

  test('for a kind that may not be watched says so, others go on, and it does too when that is granted', async () => {
    const role = await restrictedRole('watch', [])
    await using own = await setStage(stage.cluster, 'refused-watch', { user: `${role}-user`, groups: [role] })
    const installation = await newInstallation(own, 'watch')
    await createBoot(own, 'watch', specOf(installation))
    const ready = await readyIs(own, 'watch', 'False', 'Forbidden')
    assert.match(ready.message ?? '', /list.*envoyfilters|envoyfilters.*list/)
    await createBoot(own, 'none', specOf(await newInstallation(own, 'none'), { mode: 'none' }))
    await isReady(own, 'none')
    await grant(role, ['*'])
    await isReady(own, 'watch', HEALED)
  })
})

async function foreignService({ home, module }: Installation): Promise<{ ref: ReturnType<typeof refTo>; object: KubeObject }> {
  const object = await stage.client.create(
    SERVICE,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: module, namespace: home },
      spec: { selector: { app: 'other' }, ports: [{ port: 80 }] },
    },
    'helm',
  )
  return { ref: refTo('Service', home, module), object }
}

const rulesWith = (verbs: readonly string[]): readonly unknown[] => [
  ...[
    '',
    'apps',
    'policy',
    'networking.k8s.io',
    'rbac.authorization.k8s.io',
    'config.netease.com',
    'autoscaling',
    'coordination.k8s.io',
  ].map((group) => ({ apiGroups: [group], resources: ['*'], verbs: ['*'] })),
  { apiGroups: ['networking.istio.io'], resources: ['sidecars', 'destinationrules', 'serviceentries', 'virtualservices'], verbs: ['*'] },
  ...(verbs.length === 0 ? [] : [{ apiGroups: ['networking.istio.io'], resources: ['envoyfilters'], verbs }]),
]

/** A role for everything that the operator does, but only `verbs` on EnvoyFilters; bound to the group of its name. */
async function restrictedRole(what: string, verbs: readonly string[]): Promise<string> {
  const name = `${stage.namespace}-${what}`
  await stage.client.create(CLUSTER_ROLE, {
    apiVersion: CLUSTER_ROLE.apiVersion,
    kind: CLUSTER_ROLE.kind,
    metadata: { name },
    rules: rulesWith(verbs),
  })
  const { type } = refTo('ClusterRoleBinding', undefined, name)
  await stage.client.create(type, {
    apiVersion: type.apiVersion,
    kind: type.kind,
    metadata: { name },
    subjects: [{ kind: 'Group', name, apiGroup: 'rbac.authorization.k8s.io' }],
    roleRef: { kind: 'ClusterRole', name, apiGroup: 'rbac.authorization.k8s.io' },
  })
  return name
}

async function grant(name: string, verbs: readonly string[]): Promise<void> {
  await stage.client.mergePatch({ type: CLUSTER_ROLE, name }, { rules: rulesWith(verbs) }, 'test')
}
