import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { failureOf, ReconcileError } from '../../../operator/apply/failure.ts'
import { ApiError, ConnectionError, type Status } from '../../../runtime/errors.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const DEPLOYMENT: KubeObject = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', namespace: 'n' } }
const api = (code: number, status: Partial<Status> = {}): ApiError =>
  new ApiError('PATCH /x', code, { kind: 'Status', code, message: 'said the server', ...status })

describe('a failed write', () => {
  const cases: readonly (readonly [string, unknown, string, string, RegExp])[] = [
    ['forbidden', api(403, { reason: 'Forbidden' }), 'Forbidden', 'heals', /Grant "create and patch deployments\.apps" to the operator/],
    ['quota', api(403, { message: 'pods "x" is forbidden: exceeded quota: q' }), 'QuotaExceeded', 'heals', /Raise the quota/],
    ['pod security', api(403, { message: 'violates PodSecurity "restricted"' }), 'AdmissionDenied', 'heals', /violates/],
    ['admission webhook', api(403, { message: 'admission webhook "a.b" denied the request: no' }), 'AdmissionDenied', 'heals', /a\.b/],
    [
      'admission policy',
      api(422, { message: "ValidatingAdmissionPolicy 'p' with binding 'b' denied request" }),
      'AdmissionDenied',
      'heals',
      /'p'/,
    ],
    [
      'namespace terminating',
      api(403, { details: { causes: [{ reason: 'NamespaceTerminating' }] } }),
      'NamespaceTerminating',
      'heals',
      /namespace n is terminating/,
    ],
    [
      'namespace missing',
      api(404, { details: { kind: 'namespaces', name: 'n' } }),
      'NamespaceMissing',
      'heals',
      /namespace n does not exist.*create-namespaces/,
    ],
    ['role missing', api(404, { details: { kind: 'clusterroles', name: 'r' } }), 'NoRole', 'heals', /ClusterRole r does not exist/],
    ['kind missing', api(404), 'KindMissing', 'heals', /does not know deployments\.apps/],
    [
      'a field of another type',
      api(500, {
        message:
          'failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="slime"].resources.requests.cpu: expected any scalar, got &{[200m]}',
      }),
      'Invalid',
      'heals',
      /resources\.requests\.cpu: expected any scalar/,
    ],
    [
      'a field that the kind does not have, of any name',
      api(500, {
        message:
          'failed to create typed patch object (n/d; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="slime"].resources.{{ printf "%1d" 1 }}: field not declared in schema',
      }),
      'Invalid',
      'heals',
      /field not declared in schema/,
    ],
    [
      'an immutable field',
      api(422, { message: 'spec.selector: field is immutable' }),
      'Invalid',
      'heals',
      /Delete Deployment\/n\/d, and it is made anew/,
    ],
    ['conflict', api(409, { reason: 'Conflict' }), 'Conflict', 'conflict', /said the server/],
    [
      'JSON patch whose test does not hold any more',
      api(422, { reason: 'Invalid', message: 'the server rejected our request due to an error in our request' }),
      'Conflict',
      'conflict',
      /error in our request/,
    ],
    ['webhook that does not answer', api(500, { message: 'failed calling webhook "w": refused' }), 'WebhookFailed', 'heals', /must answer/],
    ['server error', api(500), 'ApiServerError', 'backoff', /said the server/],
    ['too many requests', api(429), 'ApiServerError', 'backoff', /said the server/],
    ['no connection', new ConnectionError('PATCH /x', new Error('refused')), 'ApiServerUnreachable', 'backoff', /refused/],
    ['a bug', new TypeError('undefined is not'), 'InternalError', 'backoff', /undefined is not/],
  ]
  for (const [what, error, reason, retry, message] of cases) {
    test(`${what}: ${reason}, ${retry}, names the object`, () => {
      const failure = failureOf(error, 'apply', DEPLOYMENT)
      assert.deepEqual([failure.reason, failure.retry, failure.objects], [reason, retry, ['Deployment/n/d']])
      assert.match(failure.message, message)
      assert.ok(failure.message.startsWith('Deployment/n/d: '))
      assert.equal(failure.cause, error)
    })
  }

  test('of a rendered field names the field of the SlimeBoot behind it, once', () => {
    const error = api(422, {
      reason: 'Invalid',
      details: { name: 'd', causes: [{ field: 'spec.a' }, { field: 'spec.b' }, { field: 'spec.c' }] },
    })
    const failure = failureOf(error, 'apply', DEPLOYMENT, (field) => (field === 'spec.c' ? undefined : 'spec.image'))
    assert.equal(failure.reason, 'Invalid')
    assert.match(failure.message, /It comes from spec\.image: correct it and apply again\.$/)
  })

  test('that is classified already stays as it is', () => {
    const known = new ReconcileError('Conflict', 'x', 'heals')
    assert.equal(failureOf(known, 'apply', DEPLOYMENT), known)
  })
})
