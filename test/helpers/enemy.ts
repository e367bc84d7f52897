/** Somebody with the ClusterRole `edit` in one namespace and with Istio's kinds there, as teams have: what he can do there must stop nobody else. */
import assert from 'node:assert/strict'
import type { Answer, ClusterAccess } from '../../local-cluster/access.ts'
import { CATCH_ALL_ANNOTATION, OWNED_ANNOTATION, OWNER_LABEL } from '../../operator/api/slimeboot.ts'
import { ownerOfKey } from '../../operator/apply/ownership.ts'
import { identityOf, type KubeObject, type ObjectMeta } from '../../runtime/object.ts'
import { collectionPath, objectPath, refOf } from '../../runtime/resource.ts'
import { eventually } from './eventually.ts'
import { typeOfKind } from './stage.ts'

export interface Enemy {
  readonly namespace: string
  /** Creates it as `kubectl create` does; fails when he may not. */
  readonly create: (object: KubeObject) => Promise<void>
  /** Server-side apply under this field manager; fails when he may not. */
  readonly apply: (object: KubeObject, fieldManager: string) => Promise<void>
  /** One request of his, whatever comes of it. */
  readonly send: (method: 'POST' | 'PATCH' | 'DELETE', object: KubeObject, options?: SendOptions) => Promise<Answer>
}

export interface SendOptions {
  readonly body?: unknown
  readonly contentType?: string
  readonly query?: string
}

const RBAC = '/apis/rbac.authorization.k8s.io/v1'

/** Gives `user` his rights in `namespace`, and waits until they count. */
export async function enemyIn(cluster: ClusterAccess, namespace: string, user = `enemy-of-${namespace}`): Promise<Enemy> {
  const token = cluster.createUser(user)
  const subjects = [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }]
  const make = async (plural: string, object: object): Promise<void> => {
    const { status, body } = await cluster.request('POST', `${RBAC}/namespaces/${namespace}/${plural}`, { body: object })
    assert.equal(status, 201, JSON.stringify(body))
  }
  const roleRef = (kind: string, name: string): object => ({ kind, name, apiGroup: 'rbac.authorization.k8s.io' })
  await make('rolebindings', { metadata: { name: `${user}-edit` }, subjects, roleRef: roleRef('ClusterRole', 'edit') })
  await make('roles', {
    metadata: { name: `${user}-mesh` },
    rules: [{ apiGroups: ['networking.istio.io'], resources: ['*'], verbs: ['*'] }],
  })
  await make('rolebindings', { metadata: { name: `${user}-mesh` }, subjects, roleRef: roleRef('Role', `${user}-mesh`) })

  const send: Enemy['send'] = async (method, object, { body = object, contentType, query = '' } = {}) => {
    const type = typeOfKind(object.kind)
    const path = method === 'POST' ? collectionPath(type, object.metadata.namespace) : objectPath(refOf(type, object))
    return await cluster.request(method, `${path}${query}`, {
      token,
      ...(method === 'DELETE' ? {} : { body }),
      ...(contentType === undefined ? {} : { contentType }),
    })
  }
  const mustPass = async (answer: Promise<Answer>): Promise<void> => {
    const { status, body } = await answer
    assert.ok(status < 300, JSON.stringify(body))
  }
  // the ClusterRole is put together of others by a controller
  await eventually(async () => await mustPass(send('POST', configMap(namespace, 'may-i'))), { timeout: 30_000 })
  return {
    namespace,
    send,
    create: async (object) => await mustPass(send('POST', object)),
    apply: async (object, fieldManager) =>
      await mustPass(
        send('PATCH', object, { contentType: 'application/apply-patch+yaml', query: `?fieldManager=${fieldManager}&force=true` }),
      ),
  }
}

export function configMap(namespace: string, name: string, metadata: Partial<ObjectMeta> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...metadata, name, namespace }, data: { a: 'b' } }
}

/** An EnvoyFilter that takes over `port`, as a catch-all does. */
export function envoyFilter(namespace: string, name: string, port = 9080): KubeObject {
  const match = { context: 'SIDECAR_OUTBOUND', routeConfiguration: { name: String(port) } }
  const patch = { operation: 'ADD', value: { name: 'allow_any', domains: ['*'] } }
  return {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'EnvoyFilter',
    metadata: { name, namespace },
    spec: { configPatches: [{ applyTo: 'VIRTUAL_HOST', match, patch }] },
  }
}

export interface Forgery {
  /** Key of the SlimeBoot. */
  readonly owner: string
  /** Value of the annotation; absent: exactly what the operator would write. */
  readonly owned?: string
  readonly catchAll?: string
  readonly finalizer?: string
}

/** `object` with the marks of a SlimeBoot. */
export function forged(object: KubeObject, { owner, owned = `${owner}=${identityOf(object)}`, catchAll, finalizer }: Forgery): KubeObject {
  const { metadata } = object
  return {
    ...object,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, [OWNER_LABEL]: ownerOfKey(owner).label },
      annotations: {
        ...metadata.annotations,
        [OWNED_ANNOTATION]: owned,
        ...(catchAll === undefined ? {} : { [CATCH_ALL_ANNOTATION]: catchAll }),
      },
      ...(finalizer === undefined ? {} : { finalizers: [finalizer] }),
    },
  }
}
