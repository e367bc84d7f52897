/** Failures of an apply or delete, classified: condition reason, message with what to do, and when to try again. */
import { groupOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { type ApiRequest, requestedResource, requestTarget, verbsNeeded } from '../../runtime/request.ts'
import { ApiError, ConnectionError, messageOf } from '../../runtime/errors.ts'
import { resourceName } from '../../runtime/resource.ts'
import { typeOf } from '../api/kinds.ts'
import type { ConditionReason } from '../api/reasons.ts'

/** One object that could not be written, or whatever else stops a reconcile. */
export class ReconcileError extends Error {
  override readonly name = 'ReconcileError'
  readonly reason: ConditionReason
  /** `heals`: looked at again within 30 s; `backoff`: with growing delay; `conflict`: at once and unsaid; `terminal`: when the SlimeBoot changes. */
  readonly retry: Retry
  /** Identities of the objects concerned, for the status. */
  readonly objects: readonly string[]

  constructor(reason: ConditionReason, message: string, retry: Retry, options: { cause?: unknown; objects?: readonly string[] } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.reason = reason
    this.retry = retry
    this.objects = options.objects ?? []
  }
}

export type Retry = 'heals' | 'backoff' | 'conflict' | 'terminal'

/**
 * What the API server refused, as a ReconcileError that names object, verb and remedy. The request of the error says which; `object` and
 * `verb` are what was being done, for an error without one. `specPath` names the SlimeBoot field behind a rendered field.
 */
export function failureOf(
  error: unknown,
  verb: 'get' | 'list' | 'apply' | 'delete',
  object: KubeObject,
  specPath?: (fieldPath: string) => string | undefined,
): ReconcileError {
  if (error instanceof ReconcileError) return error
  const request = error instanceof ApiError || error instanceof ConnectionError ? error.request : undefined
  const id = request === undefined || isAbout(request, object) ? idOf(verb, object) : requestTarget(request)
  const done = request === undefined ? verb : request.apply ? 'apply' : request.verb
  const fail = (reason: ConditionReason, message: string, retry: Retry): ReconcileError =>
    new ReconcileError(reason, message, retry, { cause: error, objects: [id] })
  if (error instanceof ConnectionError)
    return fail('ApiServerUnreachable', `${id}: ${done} failed: ${error.message}. It is tried again.`, 'backoff')
  if (!(error instanceof ApiError)) return fail('InternalError', `${id}: ${done} failed: ${messageOf(error)}`, 'backoff')
  const refused = `${id}: ${done} refused (${error.reason === '' ? error.code : error.reason}): ${error.message}`
  if (error.unknownKind)
    return fail(
      'KindMissing',
      `${id}: the API server does not know ${resourceName(typeOf(object))} (${object.apiVersion}). Install the CRDs it comes with (Istio's for networking.istio.io).`,
      'heals',
    )
  switch (error.code) {
    case 403:
      return forbidden(error, request ?? assumed(verb, object), object, refused, fail)
    case 404:
      return notFound(error, object, refused, fail)
    case 409:
      return fail('Conflict', refused, 'conflict')
    case 400:
    case 422:
      return invalid(error, id, refused, fail, specPath)
    default:
      if (TYPED_PATCH.test(error.message)) return invalid(error, id, refused, fail, specPath)
      if (/failed calling webhook/.test(error.message))
        return fail('WebhookFailed', `${refused}. The webhook named there must answer, or its configuration must go.`, 'heals')
      return fail(error.code >= 500 || error.code === 429 ? 'ApiServerError' : 'ApplyFailed', refused, 'backoff')
  }
}

/** A field of another type than the kind has: server-side apply answers 500, with the path in the text only (Kubernetes 1.36). */
const TYPED_PATCH = /failed to create typed patch object \([^)]*\): (\..+?): /

type Fail = (reason: ConditionReason, message: string, retry: Retry) => ReconcileError

/** The object itself is created where it is not there: something that it needs is missing. */
function notFound(error: ApiError, object: KubeObject, refused: string, fail: Fail): ReconcileError {
  if (error.details?.kind === 'clusterroles')
    return fail(
      'NoRole',
      `${objectId(object)}: ClusterRole ${error.details.name ?? ''} does not exist. Create it, or name another in spec.module[].clusterRole.`,
      'heals',
    )
  if (error.details?.kind !== 'namespaces') return fail('ApplyFailed', refused, 'backoff')
  return fail(
    'NamespaceMissing',
    `${objectId(object)}: namespace ${object.metadata.namespace ?? ''} does not exist. Create it, or set annotation config.netease.com/create-namespaces: "true".`,
    'heals',
  )
}

function forbidden(error: ApiError, request: ApiRequest, object: KubeObject, refused: string, fail: Fail): ReconcileError {
  const causes = error.details?.causes ?? []
  if (causes.some((cause) => cause.reason === 'NamespaceTerminating') || /being terminated/.test(error.message)) {
    return fail(
      'NamespaceTerminating',
      `${objectId(object)}: namespace ${object.metadata.namespace ?? ''} is terminating. Wait until it is gone and create it anew, or take it from the SlimeBoot.`,
      'heals',
    )
  }
  if (/exceeded quota/.test(error.message))
    return fail('QuotaExceeded', `${refused}. Raise the quota or lower the SlimeBoot's resources.`, 'heals')
  if (/admission webhook|ValidatingAdmissionPolicy|violates PodSecurity/.test(error.message))
    return fail('AdmissionDenied', refused, 'heals')
  const place = request.namespace === undefined ? '' : ` in namespace ${request.namespace}`
  const right = NOT_HELD.test(error.message)
    ? `bind clusterroles.rbac.authorization.k8s.io/${(object['roleRef'] as { readonly name?: string } | undefined)?.name ?? ''}" to the operator`
    : `${verbsNeeded(request).join(' and ')} ${requestedResource(request)}" to the operator${place}`
  return fail('Forbidden', `${refused}. Grant "${right}.`, 'heals')
}

/** A role may be bound only by who has all its rights, or verb bind on it (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping). */
const NOT_HELD = /attempting to grant RBAC permissions not currently held/

function isAbout({ group, name, namespace, subresource }: ApiRequest, { apiVersion, metadata }: KubeObject): boolean {
  return subresource === undefined && name === metadata.name && namespace === metadata.namespace && group === groupOf(apiVersion)
}

function idOf(verb: string, object: KubeObject): string {
  return verb === 'list' ? resourceName(typeOf(object)) : objectId(object)
}

/** The request that was made for `verb`, where the error does not say it. */
function assumed(verb: 'get' | 'list' | 'apply' | 'delete', object: KubeObject): ApiRequest {
  const type = typeOf(object)
  return { verb: verb === 'apply' ? 'patch' : verb, group: groupOf(type.apiVersion), resource: type.plural, apply: verb === 'apply' }
}

function invalid(
  error: ApiError,
  id: string,
  refused: string,
  fail: Fail,
  specPath?: (fieldPath: string) => string | undefined,
): ReconcileError {
  if (/admission webhook|ValidatingAdmissionPolicy/.test(error.message)) return fail('AdmissionDenied', refused, 'heals')
  // what the API server says of a JSON patch whose `test` or path does not hold any more: the object changed since it was read
  if (error.message.includes('the server rejected our request due to an error in our request')) return fail('Conflict', refused, 'conflict')
  const typed = TYPED_PATCH.exec(error.message)?.[1]
  const fields = [...(error.details?.causes ?? []).map((cause) => cause.field), typed].filter((field) => field !== undefined)
  // our precondition: the object was made anew by somebody else since it was read
  if (fields.includes('metadata.uid')) return fail('Conflict', refused, 'conflict')
  if (/field is immutable/.test(error.message)) return fail('Invalid', `${refused}. Delete ${id}, and it is made anew.`, 'heals')
  const origins = [...new Set(fields.map((field) => specPath?.(field)).filter((path) => path !== undefined))]
  const hint = origins.length === 0 ? '' : ` It comes from ${origins.join(', ')}: correct it and apply again.`
  return fail('Invalid', `${refused}.${hint}`, 'heals')
}
