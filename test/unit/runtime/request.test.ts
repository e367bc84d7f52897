/** Requests in the words of RBAC, from their method and path. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiRequest, apiRequestOf, requestTarget, verbsNeeded } from '../../../runtime/request.ts'

const CASES: readonly (readonly [Parameters<typeof apiRequestOf>[0], Omit<ApiRequest, 'apply'> | undefined, string?])[] = [
  [{ method: 'GET', path: '/api/v1/pods' }, { verb: 'list', group: '', resource: 'pods' }, 'pods'],
  [{ method: 'GET', path: '/api/v1/pods', query: { watch: true } }, { verb: 'watch', group: '', resource: 'pods' }, 'pods'],
  [
    { method: 'GET', path: '/api/v1/namespaces/shop/pods' },
    { verb: 'list', group: '', resource: 'pods', namespace: 'shop' },
    'pods in namespace shop',
  ],
  [{ method: 'GET', path: '/api/v1/namespaces/shop' }, { verb: 'get', group: '', resource: 'namespaces', name: 'shop' }, 'namespaces shop'],
  [{ method: 'GET', path: '/api/v1/namespaces' }, { verb: 'list', group: '', resource: 'namespaces' }, 'namespaces'],
  [
    { method: 'PATCH', path: '/apis/microservice.slime.io/v1alpha1/namespaces/shop/servicefences/cart/status' },
    { verb: 'patch', group: 'microservice.slime.io', resource: 'servicefences', subresource: 'status', namespace: 'shop', name: 'cart' },
    'servicefences.microservice.slime.io/status shop/cart',
  ],
  [
    { method: 'POST', path: '/apis/apps/v1/namespaces/shop/deployments' },
    { verb: 'create', group: 'apps', resource: 'deployments', namespace: 'shop' },
    'deployments.apps in namespace shop',
  ],
  [
    { method: 'DELETE', path: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/a%2Fb' },
    { verb: 'delete', group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings', name: 'a/b' },
    'clusterrolebindings.rbac.authorization.k8s.io a/b',
  ],
  [{ method: 'GET', path: '/version' }, undefined],
  [{ method: 'GET', path: '/apis' }, undefined],
]

for (const [request, expected, target] of CASES) {
  test(`${request.method} ${request.path}${request.query === undefined ? '' : '?watch'} is ${target ?? 'about no resource'}`, () => {
    const found = apiRequestOf(request)
    assert.deepEqual(found, expected === undefined ? undefined : { ...expected, apply: false })
    if (found !== undefined) assert.equal(requestTarget(found), target)
  })
}

test('server-side apply takes the rights to create and to patch', () => {
  const apply = apiRequestOf({ method: 'PATCH', path: '/api/v1/namespaces/a/services/b', contentType: 'application/apply-patch+yaml' })
  assert.deepEqual(verbsNeeded(apply!), ['create', 'patch'])
})
