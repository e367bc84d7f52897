/** Lazyload with the rights that a SlimeBoot gives it and no others: nothing is denied, and all but what older images need is used. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEvent } from '../../../local-cluster/audit.ts'
import { FENCED_LABEL } from '../../../lazyload/auto-fence/decision.ts'
import { NAMESPACE, REVISION_LABEL, SERVICE, SERVICE_FENCE, SIDECAR } from '../../../lazyload/kinds.ts'
import { LAZYLOAD_LEASES, LAZYLOAD_ROLE, OLDER_IMAGES } from '../../../operator/rights/module-roles.ts'
import { roleObject } from '../../../operator/rights/role-manifest.ts'
import { grantsOf, qualified, type Role } from '../../../operator/rights/rule.ts'
import type { JsonObject } from '../../../runtime/object.ts'
import { messageOf, openLogStream, OWN_ADDRESS } from '../../helpers/access-log.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createEndpoints, createFence, createService, hostsOf, type Lazyload, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { putPod } from '../../helpers/pods.ts'
import { startQueryServer } from '../../helpers/prometheus.ts'
import { adminClient } from '../../helpers/stage.ts'

const RBAC = 'rbac.authorization.k8s.io'
const SLOW = { timeout: 30_000 }
/** The API server asks for it within a write, which the audit log does not show; only some clusters turn that on. */
const UNSEEN = 'update servicefences.microservice.slime.io/finalizers'

const cluster = await sharedCluster()
const client = adminClient(cluster)
const home = await createNamespace(cluster, 'modules')
const namespace = await createNamespace(cluster, 'rights')
const account = (module: string): string => `system:serviceaccount:${home}:${module}`

test('two modules of one namespace do all that lazyload does, each led by a Lease of its own name', async () => {
  await using prometheus = await startQueryServer()
  prometheus.answers.set('source_app="by-metrics"', [{ destination_service: `details.${namespace}.svc.cluster.local` }])
  await createService(client, namespace, 'details')
  await createService(client, namespace, 'by-label', { [FENCED_LABEL]: 'true' })
  await createEndpoints(client, namespace, 'by-label', ['172.17.0.80'])
  await createEndpoints(client, namespace, 'global-sidecar', [OWN_ADDRESS])
  // whether its pods are in the mesh only they can tell
  const tcp = { ports: [{ name: 'tcp', port: 3306 }], selector: { app: 'db' } }
  const apart = await createNamespace(cluster, 'rights-db')
  await client.create(SERVICE, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'db', namespace: apart }, spec: tcp })
  await readMeshConfigs(['log', 'metrics', 'next'])
  // istio.io/rev decides which of the two serves a fence
  const accessLog = await startModule('by-log', { metric_source_type: 'accesslog' }, { istioRev: 'log,next' })
  const metrics = await startModule(
    'by-metrics',
    {},
    { istioRev: 'metrics', strictRev: true },
    {
      metric: {
        prometheus: { address: prometheus.address, handlers: { all: { query: 'calls{source_app="$source_app"}', type: 'Group' } } },
      },
      general: { prometheusInterval: '500ms', autoFence: false },
    },
  )
  for (const module of ['by-log', 'by-metrics']) {
    await eventually(async () => {
      const { body } = await cluster.request('GET', `/apis/coordination.k8s.io/v1/namespaces/${home}/leases/${module}`)
      assert.match(body.spec?.holderIdentity ?? '', new RegExp(`^${module}-0_`))
    }, SLOW)
  }

  await createFence(client, namespace, 'by-metrics', { enable: true }, { 'istio.io/rev': 'metrics' })
  await eventually(async () => assert.equal(hostsOf(await sidecarOf(client, namespace, 'by-metrics')).length, 4), SLOW)

  await eventually(async () => await sidecarOf(client, namespace, 'by-label'), SLOW)
  const stream = openLogStream(await accessLog.logPort())
  stream.send(messageOf([{ directRemote: '172.17.0.80', upstreamCluster: 'outbound|80||www.example.com' }]))
  await stream.end()
  await eventually(async () => assert.equal(hostsOf(await sidecarOf(client, namespace, 'by-label')).length, 4))
  await createFence(client, namespace, 'job')
  await putPod(cluster, { namespace, name: 'job-1', ip: '172.17.0.81', labels: { app: 'job' } })
  await eventually(async () => await sidecarOf(client, namespace, 'job'), SLOW)
  const second = openLogStream(await accessLog.logPort())
  second.send(messageOf([{ directRemote: '172.17.0.81', upstreamCluster: 'outbound|80||www.example.com' }]))
  await second.end()
  await eventually(async () => assert.equal(hostsOf(await sidecarOf(client, namespace, 'job')).length, 4))
  const sidecar = { type: SIDECAR, namespace, name: 'by-label' }
  await client.mergePatch(sidecar, { spec: { outboundTrafficPolicy: { mode: 'ALLOW_ANY' } } }, 'kubectl-edit')
  await eventually(async () =>
    assert.equal(((await sidecarOf(client, namespace, 'by-label'))['spec'] as any).outboundTrafficPolicy, undefined),
  )
  await client.remove(sidecar)
  await eventually(async () => await sidecarOf(client, namespace, 'by-label'))
  await client.mergePatch({ type: NAMESPACE, name: namespace }, { metadata: { labels: { [REVISION_LABEL]: 'next' } } }, 'kubectl-label')
  await eventually(async () => assert.equal((await sidecarOf(client, namespace, 'by-label')).metadata.labels?.[REVISION_LABEL], 'next'))
  assert.equal((await accessLog.get(`/by-log/debug/svfReset?ns=${namespace}`)).text, 'succeed\n')
  await client.mergePatch({ type: SERVICE_FENCE, namespace, name: 'by-label' }, { spec: { enable: false } }, 'kubectl-edit')
  await isGone('by-label', SIDECAR)
  await client.remove({ type: SERVICE, namespace, name: 'by-label' })
  await isGone('by-label', SERVICE_FENCE)
  await client.remove({ type: SERVICE_FENCE, namespace, name: 'by-metrics' })
  await isGone('by-metrics', SIDECAR)
  for (const module of [accessLog, metrics]) await module.stop()
})

test('nothing was denied, and every right was used but those that only older images need', async () => {
  const users = ['by-log', 'by-metrics'].map(account)
  const events = (await cluster.auditEvents()).filter(({ user, resource }) => users.includes(user) && resource !== '')
  assert.deepEqual(
    events.filter(({ code }) => code === 403).map(({ verb, requestURI }) => `${verb} ${requestURI}`),
    [],
  )
  const used = new Set(events.flatMap(usedBy))
  const granted = [LAZYLOAD_ROLE, LAZYLOAD_LEASES].flatMap(({ rules }) => rules.flatMap(grantsOf))
  const older = OLDER_IMAGES.flatMap(grantsOf)
  assert.deepEqual(granted.filter((grant) => !used.has(grant) && grant !== UNSEEN).sort(), [...older].sort())
  assert.deepEqual(
    [...used].filter((grant) => !granted.includes(grant)),
    [],
  )
})

test('with these rights no other namespace lends its Leases', async () => {
  const token = cluster.createUser(account('by-log'), ['system:serviceaccounts'])
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'
  const { status } = await cluster.request('POST', leases, { body: { metadata: { name: 'by-log' } }, token })
  assert.equal(status, 403)
})

async function startModule(name: string, misc: JsonObject, global: JsonObject, more: JsonObject = {}): Promise<Lazyload> {
  const subjects = [{ kind: 'ServiceAccount', name, namespace: home }]
  const bindings = `namespaces/${home}/rolebindings`
  for (const [role, path] of [
    [LAZYLOAD_ROLE, 'clusterrolebindings'],
    [LAZYLOAD_LEASES, bindings],
  ] as const) {
    const roleName = await shippedRole(role)
    const roleRef = { apiGroup: RBAC, kind: 'ClusterRole', name: roleName }
    const { status, body } = await cluster.request('POST', `/apis/${RBAC}/v1/${path}`, {
      body: { metadata: { name: `${home}-${name}` }, roleRef, subjects },
    })
    assert.equal(status, 201, body.message)
  }
  return await startLazyload(cluster, {
    namespaces: [namespace],
    user: account(name),
    groups: ['system:serviceaccounts', `system:serviceaccounts:${home}`, 'system:authenticated'],
    args: ['--enable-leader-election'],
    env: { WATCH_NAMESPACE: home, POD_NAME: `${name}-0` },
    config: { name, global: { ...global, misc }, ...more },
  })
}

/** The mesh configurations of revisions have names that no shipped role can know: docs/lazyload.md says how to let a module read them. */
async function readMeshConfigs(revisions: readonly string[]): Promise<void> {
  const rbac = `/apis/${RBAC}/v1/namespaces/istio-system`
  const metadata = { name: `${home}-mesh` }
  const rules = [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['list', 'watch'], resourceNames: revisions.map((name) => `istio-${name}`) },
  ]
  const subjects = [{ kind: 'Group', apiGroup: RBAC, name: `system:serviceaccounts:${home}` }]
  const roleRef = { apiGroup: RBAC, kind: 'Role', name: metadata.name }
  await cluster.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'istio-system' } } })
  for (const [plural, body] of [
    ['roles', { metadata, rules }],
    ['rolebindings', { metadata, subjects, roleRef }],
  ] as const)
    assert.equal((await cluster.request('POST', `${rbac}/${plural}`, { body })).status, 201)
}

/** Makes the role, under a name of this test's own, if it is not there yet. */
async function shippedRole(role: Role): Promise<string> {
  const name = `${home}-${role.name}`
  const { status, body } = await cluster.request('POST', `/apis/${RBAC}/v1/clusterroles`, { body: roleObject({ ...role, name }) })
  assert.ok(status === 201 || status === 409, body.message)
  return name
}

async function isGone(name: string, type: typeof SIDECAR): Promise<void> {
  await eventually(async () => assert.equal(await client.get({ type, namespace, name }), undefined), SLOW)
}

/** Server-side apply of an object that was not there needs `create` too. */
function usedBy({ verb, group, resource, subresource, code }: AuditEvent): readonly string[] {
  const target = qualified(group, subresource === '' ? resource : `${resource}/${subresource}`)
  return verb === 'patch' && code === 201 ? [`patch ${target}`, `create ${target}`] : [`${verb} ${target}`]
}
