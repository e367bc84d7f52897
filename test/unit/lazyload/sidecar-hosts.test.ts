/** Host order of a Sidecar, to the byte (spec 2.4, fixture 1, and the tutorial's two listings). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { parseConfig } from '../../../lazyload/config.ts'
import { domainsOf, type StoredDomain } from '../../../lazyload/fence/fence.ts'
import { sidecarHosts } from '../../../lazyload/sidecar/hosts.ts'
import { buildSidecar, workloadLabels } from '../../../lazyload/sidecar/sidecar.ts'
import { labelledRevision } from '../../../lazyload/fence/scope.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const config = parseConfig('{"global": {"misc": {"metric_source_type": "accesslog"}}}', 'cfg')

function fenceWith(domains: Readonly<Record<string, StoredDomain>>, labels: Readonly<Record<string, string>> = {}): KubeObject {
  return {
    apiVersion: 'microservice.slime.io/v1alpha1',
    kind: 'ServiceFence',
    metadata: { name: 'productpage', namespace: 'default', uid: 'd36e4be7-d66c-4f77-a9ff-14a4bf4641e6', labels },
    spec: { enable: true },
    status: { domains },
  }
}

function sidecarOf(fence: KubeObject): KubeObject {
  const labels = workloadLabels('productpage', {}, 'app', undefined)!
  return buildSidecar(fence, labels, sidecarHosts(domainsOf(fence), 'default', config), labelledRevision(fence) || undefined)
}

/** The tutorial's text without what the API server adds. */
function listing(hosts: string): KubeObject {
  return load(`
apiVersion: networking.istio.io/v1beta1
kind: Sidecar
metadata:
  name: productpage
  namespace: default
  ownerReferences:
  - apiVersion: microservice.slime.io/v1alpha1
    blockOwnerDeletion: true
    controller: true
    kind: ServiceFence
    name: productpage
    uid: d36e4be7-d66c-4f77-a9ff-14a4bf4641e6
spec:
  egress:
  - hosts:
${hosts}
  workloadSelector:
    labels:
      app: productpage
`) as KubeObject
}

const learned = (name: string, status?: number | string): Readonly<Record<string, StoredDomain>> => ({
  [`${name}.default.svc.cluster.local`]: { hosts: [`${name}.default.svc.cluster.local`], ...(status === undefined ? {} : { status }) },
})

test("an empty fence gives the tutorial's first Sidecar", () => {
  assert.deepEqual(
    sidecarOf(fenceWith({})),
    listing(`    - istio-system/*
    - mesh-operator/*
    - '*/global-sidecar.default.svc.cluster.local'`),
  )
})

test("details and reviews learned give the tutorial's second Sidecar", () => {
  assert.deepEqual(
    sidecarOf(fenceWith({ ...learned('reviews'), ...learned('details') })),
    listing(`    - '*/details.default.svc.cluster.local'
    - '*/reviews.default.svc.cluster.local'
    - istio-system/*
    - mesh-operator/*
    - '*/global-sidecar.default.svc.cluster.local'`),
  )
})

const TAIL = ['istio-system/*', 'mesh-operator/*', '*/global-sidecar.default.svc.cluster.local']
const hosts = (domains: Readonly<Record<string, StoredDomain>>, extra = {}): readonly string[] =>
  sidecarHosts(domainsOf(fenceWith(domains)), 'default', { ...config, ...extra })

test('an expired domain is left out, one that waits is kept, whether its state is a number or a name', () => {
  for (const [expire, wait] of [
    [1, 2],
    ['EXPIRE', 'EXPIREWAIT'],
  ] as const) {
    const domains = {
      ...learned('details'),
      x: { status: expire, hosts: ['x.y.svc.cluster.local'] },
      r: { status: wait, hosts: ['reviews.default.svc.cluster.local'] },
    }
    assert.deepEqual(hosts(domains), ['*/details.default.svc.cluster.local', '*/reviews.default.svc.cluster.local', ...TAIL])
  }
})

test('sorted by bytes, not by locale, and no host twice', () => {
  const domains = { a: { hosts: ['b-c.d', 'b.c', 'b0.c'] }, z: { hosts: ['b.c'] }, 'apps/*': { hosts: ['x.far.svc.cluster.local'] } }
  assert.deepEqual(hosts(domains), ['*/b-c.d', '*/b.c', '*/b0.c', '*/x.far.svc.cluster.local', 'apps/*', ...TAIL])
})

test('the last host is there in namespace mode only', () => {
  assert.deepEqual(hosts({}, { mode: 'cluster' }), TAIL.slice(0, 2))
  assert.deepEqual(hosts({}, { mode: 'no' }), TAIL.slice(0, 2))
  assert.deepEqual(hosts({}, { mode: 'cluster', clusterGsNamespace: 'gs' }), [...TAIL.slice(0, 2), '*/global-sidecar.gs.svc.cluster.local'])
  assert.deepEqual(hosts({}, { istioNamespace: 'mesh', slimeNamespace: 'mesh' }), ['mesh/*', TAIL[2]])
})

test('stable hosts are in every Sidecar', () => {
  assert.deepEqual(hosts({}, { stableHosts: ['common/*', 'db.example.com'] }), ['*/db.example.com', 'common/*', ...TAIL])
})

test('the revision label of the fence is on the Sidecar, unless it is empty', () => {
  assert.deepEqual(sidecarOf(fenceWith({}, { 'istio.io/rev': '1-10-2' })).metadata.labels, { 'istio.io/rev': '1-10-2' })
  assert.equal(sidecarOf(fenceWith({}, { 'istio.io/rev': '', other: 'x' })).metadata.labels, undefined)
})

test('the pods are those that the fence names, then those of its Service, then those called like it', () => {
  const both = { workloadSelector: { labels: { a: 'b' }, fromService: true } }
  assert.deepEqual(workloadLabels('x', both, 'app', { s: 't' }), { a: 'b' })
  assert.deepEqual(workloadLabels('x', { workloadSelector: { labels: {}, fromService: true } }, 'app', { s: 't' }), { s: 't' })
  assert.equal(workloadLabels('x', { workloadSelector: { fromService: true } }, 'app', undefined), undefined)
  assert.equal(workloadLabels('x', { workloadSelector: { fromService: true } }, 'app', {}), undefined)
  assert.deepEqual(workloadLabels('x', { workloadSelector: null }, 'service', { s: 't' }), { service: 'x' })
})

test('hosts to keep stand among the dependencies, none of them twice, and those of every Sidecar stay last', () => {
  const [istio, ...rest] = sidecarHosts({}, 'default', config)
  const keep = ['*/b.example.com', istio!, '*/a.example.com', '*/b.example.com']
  assert.deepEqual(sidecarHosts({}, 'default', config, keep), ['*/a.example.com', '*/b.example.com', istio, ...rest])
})
