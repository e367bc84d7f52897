/**
 * The operator's rights, proven on a real API server: deployed by `deploy/slimeboot.yaml` and run as its ServiceAccount it installs,
 * changes, repairs and removes SlimeBoots of every shape; the audit log then shows that nothing was denied and that no rule is unused.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { AuditEvent } from '../../local-cluster/audit.ts'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { SIDECAR } from '../../operator/api/kinds.ts'
import { grantsOf, qualified } from '../../operator/rights/rule.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { shippedRoles } from '../../tools/deploy.ts'
import { applyObjects, deployObjects, OPERATOR_USER, runOperatorPods } from '../helpers/deployed-operator.ts'
import { eventually } from '../helpers/eventually.ts'
import { conditionOf, fenceOf } from '../helpers/lazyload.ts'
import type { PodRunner } from '../helpers/pod-runner.ts'
import { createServedFence } from '../helpers/served-fence.ts'
import { SHAPES } from '../helpers/shapes.ts'
import {
  adminClient,
  annotate,
  bootRef,
  changeSpec,
  createBoot,
  type Installation,
  isGone,
  isReady,
  newInstallation,
  ownedIds,
  ownedObjects,
  read,
  refTo,
  specOf,
  type Stage,
  typeOfKind,
} from '../helpers/stage.ts'

const NAMESPACE = 'mesh-operator'
const SLOW = { timeout: 60_000, interval: 200 }

let cluster: Cluster
let runner: PodRunner
let stage: Stage

before(async () => {
  cluster = await startCluster({ name: 'rights' })
  await installCrds(cluster, { own: false })
  await applyObjects(cluster, deployObjects())
  runner = await runOperatorPods(cluster, { SLIMEBOOT_MESH_SETTLE: '300ms', SLIMEBOOT_LOG_FORMAT: 'text' })
  const log = (): string =>
    runner
      .processes()
      .map((process) => `${process.pod}:\n${process.log().split('\n').slice(-40).join('\n')}`)
      .join('\n')
  stage = {
    cluster,
    client: adminClient(cluster),
    namespace: NAMESPACE,
    operator: () => assert.fail('the operator runs in pods'),
    restart: () => assert.fail('the operator runs in pods'),
    eventually: async (check, timing) => {
      try {
        return await eventually(check, timing)
      } catch (error) {
        if (error instanceof Error) error.message += `\n${log()}`
        throw error
      }
    },
    [Symbol.asyncDispose]: async () => {},
  }
})

after(async () => {
  await runner?.stop()
  await cluster?.stop()
})

test('as its own ServiceAccount the operator installs every shape, changes modes, and removes all of it', async () => {
  const installation = await newInstallation(stage, 'shapes', 2)
  const { name } = installation
  // Volumes and dispatches change what stands in the objects, not which objects there are.
  const shapes = SHAPES.filter(({ volumes, dispatches }) => !volumes && !dispatches)
  const [first, ...others] = shapes.map((shape) =>
    specOf(installation, { ...shape, namespaces: installation.apps }, withNetworkPolicy(installation, shape)),
  )
  await createBoot(stage, name, first!)
  await isReady(stage, name, SLOW)
  for (const spec of others) {
    await changeSpec(stage, name, spec)
    await isReady(stage, name, SLOW)
  }
  await remove(name)
})

test('as its own ServiceAccount the operator installs into many namespaces and makes those that are missing', async () => {
  const installation = await newInstallation(stage, 'many', 9)
  const { name } = installation
  await createBoot(
    stage,
    name,
    specOf({ ...installation, apps: [...installation.apps, `${installation.home}-new`] }, { dispatches: true }),
    {
      'config.netease.com/create-namespaces': 'true',
    },
  )
  await isReady(stage, name, SLOW)
  const [shop] = installation.apps as [string]
  await createServedFence(stage.client, shop, 'web')
  await remove(name)
  assert.equal(await stage.client.get({ type: SIDECAR, namespace: shop, name: 'web' }), undefined)
  assert.equal(conditionOf(await fenceOf(stage.client, shop, 'web'), 'Ready').reason, 'NotServed')
})

test('as its own ServiceAccount the operator repairs what others change, and leaves replicas to an autoscaler', async () => {
  const installation = await newInstallation(stage, 'drift')
  const { name, module, home, apps } = installation
  const [app] = apps
  await createBoot(stage, name, specOf(installation))
  await isReady(stage, name, SLOW)
  const uids = async (): Promise<ReadonlyMap<string, string | undefined>> =>
    new Map(
      (await ownedObjects(stage, name)).map((object) => [
        `${object.kind}/${object.metadata.namespace}/${object.metadata.name}`,
        object.metadata.uid,
      ]),
    )

  // every kind is deleted by hand once
  const earlier = await uids()
  const objects = await ownedObjects(stage, name)
  for (const object of objects)
    await stage.client.remove({ type: typeOfKind(object.kind), namespace: object.metadata.namespace, name: object.metadata.name })
  await stage.eventually(async () => {
    const now = await uids()
    for (const [id, uid] of earlier) assert.ok(now.has(id) && now.get(id) !== uid, `${id} is not back`)
  }, SLOW)
  await isReady(stage, name, SLOW)

  // a field of somebody else, which only a JSON patch takes away
  const filter = refTo('EnvoyFilter', app, 'global-sidecar-guard')
  await stage.client.mergePatch(filter, { spec: { priority: 7 } }, 'kubectl-edit')
  await stage.eventually(
    async () => assert.equal(((await read(stage, filter)) as { spec?: { priority?: number } }).spec?.priority, undefined),
    SLOW,
  )

  // a binding to another role is made anew, a scaled Deployment with an autoscaler is left alone
  const binding = refTo('ClusterRoleBinding', undefined, `${module}.${home}`)
  const bound = await read(stage, binding)
  await stage.client.remove(binding)
  await stage.eventually(async () => assert.notEqual((await read(stage, binding)).metadata.uid, bound.metadata.uid), SLOW)
  await stage.client.create(
    { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', plural: 'horizontalpodautoscalers', namespaced: true },
    {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: module, namespace: home },
      spec: { minReplicas: 2, maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: module } },
    },
  )
  const deployment = refTo('Deployment', home, module)
  await stage.eventually(
    async () => {
      await stage.client.mergePatch(deployment, { spec: { replicas: 2 } }, 'autoscaler')
      await annotate(stage, bootRef(stage, name), { 'config.netease.com/reconcile-at': `${Date.now()}` })
      const [listed] = await calls(({ verb, resource }) => verb === 'list' && resource === 'horizontalpodautoscalers')
      assert.ok(listed !== undefined, 'autoscalers are not asked for')
    },
    { ...SLOW, interval: 1000 },
  )

  // a workload that does not become ready: its pods are asked for the cause
  await changeSpec(stage, name, specOf(installation, {}, { nodeSelector: { nowhere: 'to-be-found' } }))
  await stage.eventually(async () => {
    const [asked] = await calls(({ verb, resource, namespace }) => verb === 'list' && resource === 'pods' && namespace === home)
    assert.ok(asked !== undefined, 'pods are not asked for')
  }, SLOW)

  // ports that are found: Services, Namespaces, and pods where no label says whether a namespace is in the mesh
  const spec = specOf(installation)
  const [first] = spec['module'] as readonly JsonObject[]
  await changeSpec(stage, name, { ...spec, module: [{ ...first, fence: { enable: true, wormholePort: ['auto', '9080'] } }] })
  await stage.eventually(async () => {
    const [listed] = await calls(({ verb, resource, namespace }) => verb === 'list' && resource === 'pods' && namespace === 'default')
    assert.ok(listed !== undefined, 'pods of the namespace default are not watched')
  }, SLOW)
  await remove(name)
})

test('nothing was denied to the operator, and every rule of its roles was used', async () => {
  await runner.stop() // Watches are logged when they end.
  const events = await calls(() => true)
  const denied = events.filter(({ code }) => code === 401 || code === 403)
  assert.deepEqual(denied.map(describe), [])

  const used = new Set(events.flatMap(usedBy))
  const names = new Set(events.map(({ resource, group, name }) => `${qualified(group, resource)} ${name}`))
  const roles = shippedRoles().slice(0, 3)
  const unused = roles.flatMap((role) =>
    role.rules.flatMap((rule) => {
      const [group = ''] = rule.apiGroups
      // The API server asks for "bind" within the create of a binding, which the log does not show: see the names below.
      if (rule.verbs.includes('bind')) return []
      const grants = grantsOf(rule)
      const objects = rule.resources.flatMap((resource) =>
        (rule.resourceNames ?? []).map((name) => `${qualified(group, resource)} ${name}`),
      )
      return [...grants.filter((grant) => !used.has(grant)), ...objects.filter((object) => !names.has(object))].map(
        (what) => `${role.name}: ${what}`,
      )
    }),
  )
  assert.deepEqual(unused, [])
  const bindings = events.filter(({ resource, code }) => resource === 'clusterrolebindings' && code === 201).map(({ name }) => name)
  assert.ok(
    bindings.some((name) => name.startsWith('shapes-')),
    'no module was bound to slime-lazyload',
  )
  assert.ok(bindings.includes('istio-pilot-slime'), 'no pilot was bound to slime-global-sidecar-pilot')
})

async function remove(name: string): Promise<void> {
  await stage.client.remove(bootRef(stage, name))
  await isGone(stage, name, SLOW)
  assert.deepEqual(await ownedIds(stage, name), [])
}

async function calls(which: (event: AuditEvent) => boolean): Promise<readonly AuditEvent[]> {
  return (await cluster.auditEvents()).filter((event) => event.user === OPERATOR_USER && which(event))
}

/** What a request needed: server-side apply of an object that was not there needs `create` too. */
function usedBy({ verb, group, resource, subresource, code }: AuditEvent): readonly string[] {
  const target = qualified(group, subresource === '' ? resource : `${resource}/${subresource}`)
  return verb === 'patch' && code === 201 ? [`patch ${target}`, `create ${target}`] : [`${verb} ${target}`]
}

function describe({ verb, group, resource, subresource, namespace, name, code }: AuditEvent): string {
  return `${code} ${verb} ${qualified(group, subresource === '' ? resource : `${resource}/${subresource}`)} ${namespace}/${name}`
}

/** The NetworkPolicy is rendered on request only. */
function withNetworkPolicy(installation: Installation, shape: (typeof SHAPES)[number]): JsonObject {
  const { component } = specOf(installation, { ...shape, namespaces: installation.apps }) as { component?: { globalSidecar?: JsonObject } }
  if (component?.globalSidecar === undefined) return {}
  return { component: { ...component, globalSidecar: { ...component.globalSidecar, networkPolicy: true } } }
}
