/** A request to the API server in the words of RBAC: verb, resource, namespace, name (https://kubernetes.io/docs/reference/access-authn-authz/authorization/). */
import type { RequestOptions } from './exchange.ts'

export interface ApiRequest {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete'
  /** Empty for the core group. */
  readonly group: string
  /** Plural, as `deployments`. */
  readonly resource: string
  readonly subresource?: string
  /** Absent for cluster-scoped resources and for all namespaces. */
  readonly namespace?: string
  /** Absent where the request is about a collection. */
  readonly name?: string
  /** Server-side apply: creates what is not there, which is a right of its own. */
  readonly apply: boolean
}

const WRITES = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const

/** Undefined for what is no resource, as `/version`. */
export function apiRequestOf({
  method,
  path,
  query,
  contentType,
}: Pick<RequestOptions, 'method' | 'path' | 'query' | 'contentType'>): ApiRequest | undefined {
  const [root, ...parts] = path.split('/').slice(1).map(decodeURIComponent)
  const group = root === 'apis' ? parts.shift() : root === 'api' ? '' : undefined
  if (group === undefined || parts.length < 2) return undefined
  parts.shift()
  const namespace = parts[0] === 'namespaces' && parts.length > 2 ? parts[1] : undefined
  const [resource = '', name, subresource] = namespace === undefined ? parts : parts.slice(2)
  const read = name !== undefined ? 'get' : query?.['watch'] === true ? 'watch' : 'list'
  return {
    verb: method === 'GET' ? read : WRITES[method],
    group,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    apply: contentType?.startsWith('application/apply-patch') === true,
  }
}

/** `deployments.apps`, `servicefences.microservice.slime.io/status`. */
export function requestedResource({ group, resource, subresource }: ApiRequest): string {
  return `${resource}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`
}

/** What it was about: `pods in namespace shop`, `deployments.apps shop/cart`. */
export function requestTarget(request: ApiRequest): string {
  const { namespace, name } = request
  const target = requestedResource(request)
  if (name !== undefined) return `${target} ${namespace === undefined ? '' : `${namespace}/`}${name}`
  return namespace === undefined ? target : `${target} in namespace ${namespace}`
}

/** The verbs whose right it takes. */
export function verbsNeeded({ verb, apply }: ApiRequest): readonly string[] {
  return apply ? ['create', 'patch'] : [verb]
}
