/** Every call that is forbidden says which right it takes, and that right cures it: each call of the client, on kinds that the programs use. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { failureOf } from '../../operator/apply/failure.ts'
import { CONFIG_MAP, DEPLOYMENT, ENVOY_FILTER, POD, SERVICE, SLIMEBOOT } from '../../operator/api/kinds.ts'
import { type Client, createClient } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import { createTransport, type Transport } from '../../runtime/transport.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { createNamespace } from '../helpers/namespace.ts'

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const NONE = new AbortController().signal
const EVERYWHERE = ''
const GROUP = 'rbac.authorization.k8s.io/v1'
const ROLE_BINDING: ResourceType = { apiVersion: GROUP, kind: 'RoleBinding', plural: 'rolebindings', namespaced: true }
const CLUSTER_ROLE_BINDING: ResourceType = {
  apiVersion: GROUP,
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  namespaced: false,
}

let cluster: ClusterAccess
let namespace: string

before(async () => {
  cluster = await sharedCluster()
  namespace = await createNamespace(cluster)
})

/** A call, and what it is about. */
type Call = readonly [string, ResourceType, (client: Client, object: KubeObject) => Promise<unknown>]

const namespaced = (object: KubeObject): string | undefined => object.metadata.namespace
const CALLS: readonly Call[] = [
  ...[CONFIG_MAP, SERVICE, DEPLOYMENT, ENVOY_FILTER, SLIMEBOOT, POD].flatMap((type): Call[] => [
    ['get', type, async (client, object) => await client.get({ type, namespace: namespaced(object), name: 'absent' })],
    ['list', type, async (client, object) => await client.list(type, { namespace: namespaced(object), limit: 1 })],
    [
      'watch',
      type,
      async (client, object) => await stop(client.watch(type, { namespace: namespaced(object)!, timeoutSeconds: 1, signal: NONE })),
    ],
  ]),
  ['list everywhere', POD, async (client) => await client.list(POD, { limit: 1 })],
  ['create', CONFIG_MAP, async (client, object) => await client.create(CONFIG_MAP, named(object, 'made'))],
  ['apply', CONFIG_MAP, async (client, object) => await client.apply(CONFIG_MAP, named(object, 'applied'), { fieldManager: 'test' })],
  ['replace', CONFIG_MAP, async (client, object) => await client.replace(CONFIG_MAP, named(object, 'applied'))],
  [
    'json patch',
    CONFIG_MAP,
    async (client, object) =>
      await client.jsonPatch(
        { type: CONFIG_MAP, namespace: namespaced(object), name: 'applied' },
        [{ op: 'add', path: '/data', value: {} }],
        'test',
      ),
  ],
  [
    'merge patch of a status',
    SLIMEBOOT,
    async (client, object) =>
      await client.mergePatch({ type: SLIMEBOOT, namespace: namespaced(object), name: 'absent' }, {}, 'test', 'status'),
  ],
  [
    'delete',
    CONFIG_MAP,
    async (client, object) => await client.remove({ type: CONFIG_MAP, namespace: namespaced(object), name: 'applied' }),
  ],
  [
    'get of a cluster-scoped object',
    CLUSTER_ROLE_BINDING,
    async (client) => await client.get({ type: CLUSTER_ROLE_BINDING, name: 'absent' }),
  ],
  ['list of a cluster-scoped kind', CLUSTER_ROLE_BINDING, async (client) => await client.list(CLUSTER_ROLE_BINDING, { limit: 1 })],
]

for (const [index, [what, type, call]] of CALLS.entries()) {
  test(`${what} ${type.plural}: the right that the message asks for cures it`, async (context) => {
    const user = `stranger-${namespace}-${index}`
    await using stranger = clientOf(user)
    const object: KubeObject = { apiVersion: type.apiVersion, kind: type.kind, metadata: { name: 'object', namespace } }
    const message = await forbidden(call(stranger.client, object), object)
    await grant(message, user)
    context.diagnostic(message.slice(message.indexOf('Grant')))
    await eventually(async () => {
      try {
        await call(stranger.client, object)
      } catch (error) {
        // what the object itself is about is not a matter of rights
        assert.ok(error instanceof ApiError && error.code !== 403, String(error))
      }
    })
  })
}

test('binding a role takes bind on it, and the message says so', async () => {
  const user = `binder-${namespace}`
  await using stranger = clientOf(user)
  await role(user, [{ apiGroups: ['rbac.authorization.k8s.io'], resources: ['rolebindings'], verbs: ['create', 'patch'] }])
  const binding: KubeObject = {
    apiVersion: ROLE_BINDING.apiVersion,
    kind: ROLE_BINDING.kind,
    metadata: { name: 'view', namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [],
  }
  const apply = async (): Promise<unknown> => await stranger.client.apply(ROLE_BINDING, binding, { fieldManager: 'test' })
  await eventually(async () =>
    assert.match(await forbidden(apply(), binding), /Grant "bind clusterroles\.rbac\.authorization\.k8s\.io\/view" to the operator/),
  )
})

/** The message of a call that must be refused. */
async function forbidden(call: Promise<unknown>, object: KubeObject): Promise<string> {
  try {
    await call
  } catch (error) {
    const { reason, message } = failureOf(error, 'get', object)
    assert.equal(reason, 'Forbidden', message)
    return message
  }
  throw new Error('it was not refused')
}

/** Grants exactly what a message asks for. */
async function grant(message: string, user: string): Promise<void> {
  const asked = /Grant "([a-z and]+?) ([a-z./0-9]+)" to the operator(?: in namespace (\S+))?\.$/.exec(message)
  assert.ok(asked !== null, message)
  const [, verbs = '', target = '', within] = asked
  const [name = '', subresource] = target.split('/')
  const [resource = '', ...group] = name.split('.')
  const rules = [
    {
      apiGroups: [group.join('.')],
      resources: [subresource === undefined ? resource : `${resource}/${subresource}`],
      verbs: verbs.split(' and '),
    },
  ]
  await role(user, rules, within ?? EVERYWHERE)
}

async function role(user: string, rules: readonly object[], within = namespace): Promise<void> {
  const inNamespace = within === EVERYWHERE ? undefined : within
  const root = inNamespace === undefined ? RBAC : `${RBAC}/namespaces/${inNamespace}`
  const [roles, bindings, kind] =
    inNamespace === undefined ? ['clusterroles', 'clusterrolebindings', 'ClusterRole'] : ['roles', 'rolebindings', 'Role']
  const send = async (path: string, body: object): Promise<void> => {
    const { status, body: answer } = await cluster.request('POST', path, { body })
    assert.equal(status, 201, answer.message)
  }
  await send(`${root}/${roles}`, { metadata: { name: user }, rules })
  await send(`${root}/${bindings}`, {
    metadata: { name: user },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: user },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  })
}

function clientOf(user: string): AsyncDisposable & { readonly client: Client } {
  const transport: Transport = createTransport({
    loadConfig: () => loadKubeConfig(cluster.kubeconfigFor({ name: user, groups: [] })),
    userAgent: 'remedies',
  })
  return { client: createClient(transport), [Symbol.asyncDispose]: async () => transport.close() }
}

async function stop(stream: ReturnType<Client['watch']>): Promise<void> {
  ;(await stream).destroy()
}

function named({ apiVersion, kind }: KubeObject, name: string): KubeObject {
  return { apiVersion, kind, metadata: { name, namespace } }
}

after(async () => {
  for (const plural of ['clusterroles', 'clusterrolebindings'])
    for (const [index] of CALLS.entries()) await cluster.request('DELETE', `${RBAC}/${plural}/stranger-${namespace}-${index}`)
})
