/** Logged requests to learned hosts (spec 3.2, fixtures 2 and 3), from Envoy's wire format. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { keyOf, type KubeObject } from '../../../runtime/object.ts'
import { decodeBatch } from '../../../lazyload/accesslog/decode.ts'
import { addressOfPeer, grantOf } from '../../../lazyload/accesslog/peers.ts'
import { createAccessLogSource, type EntryResult } from '../../../lazyload/accesslog/source.ts'
import { createAskedHosts } from '../../../lazyload/mesh/asked-hosts.ts'
import { createKnownHosts, slimService } from '../../../lazyload/mesh/known-hosts.ts'
import { entryOf, type LoggedRequest, messageOf } from '../../helpers/access-log.ts'

const service = (namespace: string, name: string, spec: object): KubeObject =>
  slimService({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec })
const SERVICES = new Map(
  [
    service('default', 'productpage', { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'] }),
    service('default', 'details', { clusterIPs: ['10.96.0.12', 'fd00::12'] }),
    service('default', 'web', { clusterIP: 'None', clusterIPs: ['None'] }),
    service('default', 'dev', { clusterIP: '10.96.0.13' }),
    service('other', 'ratings', { clusterIP: '10.96.0.14' }),
    service('other', 'web', { clusterIP: 'None' }),
    service('other', 'both', { clusterIP: '10.96.0.15' }),
  ].map((each) => [keyOf(each), each]),
)
const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  '172.17.0.11': ['default/productpage'],
  '172.17.0.12': ['default/productpage', 'default/frontend'],
  '10.0.0.9': ['other/ratings'],
  '2001:db8::1': ['default/productpage'],
  '10.0.0.20': ['other/web', 'other/both'],
}
const ROUTES: Readonly<Record<string, readonly string[]>> = {
  'details.default.svc.cluster.local': ['details-v2.default.svc.cluster.local'],
  'virtual.example.com': ['details.default.svc.cluster.local'],
  '*.virtual.com': ['details.default.svc.cluster.local'],
}

const knownHosts = createKnownHosts({ hasService: (key) => SERVICES.has(key), hasVirtualService: (host) => host in ROUTES })
const entry = (hosts: readonly string[]): never => ({ metadata: { name: 'entry', namespace: 'default' }, hosts }) as never
knownHosts.changeEntry(undefined, entry(['www.baidu.com', 'example.com', '*.wild.com', '*.a.wild.com', '*.local']))
const askedHosts = createAskedHosts({
  known: knownHosts,
  service: (key) => SERVICES.get(key),
  servicesOf: (address) => ADDRESSES[address] ?? [],
})
for (const each of SERVICES.values()) askedHosts.changeService(undefined, each)

function receive(
  requests: readonly LoggedRequest[],
  namespaces?: readonly string[],
): { learned: Record<string, Record<string, number>>; results: Partial<Record<EntryResult, number>> } {
  const learned: Record<string, Record<string, number>> = {}
  const results: Partial<Record<EntryResult, number>> = {}
  const source = createAccessLogSource({
    servicesOf: (address) => ADDRESSES[address] ?? [],
    callersOf: (services, { namespaces: granted }) => ({
      fences: services.filter((each) => granted === undefined || granted.has(each.split('/')[0]!)),
      places: [],
    }),
    lookUp: () => assert.fail('no fence stands apart'),
    hostsFor: askedHosts.hostsFor,
    destinationsOf: (host) => ROUTES[host] ?? [],
    learn: (fence, hosts) => (learned[fence] = Object.fromEntries(hosts)),
    observe: (result, count) => (results[result] = count),
  })
  source.receive(messageOf(requests, 100), { namespaces: namespaces === undefined ? undefined : new Set(namespaces) })
  return { learned, results }
}

const DETAILS = 'details.default.svc.cluster.local'
const cluster = (host: string): string => `outbound|9080||${host}`
const from = (upstreamCluster: string, authority?: string): LoggedRequest => ({
  remote: '172.17.0.11',
  upstreamCluster,
  ...(authority === undefined ? {} : { authority }),
})

test('the source is the downstream address, the destination the host of the upstream cluster', () => {
  assert.deepEqual(receive([from(cluster(DETAILS))]).learned, { 'default/productpage': { [DETAILS]: 1 } })
  assert.deepEqual(receive([from(cluster(DETAILS)), from(cluster(DETAILS))]).learned, { 'default/productpage': { [DETAILS]: 2 } })
})

test('the peer of the connection counts before the address that a header can forge', () => {
  assert.deepEqual(receive([{ directRemote: '10.0.0.9', remote: '172.17.0.11', upstreamCluster: cluster(DETAILS) }]).learned, {
    'other/ratings': { [DETAILS]: 1 },
  })
})

test('every Service behind the address learns', () => {
  assert.deepEqual(Object.keys(receive([{ directRemote: '172.17.0.12', upstreamCluster: cluster(DETAILS) }]).learned), [
    'default/productpage',
    'default/frontend',
  ])
})

test('IPv6 in any spelling is the same address', () => {
  for (const directRemote of ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '::ffff:172.17.0.11'])
    assert.deepEqual(
      receive([{ directRemote, upstreamCluster: cluster(DETAILS) }]).learned,
      { 'default/productpage': { [DETAILS]: 1 } },
      directRemote,
    )
})

test('requests that did not stay in the mesh, and unknown addresses, are ignored; the others of the batch count', () => {
  const ignored = [
    'PassthroughCluster',
    'BlackHoleCluster',
    'inbound|9080||',
    '',
    'outbound|9080|',
    `outbound|9080||${'x'.repeat(300)}`,
    'outbound|9080||10.1.1.1',
    'outbound|9080||details',
  ].map((name) => from(name))
  const { learned, results } = receive([
    ...ignored,
    { remote: '1.2.3.4', upstreamCluster: cluster(DETAILS) },
    { upstreamCluster: cluster(DETAILS) },
    { directRemote: 'pipe:/x', remote: '172.17.0.11', upstreamCluster: cluster(DETAILS) },
    from(cluster(DETAILS)),
  ])
  assert.deepEqual(learned, { 'default/productpage': { [DETAILS]: 1 } })
  assert.deepEqual(results, { 'no-destination': ignored.length, 'no-source': 3, learnable: 1 })
})

const destinations: readonly (readonly [string, string, string | undefined, readonly string[]])[] = [
  ['a short name', cluster(DETAILS), 'details:9080', [DETAILS]],
  ['a subset of DestinationRule', `outbound|9080|v1|${DETAILS}`, 'details', [DETAILS]],
  ['the spelling of SNI routing', `outbound_.9080_.v1_.${DETAILS}`, undefined, [DETAILS]],
  [
    'a host that a VirtualService routes elsewhere: the one that was asked for',
    cluster('details-v2.default.svc.cluster.local'),
    'details.default',
    [DETAILS],
  ],
  [
    'a route that nobody can explain: both',
    cluster('canary.default.svc.cluster.local'),
    'DETAILS.default.svc:9080',
    [DETAILS, 'canary.default.svc.cluster.local'],
  ],
  ['a host that only a VirtualService knows', cluster(DETAILS), 'virtual.example.com', ['virtual.example.com']],
  ['an external host', 'outbound|443||www.baidu.com', 'www.baidu.com', ['www.baidu.com']],
  ['an external host of two labels', 'outbound|443||example.com', 'example.com:443', ['example.com']],
  ['an external host by a wildcard', 'outbound|443||*.wild.com', 'a.wild.com', ['*.wild.com']],
  ['an address instead of a name', cluster(DETAILS), '10.96.0.12:9080', [DETAILS]],
  ['an unknown name', cluster(DETAILS), 'nobody:9080', [DETAILS]],
  ['nonsense instead of a name', cluster(DETAILS), '</script>', [DETAILS]],
  ['the global-sidecar itself', cluster('global-sidecar.default.svc.cluster.local'), undefined, []],
]
for (const [what, upstreamCluster, authority, hosts] of destinations) {
  test(`learns from ${what}`, () => {
    assert.deepEqual(Object.keys(receive([from(upstreamCluster, authority)]).learned['default/productpage'] ?? {}), hosts)
  })
}

const WEB = 'web.default.svc.cluster.local'
const failures: readonly (readonly [string, readonly string[]])[] = [
  ['details:9080', [DETAILS]],
  ['details', [DETAILS]],
  ['DETAILS.Default:9080', [DETAILS]],
  ['details.default.svc', [DETAILS]],
  ['details.default.svc.cluster.local.:9080', [DETAILS]],
  ['ratings', []],
  ['ratings.other', ['ratings.other.svc.cluster.local']],
  ['nobody', []],
  ['nobody.default.svc.cluster.local:9080', []],
  ['www.baidu.com:443', ['www.baidu.com']],
  ['www.example.org', []],
  ['b.wild.com', ['*.wild.com']],
  ['b.a.wild.com:9080', ['*.a.wild.com']],
  ['wild.com', []],
  ['printer.local', []],
  ['virtual.example.com', ['virtual.example.com']],
  ['a.virtual.com', ['*.virtual.com']],
  ['web-0.web', [WEB]],
  ['web-0.web.default:9080', [WEB]],
  ['web-0.web.default.svc', [WEB]],
  ['web-0.web.default.svc.cluster.local', [WEB]],
  ['web-0.web.other', ['web.other.svc.cluster.local']],
  ['web-0.nobody.default.svc.cluster.local', []],
  ['x.web-0.web.default.svc.cluster.local', []],
  ['shop.dev', []],
  ['10.96.0.12:9080', [DETAILS]],
  ['[fd00::12]:9080', [DETAILS]],
  ['[FD00:0:0:0:0:0:0:12]', [DETAILS]],
  ['fd00::12', [DETAILS]],
  ['10.0.0.20:9080', ['web.other.svc.cluster.local', 'both.other.svc.cluster.local']],
  ['10.9.9.9:9080', []],
  ['[::1', []],
  ['</script>', []],
  ['', []],
  ['global-sidecar.default', []],
]
for (const [authority, hosts] of failures) {
  test(`a call of "${authority}" that no cluster of the mesh answered teaches ${hosts.join(' and ') || 'nothing'}`, () => {
    for (const upstreamCluster of ['', 'PassthroughCluster', 'BlackHoleCluster', 'whatever-it-is-called'])
      assert.deepEqual(Object.keys(receive([from(upstreamCluster, authority)]).learned['default/productpage'] ?? {}), hosts)
    assert.deepEqual(receive([from('inbound|9080||', authority)]).learned, {})
  })
}

test('an address whose Service is replaced by another means the other', () => {
  const moved = createAskedHosts({ known: knownHosts, service: () => undefined, servicesOf: () => [] })
  const [old, later] = ['old', 'later'].map((name) => service('default', name, { clusterIP: '10.96.0.99' }))
  moved.changeService(undefined, old)
  assert.deepEqual(moved.hostsFor('10.96.0.99', 'default'), ['old.default.svc.cluster.local'])
  moved.changeService(undefined, later)
  moved.changeService(old, undefined)
  assert.deepEqual(moved.hostsFor('10.96.0.99', 'default'), ['later.default.svc.cluster.local'])
  moved.changeService(later, undefined)
  assert.deepEqual(moved.hostsFor('10.96.0.99', 'default'), [])
})

test('a short name is meant in the namespace of its caller', () => {
  assert.deepEqual(receive([{ remote: '10.0.0.9', upstreamCluster: cluster(DETAILS), authority: 'details' }]).learned, {
    'other/ratings': { [DETAILS]: 1 },
  })
})

test("a namespace's global-sidecar teaches only fences of that namespace", () => {
  assert.deepEqual(receive([from(cluster(DETAILS))], ['other']), { learned: {}, results: { 'no-source': 1 } })
})

test('a broken entry is lost, and only it', () => {
  const broken = Buffer.from([0x0a, 0x7f, 0x01])
  const good = entryOf(from(cluster(DETAILS)))
  const inner = Buffer.concat([broken, good].map((bytes) => Buffer.concat([Buffer.from([0x0a]), varint(bytes.length), bytes])))
  const batch = decodeBatch(Buffer.concat([Buffer.from([0x12]), varint(inner.length), inner]))
  assert.equal(batch.broken, 1)
  assert.equal(batch.entries[0]?.upstreamCluster, cluster(DETAILS))
})

test('an entry that claims more than it has does not reach into the next one', () => {
  const good = entryOf(from(cluster(DETAILS)))
  // its common properties end where the next entry's do
  const greedy = Buffer.concat([Buffer.from([0x0a]), varint(good.length + 2)])
  const inner = Buffer.concat([greedy, good].map((bytes) => Buffer.concat([Buffer.from([0x0a]), varint(bytes.length), bytes])))
  const { entries, broken } = decodeBatch(Buffer.concat([Buffer.from([0x12]), varint(inner.length), inner]))
  assert.equal(broken, 1)
  assert.deepEqual(
    entries.map(({ upstreamCluster }) => upstreamCluster),
    [cluster(DETAILS)],
  )
})

test('no bytes whatever make it throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodeBatch(bytes).entries.length >= 0))
  const message = messageOf([from(cluster(DETAILS)), from(cluster(DETAILS))], 50)
  fc.assert(
    fc.property(fc.nat(message.length - 1), fc.nat(255), fc.nat(message.length), (at, value, length) => {
      const spoiled = Buffer.from(message).subarray(0, length)
      if (at < length) spoiled[at] = value
      return decodeBatch(spoiled).entries.length <= 2
    }),
  )
})

test('who may send: global-sidecars, for their namespace; in cluster mode the one for all', () => {
  const servicesOf = (address: string): readonly string[] =>
    ({ '10.0.0.1': ['a/global-sidecar', 'a/x'], '10.0.0.2': ['mesh-operator/global-sidecar'], '10.0.0.3': ['a/x'] })[address] ?? []
  const peers = { mode: 'namespace', clusterNamespace: 'mesh-operator', servicesOf, check: true } as const
  assert.deepEqual(grantOf('::ffff:10.0.0.1', peers)?.namespaces, new Set(['a']))
  assert.equal(grantOf('10.0.0.3', peers), undefined)
  assert.equal(
    grantOf('10.0.0.1', { ...peers, mode: 'cluster' }),
    undefined,
    'anybody can make a Service of that name in a namespace of his own',
  )
  assert.deepEqual(grantOf('10.0.0.2', { ...peers, mode: 'cluster' }), { namespaces: undefined })
  assert.equal(grantOf('10.0.0.1', { ...peers, mode: 'no' }), undefined)
  assert.deepEqual(grantOf('10.9.9.9', { ...peers, check: false }), { namespaces: undefined })
  const peersSeen = ['10.0.0.1:5', '[::1]:5', 'ipv6:[fe80::1]:7', '[::ffff:10.0.0.1]:5'].map(addressOfPeer)
  assert.deepEqual(peersSeen, ['10.0.0.1', '::1', 'fe80::1', '10.0.0.1'])
})

function varint(value: number): Buffer {
  return value < 0x80 ? Buffer.from([value]) : Buffer.from([(value & 0x7f) | 0x80, value >> 7])
}
