/** Who is told when something else is kept: the namespaces that it concerns, and nobody where nothing is different. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKeptIndex, MAX_OF_NAMESPACE, keepsMost, keptInScope, type Mesh } from '../../../lazyload/keep/kept-hosts.ts'
import type { Candidate } from '../../../lazyload/keep/judge.ts'

const host = (name: string, namespace: string): string => `${name}.${namespace}.svc.cluster.local`
const service = (name: string, namespace: string, exposure: Partial<Candidate['exposure']> = {}): Candidate => ({
  host: host(name, namespace),
  namespace,
  exportTo: exposure.exportTo,
  exposure: { http: [80], other: false, direct: false, ...exposure },
  kind: 'Service',
})
const mesh = (candidates: readonly Candidate[], more: Partial<Mesh> = {}): Mesh => ({
  candidates,
  always: [],
  exportTo: { Service: undefined, VirtualService: undefined },
  viewOf: (namespace) => ({ namespace, home: namespace, ports: new Set([80]) }),
  ...more,
})
const TCP = { http: [], other: true }

test('of 10,000 Services, a tenth of them TCP, each namespace keeps those that it sees; a Service that is served tells nobody', () => {
  const many = Array.from({ length: 10_000 }, (_, index) => service(`s${index}`, `n${index % 300}`, index % 10 === 0 ? TCP : {}))
  const namespaces = Array.from({ length: 300 }, (_, index) => `n${index}`)
  const index = createKeptIndex()
  index.rebuild(mesh(many))
  for (const namespace of namespaces) assert.equal(index.of(namespace).hosts.length, 1000)
  assert.equal(index.of('n0').hosts, index.of('n1').hosts, 'what everybody sees is there once')
  assert.deepEqual(index.rebuild(mesh([...many, service('served', 'n1')])), [])
  assert.deepEqual(index.rebuild(mesh([...many, service('private', 'n1', { ...TCP, exportTo: ['.'] })])), ['n1'])
  assert.deepEqual(index.rebuild(mesh([...many, service('given', 'n1', { ...TCP, exportTo: ['n2', 'n3', 'nowhere'] })])), [
    'n1',
    'n2',
    'n3',
  ])
  assert.equal(index.rebuild(mesh([...many, service('public', 'n1', TCP)])).length, 300)
})

test('what one namespace adds to the Sidecars of all is bounded, and takes nothing from others', () => {
  const index = createKeptIndex()
  const flood = Array.from({ length: 5000 }, (_, at) => service(`s${at}`, 'enemy', TCP))
  index.rebuild(mesh([...flood, service('db', 'honest', TCP)]))
  const { hosts } = index.of('a')
  assert.equal(hosts.filter(({ namespace }) => namespace === 'enemy').length, MAX_OF_NAMESPACE)
  assert.ok(hosts.some(({ namespace }) => namespace === 'honest'))
})

test('a namespace keeps all of its own, whatever the order; a list of a hundred thousand namespaces counts as visible to all', () => {
  const own = Array.from({ length: 1500 }, (_, at) => service(`s${at}`, 'shop', TCP))
  const index = createKeptIndex()
  index.rebuild(mesh(own))
  const seen = { shop: index.of('shop').hosts, others: index.of('a').hosts }
  assert.equal(seen.shop.length, 1500)
  assert.equal(seen.others.length, MAX_OF_NAMESPACE)
  assert.deepEqual(index.rebuild(mesh(own.toReversed())), [], 'the order of a list changes nothing')
  const names = Array.from({ length: 100_000 }, (_, at) => `n${at}`)
  index.rebuild(mesh([service('flood', 'enemy', { ...TCP, exportTo: names })]))
  assert.deepEqual(
    index.of('anywhere').hosts.map((each) => each.host),
    [host('flood', 'enemy')],
  )
})

test('a wildcard over the whole cluster is not kept: it would undo every fence', () => {
  const index = createKeptIndex()
  const wildcard = (name: string): Candidate => ({ ...service('x', 'enemy', TCP), host: name, kind: 'ServiceEntry' })
  index.rebuild(mesh(['*.local', '*.cluster.local', '*.svc.cluster.local', '*.example.com', '*.al'].map(wildcard)))
  assert.deepEqual(
    index.of('a').hosts.map((each) => each.host),
    ['*.al', '*.example.com'],
  )
})

test('other ports, another global-sidecar, another default: only those that it concerns are told', () => {
  const index = createKeptIndex()
  const all = [service('odd', 'a', { http: [8000] }), service('db', 'b', { ...TCP, exportTo: ['.'] })]
  index.rebuild(mesh(all))
  for (const namespace of ['a', 'b', 'c']) index.of(namespace)
  assert.deepEqual(
    index.of('b').hosts.map(({ reason }) => reason),
    ['NotHTTP', 'Port'],
  )
  const ports = (namespace: string): ReadonlySet<number> => new Set(namespace === 'a' ? [80, 8000] : [80])
  const viewOf: Mesh['viewOf'] = (namespace) => ({ namespace, home: namespace, ports: ports(namespace) })
  assert.deepEqual(index.rebuild(mesh(all, { viewOf })), ['a'])
  const central: Mesh['viewOf'] = (namespace) => ({ namespace, home: 'mesh', ports: new Set([80]) })
  const hidden = [service('web', 'c', { exportTo: ['.'] })]
  index.rebuild(mesh(hidden))
  assert.deepEqual(index.rebuild(mesh(hidden, { viewOf: central })), ['c'])
  assert.deepEqual(index.of('c').hosts, [{ host: host('web', 'c'), reason: 'Hidden', namespace: 'c' }])
  const byDefault = { Service: ['.'], VirtualService: undefined }
  assert.deepEqual(index.rebuild(mesh([service('db', 'a', TCP)], { exportTo: byDefault })).toSorted(), ['a', 'c'])
})

test('without a global-sidecar HTTP is learned on every port, and the rest is kept', () => {
  const index = createKeptIndex()
  const viewOf: Mesh['viewOf'] = (namespace) => ({ namespace, home: undefined, ports: undefined })
  index.rebuild(
    mesh([service('odd', 'a', { http: [8000] }), service('db', 'a', TCP), service('web', 'a', { exportTo: ['.'] })], { viewOf }),
  )
  assert.deepEqual(index.of('a').hosts, [{ host: host('db', 'a'), reason: 'NotHTTP', namespace: 'a' }])
})

test('scope namespace keeps what is near and what the mesh names; more than half of the mesh is told', () => {
  const index = createKeptIndex()
  const provider = { host: 'authz.example.com', reason: 'Provider', namespace: undefined, exportTo: ['*'] } as const
  index.rebuild(mesh([service('near', 'a', TCP), service('far', 'b', TCP), service('web', 'b')], { always: [provider] }))
  const kept = index.of('a')
  const names = (scope: 'all' | 'namespace' | 'none'): readonly string[] => keptInScope(kept, scope, 'a').hosts.map((each) => each.host)
  assert.deepEqual(names('all'), ['authz.example.com', host('far', 'b'), host('near', 'a')])
  assert.deepEqual(names('namespace'), ['authz.example.com', host('near', 'a')])
  assert.deepEqual(names('none'), [])
  assert.equal(keepsMost(kept), true)
  assert.equal(keepsMost(keptInScope(kept, 'namespace', 'a')), false)
})
