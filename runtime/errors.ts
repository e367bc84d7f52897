/** Errors of the Kubernetes API, with what a caller decides on: code, reason, retry. */

import type { ApiRequest } from './request.ts'

/** `metav1.Status` as far as it is read (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/). */
export interface Status {
  readonly kind: 'Status'
  readonly status?: string
  readonly code?: number
  readonly reason?: string
  readonly message?: string
  readonly details?: {
    readonly name?: string
    readonly group?: string
    readonly kind?: string
    readonly causes?: readonly { readonly reason?: string; readonly field?: string; readonly message?: string }[]
    readonly retryAfterSeconds?: number
  }
}

/** The API server answered with an HTTP error. It knows its request, so that a message need not guess it. */
export class ApiError extends Error {
  override readonly name: string = 'ApiError'
  readonly code: number
  /** `reason` of the Status (`Forbidden`, `Invalid`, `Conflict`, …), or empty when the answer was no Status. */
  readonly reason: string
  readonly details: Status['details']
  /** Seconds that the server asked to wait, if it did. */
  readonly retryAfter: number | undefined
  /** Undefined where it was about no resource. */
  readonly request: ApiRequest | undefined

  /** `name`: of the request, for a message where the answer has none. */
  constructor(
    name: string,
    code: number,
    body: unknown,
    { retryAfter, request }: { retryAfter?: number | undefined; request?: ApiRequest | undefined } = {},
  ) {
    const status = isStatus(body) ? body : undefined
    super(status?.message ?? `${name}: HTTP ${code}${typeof body === 'string' && body !== '' ? `: ${body.slice(0, 200).trim()}` : ''}`)
    this.code = code
    this.reason = status?.reason ?? ''
    this.details = status?.details
    this.retryAfter = retryAfter ?? status?.details?.retryAfterSeconds
    this.request = request
  }

  /** 404 because the API server does not know the kind at all, as when its CRD is missing; an unknown object answers with a Status that names it. */
  get unknownKind(): boolean {
    return this.code === 404 && (this.details?.name === undefined || this.details.name === '')
  }
}

/** No answer came: refused, reset, timed out, or TLS failed. `code` as Node gives it (`ECONNREFUSED`, …). */
export class ConnectionError extends Error {
  override readonly name: string = 'ConnectionError'
  readonly code: string
  readonly request: ApiRequest | undefined

  constructor(name: string, cause: unknown, request?: ApiRequest) {
    const inner = cause instanceof Error ? cause : new Error(String(cause))
    super(`${name}: ${inner.message}`, { cause })
    this.request = request
    this.code = 'code' in inner && typeof inner.code === 'string' ? inner.code : inner.name
  }
}

/** Nothing was heard for too long; the cause of a ConnectionError. */
export class SilenceError extends Error {
  override readonly name: string = 'SilenceError'
}

export function isStatus(body: unknown): body is Status {
  return typeof body === 'object' && body !== null && 'kind' in body && body.kind === 'Status'
}

/** True for an ApiError with this HTTP code. */
export function hasCode(error: unknown, code: number): error is ApiError {
  return error instanceof ApiError && error.code === code
}

/** Its message, also of what is thrown without being an Error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
