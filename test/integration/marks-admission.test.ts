/** The admission policy on marks, with real users: who may write in a namespace puts ours on nothing, and everything else goes on as before. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Answer } from '../../local-cluster/access.ts'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { CATCH_ALL_ANNOTATION, OWNED_ANNOTATION, OWNER_LABEL } from '../../operator/api/slimeboot.ts'
import { MANAGED_TYPES } from '../../operator/api/kinds.ts'
import { identityOf, type KubeObject } from '../../runtime/object.ts'
import { collectionPath, objectPath, refOf } from '../../runtime/resource.ts'
import { applyObjects, deployObjects, OPERATOR_USER } from '../helpers/deployed-operator.ts'
import { configMap, type Enemy, enemyIn, envoyFilter, forged } from '../helpers/enemy.ts'
import { eventually } from '../helpers/eventually.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { typeOfKind } from '../helpers/stage.ts'

const MERGE = { contentType: 'application/merge-patch+json' }
const OWNER = 'mesh-operator/lazyload'

let cluster: Cluster
let enemy: Enemy
before(async () => {
  cluster = await startCluster({ name: 'marks-admission' })
  await installCrds(cluster, { own: false })
  await applyObjects(cluster, deployObjects())
  enemy = await enemyIn(cluster, await createNamespace(cluster, 'tenant'))
  // a policy counts from a moment after it was stored
  await eventually(
    async () => assert.equal((await enemy.send('POST', forged(configMap(enemy.namespace, 'first'), { owner: OWNER }))).status, 403),
    {
      timeout: 30_000,
    },
  )
})
after(async () => await cluster?.stop())

function refused({ status, body }: Answer): void {
  assert.equal(status, 403, JSON.stringify(body))
  assert.match(String(body.message), /slimeboot-marks.* mark what the operator of SlimeBoots made: only it sets or changes them/)
}

async function stored(object: KubeObject): Promise<KubeObject> {
  const { status, body } = await cluster.request('POST', collectionPath(typeOfKind(object.kind), object.metadata.namespace), {
    body: object,
  })
  assert.equal(status, 201, JSON.stringify(body))
  return object
}

test('each mark is refused alone, on new objects and on those that are there, by whatever kind of write', async () => {
  const { namespace } = enemy
  const plain = await stored(configMap(namespace, 'plain'))
  const marks = [
    { labels: { [OWNER_LABEL]: 'x' } },
    { annotations: { [OWNED_ANNOTATION]: 'foo=bar' } },
    { annotations: { [OWNED_ANNOTATION]: `${OWNER}=${identityOf(plain)}` } },
    { annotations: { [CATCH_ALL_ANNOTATION]: '*=x' } },
    { annotations: { 'config.netease.com/applied': 'x' } },
  ]
  for (const metadata of marks) {
    refused(await enemy.send('POST', configMap(namespace, 'new', metadata)))
    refused(await enemy.send('PATCH', plain, { body: { metadata }, ...MERGE }))
    const applied = configMap(namespace, 'plain', metadata)
    const query = '?fieldManager=slimeboot&force=true'
    refused(await enemy.send('PATCH', applied, { contentType: 'application/apply-patch+yaml', query }))
  }
  refused(await enemy.send('POST', forged(envoyFilter(namespace, 'to-global-sidecar'), { owner: OWNER, catchAll: '*=x' })))
})

test('every kind that the templates render is guarded', async () => {
  const spec = {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'a' }] } },
  }
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'writer' }
  const fields: Readonly<Record<string, object>> = {
    Deployment: { spec },
    Service: { spec: { ports: [{ port: 80 }] } },
    RoleBinding: { roleRef },
    ClusterRoleBinding: { roleRef },
    DestinationRule: { spec: { host: 'a' } },
    NetworkPolicy: { spec: { podSelector: {} } },
    PodDisruptionBudget: { spec: { maxUnavailable: 1 } },
  }
  const token = cluster.createUser('writer')
  const body = {
    metadata: { name: 'writer' },
    rules: [{ apiGroups: ['*'], resources: MANAGED_TYPES.map(({ plural }) => plural), verbs: ['*'] }],
  }
  await cluster.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', { body })
  const binding = {
    metadata: { name: 'writer' },
    roleRef,
    subjects: [{ kind: 'User', name: 'writer', apiGroup: roleRef.apiGroup }],
  }
  await cluster.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', { body: binding })
  for (const { apiVersion, kind, namespaced, ...type } of MANAGED_TYPES) {
    const metadata = { name: 'guarded', ...(namespaced ? { namespace: enemy.namespace } : {}) }
    const object = { apiVersion, kind, metadata, ...fields[kind] } as KubeObject
    const path = collectionPath({ apiVersion, kind, namespaced, ...type }, metadata.namespace)
    await eventually(async () => refused(await cluster.request('POST', path, { body: forged(object, { owner: OWNER }), token })))
    assert.equal((await cluster.request('POST', `${path}?dryRun=All`, { body: object, token })).status, 201, kind)
  }
})

test('marks that stay as they are hinder no write, and anybody may take them off', async () => {
  const { namespace } = enemy
  const marked = await stored(forged(configMap(namespace, 'marked'), { owner: OWNER }))
  const patch = async (body: unknown): Promise<void> => {
    const answer = await enemy.send('PATCH', marked, { body, ...MERGE })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
  }
  await patch({ data: { a: 'c' } })
  await patch({ metadata: { labels: { team: 'a' }, annotations: { note: 'mine' }, finalizers: ['example.com/mine'] } })
  await patch({ metadata: { finalizers: null, ownerReferences: [] } })
  refused(await enemy.send('PATCH', marked, { body: { metadata: { annotations: { [OWNED_ANNOTATION]: 'x=y' } } }, ...MERGE }))
  await patch({ metadata: { labels: { [OWNER_LABEL]: null }, annotations: { [OWNED_ANNOTATION]: null } } })
  refused(await enemy.send('PATCH', marked, { body: { metadata: { labels: { [OWNER_LABEL]: 'mesh-operator.lazyload' } } }, ...MERGE }))
})

test('controllers go on writing what is marked: a Deployment is rolled out, its status written, what depends on it collected', async () => {
  const { namespace } = enemy
  const labels = { app: 'rolled' }
  const object: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'rolled', namespace, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'a' }] } },
    },
  }
  const deployment = await stored(forged(object, { owner: OWNER }))
  const path = objectPath(refOf(typeOfKind('Deployment'), deployment))
  const revision = 'deployment.kubernetes.io/revision'
  const { uid } = await eventually(async () => {
    const { body } = await cluster.request('GET', path)
    assert.deepEqual([body.metadata.annotations[revision], body.status.observedGeneration >= 1], ['1', true])
    return body.metadata as { uid: string }
  })
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'rolled', uid }]
  const dependent = await stored(forged(configMap(namespace, 'dependent', { ownerReferences }), { owner: OWNER }))
  await cluster.request('DELETE', path)
  await eventually(
    async () => assert.equal((await cluster.request('GET', objectPath(refOf(typeOfKind('ConfigMap'), dependent)))).status, 404),
    { timeout: 30_000 },
  )
})

test('the operator, and who may install into that namespace, set marks; elsewhere they do not', async () => {
  const { namespace } = enemy
  const other = await createNamespace(cluster, 'other')
  const create = async (token: string, where: string, name: string): Promise<Answer> =>
    await cluster.request('POST', collectionPath(typeOfKind('ConfigMap'), where), {
      body: forged(configMap(where, name), { owner: OWNER }),
      token,
    })
  const operator = cluster.createUser(OPERATOR_USER, ['system:serviceaccounts', 'system:serviceaccounts:mesh-operator'])
  assert.equal((await create(operator, namespace, 'by-operator')).status, 201)
  const subjects = [{ kind: 'User', name: 'installer', apiGroup: 'rbac.authorization.k8s.io' }]
  for (const [where, role] of [
    [namespace, 'edit'],
    [namespace, 'slimeboot-installer'],
    [other, 'edit'],
  ] as const) {
    const roleRef = { kind: 'ClusterRole', name: role, apiGroup: 'rbac.authorization.k8s.io' }
    const body = { metadata: { name: `installer-${role}` }, subjects, roleRef }
    await cluster.request('POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/${where}/rolebindings`, { body })
  }
  const token = cluster.createUser('installer')
  await eventually(async () => assert.equal((await create(token, namespace, 'by-installer')).status, 201))
  await eventually(async () => refused(await create(token, other, 'by-installer')))
})
