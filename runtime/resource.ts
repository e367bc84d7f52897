/** Resource types and their paths in the API (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris). */
import { groupOf, type KubeObject } from './object.ts'

export interface ResourceType {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
}

/** One object of a type; `namespace` is absent for cluster-scoped types. */
export interface ObjectRef {
  readonly type: ResourceType
  readonly namespace?: string | undefined
  readonly name: string
}

/** Group and plural, as RBAC and `kubectl auth can-i` write it: `deployments.apps`, `configmaps`. */
export function resourceName(type: ResourceType): string {
  const group = groupOf(type.apiVersion)
  return group === '' ? type.plural : `${type.plural}.${group}`
}

/** Group and kind: equal for all versions of a type. */
export function typeKey(type: { readonly apiVersion: string; readonly kind: string }): string {
  return `${groupOf(type.apiVersion)}/${type.kind}`
}

/** `/apis/apps/v1/namespaces/shop/deployments`; all namespaces where none is given. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const root = type.apiVersion.includes('/') ? `/apis/${type.apiVersion}` : `/api/${type.apiVersion}`
  return namespace === undefined || namespace === ''
    ? `${root}/${type.plural}`
    : `${root}/namespaces/${encodeURIComponent(namespace)}/${type.plural}`
}

/** `/apis/apps/v1/namespaces/shop/deployments/cart/status` */
export function objectPath(ref: ObjectRef, subresource?: string): string {
  const path = `${collectionPath(ref.type, ref.type.namespaced ? ref.namespace : undefined)}/${encodeURIComponent(ref.name)}`
  return subresource === undefined ? path : `${path}/${subresource}`
}

/** A reference to this object, whose type must be `type`. */
export function refOf(type: ResourceType, object: Pick<KubeObject, 'metadata'>): ObjectRef {
  return { type, namespace: object.metadata.namespace, name: object.metadata.name }
}
