/** Type namespaced: a module writes in the namespaces of its SlimeBoot and nowhere else, with the rights that the operator gives it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SERVICE, SERVICE_FENCE, SIDECAR } from '../../../lazyload/kinds.ts'
import { FIELD_MANAGER } from '../../../operator/api/slimeboot.ts'
import { markOwned, ownerOfKey } from '../../../operator/apply/ownership.ts'
import { render } from '../../../operator/render/render.ts'
import { LAZYLOAD_LEASES, LAZYLOAD_READER, LAZYLOAD_ROLE } from '../../../operator/rights/module-roles.ts'
import { roleObject } from '../../../operator/rights/role-manifest.ts'
import { buildValues } from '../../../operator/spec/build-values.ts'
import type { AuditEvent } from '../../../local-cluster/audit.ts'
import { createClient } from '../../../runtime/client.ts'
import { hasCode } from '../../../runtime/errors.ts'
import { loadKubeConfig } from '../../../runtime/kubeconfig.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'
import { createTransport } from '../../../runtime/transport.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { createFence, fenceOf, type Lazyload, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import {
  bootRef,
  changeSpec,
  createBoot,
  type Installation,
  isReady,
  newInstallation,
  read,
  readyIs,
  refTo,
  setStage,
  specOf,
  type Stage,
  typeOfKind,
} from '../../helpers/stage.ts'

const RBAC = 'rbac.authorization.k8s.io'
const NOWHERE = { nodeSelector: { nowhere: 'to-be-found' } }

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'confined')
  for (const role of [LAZYLOAD_ROLE, LAZYLOAD_READER, LAZYLOAD_LEASES]) {
    const { status, body } = await stage.cluster.request('POST', `/apis/${RBAC}/v1/clusterroles`, { body: roleObject(role) })
    assert.ok(status === 201 || status === 409, body.message)
  }
})
after(async () => await stage[Symbol.asyncDispose]())

const accountOf = ({ home, module }: Installation): string => `system:serviceaccount:${home}:${module}`
const groupsOf = ({ home }: Installation): readonly string[] => [
  'system:serviceaccounts',
  `system:serviceaccounts:${home}`,
  'system:authenticated',
]

/** The module as its pod would run, in the namespaces that its Deployment tells it. */
async function runModule(
  installation: Installation,
  more: { namespaces?: readonly string[]; config?: JsonObject } = {},
): Promise<Lazyload> {
  const { home, module } = installation
  return await startLazyload(stage.cluster, {
    namespaces: more.namespaces ?? (await servedBy(installation)),
    user: accountOf(installation),
    groups: groupsOf(installation),
    args: ['--enable-leader-election'],
    env: { WATCH_NAMESPACE: home, POD_NAME: `${module}-0` },
    globalSidecar: false,
    config: more.config ?? { name: module, global: { misc: { metric_source_type: 'accesslog' } } },
  })
}

/** What the Deployment says in LAZYLOAD_NAMESPACES. */
async function servedBy({ home, module }: Installation): Promise<readonly string[]> {
  const { spec } = (await read(stage, refTo('Deployment', home, module))) as unknown as {
    spec: { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } }
  }
  const value = spec.template.spec.containers[0]?.env.find(({ name }) => name === 'LAZYLOAD_NAMESPACES')?.value
  assert.ok(value !== undefined, 'the Deployment says no namespaces')
  return value.split(',')
}

async function callsOf(installation: Installation): Promise<readonly AuditEvent[]> {
  return (await stage.cluster.auditEvents()).filter(({ user }) => user === accountOf(installation))
}

async function deniedTo(installation: Installation): Promise<readonly string[]> {
  return (await callsOf(installation)).filter(({ code }) => code === 403).map(({ verb, requestURI }) => `${verb} ${requestURI}`)
}

async function hasSidecar(namespace: string, name: string): Promise<void> {
  await stage.eventually(async () => await sidecarOf(stage.client, namespace, name))
}

test("two teams' modules, each with a SlimeBoot: each serves its own fences, is refused nothing, and can touch none of the other's", async () => {
  const [one, two] = [await newInstallation(stage, 'one', 2), await newInstallation(stage, 'two', 1)]
  for (const team of [one, two]) {
    await createBoot(stage, team.name, specOf(team, { source: 'accesslog' }))
    await isReady(stage, team.name)
  }
  assert.deepEqual(await servedBy(one), one.apps)
  for (const team of [one, two]) for (const app of team.apps) await createFence(stage.client, app, 'web')
  await using oneModule = await runModule(one)
  await using twoModule = await runModule(two)
  for (const app of [...one.apps, ...two.apps]) await hasSidecar(app, 'web')
  // a fence where no SlimeBoot has a global-sidecar is nobody's
  const nobodys = await createNamespace(stage.cluster, 'nobodys')
  await createFence(stage.client, nobodys, 'web')
  await createFence(stage.client, one.apps[0]!, 'later')
  await hasSidecar(one.apps[0]!, 'later')
  assert.equal((await fenceOf(stage.client, nobodys, 'web')).status, undefined)
  for (const each of [oneModule, twoModule]) await each.stop()

  for (const [team, others] of [
    [one, two],
    [two, one],
  ] as const) {
    assert.deepEqual(await deniedTo(team), [])
    const written = (await callsOf(team)).filter(({ verb }) => !['get', 'list', 'watch'].includes(verb)).map(({ namespace }) => namespace)
    assert.deepEqual(
      written.filter((namespace) => ![...team.apps, team.home].includes(namespace)),
      [],
    )
    await canTouchNothing(team, others.apps[0]!)
  }
})

/** With the module's own token. */
async function canTouchNothing(installation: Installation, namespace: string): Promise<void> {
  const kubeconfig = stage.cluster.kubeconfigFor({ name: accountOf(installation), groups: groupsOf(installation) })
  const transport = createTransport({ loadConfig: () => loadKubeConfig(kubeconfig), userAgent: 'thief' })
  const client = createClient(transport)
  // all of the mesh can be read
  await client.list(SERVICE, { namespace })
  const tries: Readonly<Record<string, () => Promise<unknown>>> = {
    'create a Sidecar': async () => await client.create(SIDECAR, bare(SIDECAR, namespace, 'mine'), 'thief'),
    'patch a Sidecar': async () => await client.mergePatch({ type: SIDECAR, namespace, name: 'web' }, { spec: null }, 'thief'),
    'delete a Sidecar': async () => await client.remove({ type: SIDECAR, namespace, name: 'web' }),
    'create a fence': async () => await client.create(SERVICE_FENCE, bare(SERVICE_FENCE, namespace, 'mine'), 'thief'),
    'teach a fence': async () =>
      await client.mergePatch({ type: SERVICE_FENCE, namespace, name: 'web' }, { status: {} }, 'thief', 'status'),
    'delete a fence': async () => await client.remove({ type: SERVICE_FENCE, namespace, name: 'web' }),
  }
  for (const [what, attempt] of Object.entries(tries))
    await assert.rejects(attempt(), (error) => hasCode(error, 403), `${installation.name} could ${what} in ${namespace}`)
  transport.close()
}

function bare({ apiVersion, kind }: { apiVersion: string; kind: string }, namespace: string, name: string): KubeObject {
  return { apiVersion, kind, metadata: { namespace, name }, spec: {} }
}

test('a module of one team beside another in the same SlimeBoot writes only where general.namespaces says', async () => {
  const both = await newInstallation(stage, 'both', 2)
  const [first, second] = both.apps as [string, string]
  const spec = specOf(both, { source: 'accesslog' })
  const [module] = spec['module'] as readonly JsonObject[]
  const beside = { ...both, module: `${both.module}-second` }
  await createBoot(stage, 'both', {
    ...spec,
    module: [
      { ...module, general: { namespaces: [first] } },
      { ...module, name: beside.module, general: { namespaces: [second] } },
    ],
  })
  await isReady(stage, 'both')
  assert.deepEqual([await servedBy(both), await servedBy(beside)], [[first], [second]])
  for (const app of both.apps) await createFence(stage.client, app, 'web')
  await using firstModule = await runModule(both)
  await using secondModule = await runModule(beside)
  for (const app of both.apps) await hasSidecar(app, 'web')
  for (const each of [firstModule, secondModule]) await each.stop()
  for (const [installation, namespace] of [
    [both, second],
    [beside, first],
  ] as const) {
    assert.deepEqual(await deniedTo(installation), [])
    await canTouchNothing(installation, namespace)
  }
  // each global-sidecar sends its access log to the module of its namespace
  for (const [namespace, name] of [
    [first, both.module],
    [second, beside.module],
  ] as const) {
    const { data } = (await read(stage, refTo('ConfigMap', namespace, 'lazyload-accesslog-source'))) as unknown as {
      data: Record<string, string>
    }
    assert.match(data['custom_bootstrap.json']!, new RegExp(`"address":"${name}\\.${both.home}"`))
  }
})

test('an installation of 1.0.0 is bound anew without a moment in which a running module is refused something', async () => {
  const upgraded = await newInstallation(stage, 'upgraded', 2)
  const { module, home, apps } = upgraded
  const [served, elsewhere] = [apps[0]!, await createNamespace(stage.cluster, 'elsewhere')]
  const old = refTo('ClusterRoleBinding', undefined, module)
  const deployment = refTo('Deployment', home, module)
  // as 1.0.0 left it, with a pod that runs; the new pods cannot be scheduled yet
  await stage.restart(async () => {
    const spec = specOf(upgraded)
    for (const object of objectsOf100(upgraded, spec))
      await stage.client.apply(typeOfKind(object.kind), object, { fieldManager: FIELD_MANAGER })
    await stage.eventually(async () => assert.equal(((await read(stage, deployment))['status'] as JsonObject)['availableReplicas'], 1))
    await createBoot(stage, 'upgraded', { ...spec, ...NOWHERE })
  })
  // the pod of 1.0.0 serves all namespaces, and writes all the time
  await createFence(stage.client, served, 'web')
  await createFence(stage.client, elsewhere, 'web')
  await using running = await runModule(upgraded, { namespaces: [...apps, elsewhere] })
  await hasSidecar(served, 'web')
  // everything new is bound, and the old binding stays while the old pod does
  await whileWriting([served, elsewhere], async () => {
    for (const app of apps) await stage.eventually(async () => await read(stage, refTo('EnvoyFilter', app, 'to-global-sidecar')))
    // by now all is applied, and one more reconcile has had its look at what is stale
    await changeSpec(stage, 'upgraded', {
      ...specOf(upgraded),
      ...NOWHERE,
      replicaCount: 1,
      tolerations: [{ key: 'any', operator: 'Exists' }],
    })
    await readyIs(stage, 'upgraded', 'False', 'WorkloadNotReady')
    await read(stage, refTo('RoleBinding', served, `${module}.${home}`))
  })
  await read(stage, old)
  assert.deepEqual(await deniedTo(upgraded), [])

  // where it goes on serving it goes on writing, also after the old binding is gone
  await changeSpec(stage, 'upgraded', specOf(upgraded))
  await whileWriting([served], async () => {
    await stage.eventually(async () => assert.equal(await stage.client.get(old), undefined))
  })
  await running.stop()
  const denied = (await callsOf(upgraded)).filter(({ code, namespace }) => code === 403 && namespace !== elsewhere)
  assert.deepEqual(
    denied.map(({ verb, requestURI }) => `${verb} ${requestURI}`),
    [],
  )
  await isReady(stage, 'upgraded')
  await stage.client.remove(bootRef(stage, 'upgraded'))
})

/** Changes fence `web` of each namespace again and again, each time until lazyload has taken it in, until `work` has ended. */
async function whileWriting(namespaces: readonly string[], work: () => Promise<void>): Promise<void> {
  const ending = new AbortController()
  async function write(): Promise<void> {
    for (let round = 0; !ending.signal.aborted; round++)
      for (const namespace of namespaces) {
        const host = { [`h${round}.example.com`]: {}, [`h${round - 1}.example.com`]: null }
        await stage.client.mergePatch({ type: SERVICE_FENCE, namespace, name: 'web' }, { spec: { host } }, 'kubectl-edit')
        await stage.eventually(async () => {
          const { metadata, status } = await fenceOf(stage.client, namespace, 'web')
          assert.equal(status?.observedGeneration, metadata.generation)
        })
      }
  }
  const writing = write()
  try {
    await Promise.race([work(), writing])
  } finally {
    ending.abort()
    await writing
  }
}

/** What 1.0.0 made of the same SlimeBoot: one binding in the whole cluster, and pods that know of no namespaces. */
function objectsOf100(installation: Installation, spec: JsonObject): readonly KubeObject[] {
  const boot = {
    apiVersion: bootRef(stage, installation.name).type.apiVersion,
    kind: 'SlimeBoot',
    metadata: { name: installation.name, namespace: stage.namespace },
    spec,
  }
  const owner = ownerOfKey(`${stage.namespace}/${installation.name}`)
  const values = buildValues(boot)
  const modules = values.modules.map(({ name, bundleItem, config, clusterRole, ports }) => ({
    name,
    bundleItem,
    config,
    clusterRole,
    ports,
  }))
  return render({ ...values, modules })
    .map(({ object }) => object)
    .filter(({ kind, metadata }) => kind !== 'EnvoyFilter' && metadata.name === installation.module)
    .map((object) => markOwned(object.kind === 'Deployment' ? withoutAdditions(object) : object, owner))
}

function withoutAdditions(deployment: KubeObject): KubeObject {
  const text = JSON.stringify(deployment)
    .replace(',"sidecar.istio.io/inject":"false"', '')
    .replace('"terminationMessagePolicy":"FallbackToLogsOnError",', '')
  return JSON.parse(text) as KubeObject
}
