/** What a namespace-wide Sidecar gives to the Sidecar of a fence, and what it keeps from it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNamespaceWideIndex, readNamespaceWide, withinLimit } from '../../../lazyload/sidecar/namespace-wide.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const sidecar = (spec: unknown, name = 'default', more: object = {}): KubeObject => ({
  apiVersion: 'networking.istio.io/v1beta1',
  kind: 'Sidecar',
  metadata: { name, namespace: 'a', ...more },
  spec,
})

test('what is carried, what limits, and what stands in the way', () => {
  const policy = { mode: 'REGISTRY_ONLY' }
  const cases: readonly (readonly [spec: unknown, carried: object, hosts: readonly string[] | undefined, obstacle: string | undefined])[] =
    [
      [{}, {}, undefined, undefined],
      [{ outboundTrafficPolicy: policy }, { outboundTrafficPolicy: policy }, undefined, undefined],
      [{ egress: [{ hosts: ['*/*'] }] }, {}, undefined, undefined],
      [{ egress: [{ hosts: ['./*', 'b/*'] }] }, {}, ['./*', 'b/*'], undefined],
      [{ egress: [{ hosts: ['./*'], captureMode: 'DEFAULT' }] }, {}, ['./*'], undefined],
      [{ egress: [{ hosts: ['./*'], captureMode: 'NONE' }] }, {}, ['./*'], 'spec.egress[0].captureMode'],
      [{ egress: [{ hosts: ['./*'] }, { hosts: ['b/*'], port: { number: 80 } }] }, {}, ['./*', 'b/*'], 'spec.egress[1].port'],
      [{ egress: [{ hosts: ['./*'], bind: '0.0.0.0' }] }, {}, ['./*'], 'spec.egress[0].bind'],
      [{ ingress: [{ port: { number: 80 } }] }, { ingress: [{ port: { number: 80 } }] }, undefined, undefined],
      [{ inboundConnectionPool: { http: {} } }, { inboundConnectionPool: { http: {} } }, undefined, undefined],
      [{ somethingNew: { a: 1 } }, {}, undefined, 'spec.somethingNew'],
      [{ ingress: [], egress: null, outboundTrafficPolicy: null }, {}, undefined, undefined],
      [undefined, {}, undefined, undefined],
    ]
  for (const [spec, carried, hosts, obstacle] of cases)
    assert.deepEqual(readNamespaceWide(sidecar(spec)), { sidecar: 'a/default', carried, hosts, obstacle }, JSON.stringify(spec))
})

test('the oldest of the namespace holds, then that of the root namespace; those for some pods, and of another revision, do not', () => {
  const index = createNamespaceWideIndex()
  const fence = (labels = {}): KubeObject => ({ apiVersion: '', kind: '', metadata: { name: 'f', namespace: 'a', labels } })
  const named = (labels = {}): string | undefined => index.of(fence(labels), 'root')?.sidecar
  assert.equal(index.change(undefined, sidecar({ workloadSelector: { labels: { app: 'x' } } })), undefined)
  assert.equal(named(), undefined)
  index.change(undefined, sidecar({}, 'r', { namespace: 'root' }))
  assert.equal(named(), 'root/r')
  const younger = sidecar({}, 'b', { creationTimestamp: '2026-01-02T00:00:00Z' })
  const older = sidecar({}, 'z', { creationTimestamp: '2026-01-01T00:00:00Z' })
  assert.equal(index.change(undefined, younger), 'a')
  assert.equal(named(), 'a/b')
  index.change(undefined, older)
  assert.equal(named(), 'a/z')
  const relabelled = sidecar({}, 'z', { creationTimestamp: '2026-01-01T00:00:00Z', labels: { 'istio.io/rev': 'canary' } })
  index.change(older, relabelled)
  assert.deepEqual([named({ 'istio.io/rev': 'stable' }), named({ 'istio.io/rev': 'canary' })], ['a/b', 'a/z'])
  assert.equal(index.change(relabelled, sidecar({ workloadSelector: { labels: { app: 'x' } } }, 'z')), 'a')
  assert.equal(named({ 'istio.io/rev': 'canary' }), 'a/b')
  index.change(younger, undefined)
  assert.equal(named(), 'root/r')
})

test('hosts beyond the limit are out, entries that are in it in part are narrowed', () => {
  const a = '*/x.a.svc.cluster.local'
  const b = '*/x.b.svc.cluster.local'
  const cases: readonly (readonly [hosts: readonly string[], limit: readonly string[], expected: readonly string[]])[] = [
    [[a, b], ['./*'], [a]],
    [[a, b], ['~/*'], []],
    [[a, b], ['b/*'], [b]],
    [[a, b], ['*/x.b.svc.cluster.local'], [b]],
    [[a, b], ['a/*', 'b/y.b.svc.cluster.local'], [a]],
    [['*/www.example.com'], ['egress/*'], ['egress/www.example.com']],
    [['*/www.example.com'], ['egress/*.example.com'], ['egress/www.example.com']],
    [['*/*.example.com'], ['egress/www.example.com'], ['egress/www.example.com']],
    [['*/www.example.com'], ['./*', '*/www.example.com'], ['*/www.example.com']],
    [['*/www.example.com'], ['./*', 'b/*'], ['a/www.example.com', 'b/www.example.com']],
    [['b/*'], ['b/x.b.svc.cluster.local', 'c/*'], ['b/x.b.svc.cluster.local']],
    [['b/*', 'c/*'], ['*/*.svc.cluster.local'], ['b/*.svc.cluster.local', 'c/*.svc.cluster.local']],
  ]
  for (const [hosts, limit, expected] of cases) assert.deepEqual(withinLimit(hosts, limit, 'a'), expected, JSON.stringify([hosts, limit]))
})

test('a fence with a tag takes the namespace-wide Sidecar of the revision that the tag stands for', () => {
  const index = createNamespaceWideIndex()
  const fence: KubeObject = { apiVersion: '', kind: '', metadata: { name: 'f', namespace: 'a', labels: { 'istio.io/rev': 'stable' } } }
  index.change(undefined, sidecar({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }, 'default', { labels: { 'istio.io/rev': '1-20' } }))
  assert.equal(index.of(fence, 'root'), undefined)
  assert.deepEqual(index.of(fence, 'root', '1-20')?.carried, { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } })
})
