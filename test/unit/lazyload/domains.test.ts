/** Dependencies of a fence: learned, static, by label; their states and their ages (spec 3.4, 3.5; fixtures 5 and 6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { computeDomains, type DomainInput } from '../../../lazyload/fence/domains.ts'
import { type Domains, type FenceSpec, specOf } from '../../../lazyload/fence/fence.ts'
import { MAX_LEARNED } from '../../../lazyload/learn/learner.ts'
import { hostOfKey, keyOfHost } from '../../../lazyload/learn/metric-key.ts'
import { createGoneSince } from '../../../lazyload/mesh/gone-since.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const DETAILS = 'details.default.svc.cluster.local'

const FENCE = { apiVersion: 'microservice.slime.io/v1alpha1', kind: 'ServiceFence', metadata: { name: 'f', namespace: 'default' } }
const BASE: DomainInput = {
  namespace: 'default',
  spec: { enable: true },
  metricStatus: {},
  previous: {},
  source: 'prometheus',
  observation: undefined,
  absenceMs: 300_000,
  maxIdleMs: undefined,
  now: NOW,
  destinationsOf: () => [],
  destinationsOfAll: () => [],
  servicesWith: () => ({ hosts: [], lookedAt: 0 }),
  aliasesOf: () => [],
  isExternal: () => false,
  resolve: () => undefined,
}
const compute = (input: Partial<DomainInput>): ReturnType<typeof computeDomains> => computeDomains({ ...BASE, ...input })
const stateOf = (domains: Domains, host = DETAILS): string | undefined => domains[host]?.status
const learned = { [keyOfHost(DETAILS)]: '1' }
const full = {
  ...learned,
  ...Object.fromEntries(Array.from({ length: MAX_LEARNED }, (_, index) => [keyOfHost(`h${index}.example.com`), '1'])),
}
const seen = (at: number, ...hosts: string[]): { at: number; hosts: Set<string> } => ({ at: NOW + at, hosts: new Set(hosts) })

for (const [key, host] of [
  ['{destination_service="details.default.svc.cluster.local"}', DETAILS],
  ['{destination_service="ratings"}', 'ratings.default.svc.cluster.local'],
  ['{request_host="a.b:8080"}', 'a.b.svc.cluster.local'],
  ['{destination_service="www.example.com"}', 'www.example.com'],
  ['{destination_service="unknown"}', undefined],
  ['{destination_service="global-sidecar.default.svc.cluster.local"}', undefined],
  ['{source_app="x"}', undefined],
  ['{}', undefined],
  ['{destination_service=""}', undefined],
  ['{destination_service="10.0.0.1"}', undefined],
  ['{destination_service="a b"}', undefined],
  ['{destination_service="x", source_app="y"}', undefined],
] as const) {
  test(`the key ${key} means ${host ?? 'no host'}`, () => assert.equal(hostOfKey(key, 'default'), host))
}

test('an external host of two labels is not taken for a service', () => {
  assert.equal(
    hostOfKey('{destination_service="example.com"}', 'default', (host) => host === 'example.com'),
    'example.com',
  )
})

test('a host that was learned as external stays so when its ServiceEntry is away, whoever computes it next', () => {
  const metricStatus = { [keyOfHost('example.com')]: '1' }
  const { domains } = compute({ metricStatus, source: 'accesslog', isExternal: () => true })
  assert.deepEqual(Object.keys(domains), ['example.com'])
  assert.deepEqual(compute({ metricStatus, source: 'accesslog', previous: domains }).domains, domains)
  const named = { 'example.com': { hosts: ['example.com'], status: 'ACTIVE', source: 'host' } } as const
  assert.deepEqual(Object.keys(compute({ metricStatus, previous: named }).domains), ['example.com.svc.cluster.local'])
})

test('what cannot be seen in full is no reason to forget: neither an answer without the host nor a Service that is not there', () => {
  const previous = compute({ metricStatus: learned }).domains
  const input = { metricStatus: learned, previous, observation: seen(0), blind: true }
  assert.deepEqual(compute(input).domains, previous)
  const blind = compute({ metricStatus: full, source: 'accesslog', absentSince: () => 0, blind: true })
  assert.deepEqual(blind.forgotten, [])
})

test('where no place is left a host goes whose Service has been absent for an hour; before that, and with places left, it stays', () => {
  const absentSince = (host: string): number | undefined => (host === DETAILS ? NOW - 3_599_000 : undefined)
  const input = { metricStatus: full, source: 'accesslog', absentSince } as const
  const before = compute(input)
  assert.deepEqual([before.forgotten, before.changesAt], [[], NOW + 1000])
  const after = compute({ ...input, now: NOW + 1000 })
  assert.deepEqual([after.forgotten, stateOf(after.domains)], [[keyOfHost(DETAILS)], undefined])
  assert.equal(stateOf(compute({ ...input, metricStatus: learned, now: NOW + 1000 }).domains), 'ACTIVE')
})

test('a Service is gone since it went; one that was never there since somebody looks', () => {
  let now = 0
  const gone = createGoneSince(() => now)
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'svc', namespace: 'n' } }
  now = 10
  gone.change(service, undefined)
  assert.deepEqual([gone.since('n/svc'), gone.since('n/never')], [10, 0])
  now = 20
  gone.change(undefined, service)
  gone.change(service, undefined)
  assert.equal(gone.since('n/svc'), 20)
})

test('a learned host is ACTIVE from when it was first seen', () => {
  const { domains } = compute({ metricStatus: learned, source: 'accesslog' })
  assert.deepEqual(domains, {
    [DETAILS]: { hosts: [DETAILS], status: 'ACTIVE', source: 'accesslog', learnedAt: '2026-01-01T00:00:00.000Z' },
  })
  assert.deepEqual(compute({ metricStatus: learned, source: 'accesslog', previous: domains, now: NOW + 1e9 }).domains, domains)
})

test('with Prometheus a host leaves when answers lack it for the time of absence', () => {
  let { domains } = compute({ metricStatus: learned, observation: seen(0, DETAILS) })
  assert.equal(stateOf(domains), 'ACTIVE')
  ;({ domains } = compute({ metricStatus: learned, previous: domains, observation: seen(30_000) }))
  assert.equal(stateOf(domains), 'EXPIREWAIT')
  assert.equal(domains[DETAILS]?.missingSince, '2026-01-01T00:00:30.000Z')
  const again = compute({ metricStatus: learned, previous: domains, observation: seen(30_000) })
  assert.equal(stateOf(again.domains), 'EXPIREWAIT', 'the same query twice is one query')
  const soon = compute({ metricStatus: learned, previous: domains, observation: seen(329_000) })
  assert.equal(stateOf(soon.domains), 'EXPIREWAIT', 'too soon')
  const failed = compute({ metricStatus: learned, previous: domains, now: NOW + 3_600_000 })
  assert.equal(stateOf(failed.domains), 'EXPIREWAIT', 'no answer proves nothing')
  const gone = compute({ metricStatus: learned, previous: domains, observation: seen(330_000) })
  assert.deepEqual(gone.domains, {})
  assert.deepEqual(gone.forgotten, [keyOfHost(DETAILS)])
})

test('an answer from before a host was learned says nothing of it', () => {
  const { domains } = compute({ metricStatus: learned, observation: seen(-1) })
  assert.equal(stateOf(domains), 'ACTIVE')
  assert.equal(stateOf(compute({ metricStatus: learned, previous: domains, observation: seen(-1), now: NOW + 5000 }).domains), 'ACTIVE')
  assert.equal(stateOf(compute({ metricStatus: learned, previous: domains, observation: seen(1), now: NOW + 5000 }).domains), 'EXPIREWAIT')
})

test('a host that comes back in between is ACTIVE again', () => {
  const waiting = compute({ metricStatus: learned, observation: seen(0) }).domains
  assert.equal(stateOf(waiting), 'EXPIREWAIT')
  const back = compute({ metricStatus: learned, previous: waiting, observation: seen(30_000, DETAILS) })
  assert.deepEqual(back.domains[DETAILS], {
    hosts: [DETAILS],
    status: 'ACTIVE',
    source: 'prometheus',
    learnedAt: '2026-01-01T00:00:00.000Z',
  })
  assert.deepEqual(back.forgotten, [])
})

test('with the access log silence means nothing, unless maxIdle says so', () => {
  const previous = compute({ metricStatus: learned, source: 'accesslog' }).domains
  const later = { metricStatus: learned, source: 'accesslog', previous, now: NOW + 3_600_000 } as const
  assert.equal(stateOf(compute({ ...later, observation: seen(60_000) }).domains), 'ACTIVE')
  assert.deepEqual(compute({ ...later, maxIdleMs: 3_600_000 }).forgotten, [keyOfHost(DETAILS)])
  assert.equal(compute({ ...later, maxIdleMs: 3_600_001 }).changesAt, NOW + 3_600_001)
})

test('maxIdle is for the access log only: Prometheus says itself what is called', () => {
  const previous = compute({ metricStatus: learned, observation: seen(0, DETAILS) }).domains
  const later = compute({ metricStatus: learned, previous, observation: seen(0, DETAILS), maxIdleMs: 1000, now: NOW + 3_600_000 })
  assert.deepEqual([stateOf(later.domains), later.forgotten, later.changesAt], ['ACTIVE', [], undefined])
})

const seconds = NOW / 1000
const strategies: readonly (readonly [string, object | null, string, number | undefined])[] = [
  ['stable', { stable: {} }, 'ACTIVE', undefined],
  ['stable before a deadline that is over', { stable: {}, deadline: { expire: { seconds: seconds - 1 } } }, 'ACTIVE', undefined],
  ['a deadline a second ago', { deadline: { expire: { seconds: seconds - 1 } } }, 'EXPIRE', undefined],
  ['a deadline in a minute', { deadline: { expire: { seconds: seconds + 60 } } }, 'ACTIVE', NOW + 61_000],
  ['a deadline as text', { deadline: { expire: { seconds: String(seconds - 1) } } }, 'EXPIRE', undefined],
  ['auto that was never called', { auto: { duration: { seconds: 5 } } }, 'ACTIVE', undefined],
  ['auto, called long ago', { auto: { duration: { seconds: 5 } }, RecentlyCalled: { seconds: seconds - 6 } }, 'EXPIRE', undefined],
  ['auto, called just now', { auto: { duration: { seconds: 5 } }, RecentlyCalled: { seconds } }, 'ACTIVE', NOW + 6000],
  ['nothing', {}, 'ACTIVE', undefined],
  ['null', null, 'ACTIVE', undefined],
  ['a deadline without a time', { deadline: {} }, 'ACTIVE', undefined],
  ['auto without a duration', { auto: {}, RecentlyCalled: { seconds } }, 'ACTIVE', undefined],
]
for (const [what, strategy, status, changesAt] of strategies) {
  test(`spec.host with ${what} is ${status}`, () => {
    const computed = compute({ spec: { host: { [DETAILS]: strategy } } })
    assert.deepEqual(computed.domains, { [DETAILS]: { hosts: [DETAILS], status, source: 'host' } })
    assert.equal(computed.changesAt, changesAt)
  })
}

test('what the spec says about a host is not overridden by its being called', () => {
  const spec = { host: { [DETAILS]: { deadline: { expire: { seconds: seconds - 1 } } } } }
  const { domains, forgotten } = compute({ spec, metricStatus: learned, observation: seen(0, DETAILS) })
  assert.deepEqual([stateOf(domains), forgotten], ['EXPIRE', []])
})

test('short names of the spec are completed, namespaces are kept, nonsense is told', () => {
  const spec: FenceSpec = {
    host: { ratings: null, 'far/*': null, 'a b': null, 'x/y': null, '*': null, '': null },
    namespaceSelector: ['near', '*'],
  }
  const { domains, invalid } = compute({ spec, destinationsOfAll: (namespace) => [`out-of.${namespace}`] })
  assert.deepEqual(Object.keys(domains), ['far/*', 'near/*', 'ratings.default.svc.cluster.local'])
  assert.deepEqual(domains['far/*']?.hosts, ['out-of.far'])
  assert.deepEqual(invalid, ['a b', 'x/y', '*', '', '*'])
})

test('a Service with its namespace is completed when it is there, told when it is not; a host of a ServiceEntry stays', () => {
  const known: Readonly<Record<string, string>> = {
    'details.shop': 'details.shop.svc.cluster.local',
    'web.shop.svc': 'web.shop.svc.cluster.local',
    'example.com': 'example.com',
  }
  const host = {
    'Details.shop': null,
    'web.shop.svc': null,
    'example.com': null,
    'typo.shop': null,
    'typo.shop.svc': null,
    'a.b.example.com': null,
  }
  const { domains, invalid, unknown } = compute({ spec: { host }, resolve: (name) => known[name] })
  const expected = [...Object.values(known), 'typo.shop', 'typo.shop.svc', 'a.b.example.com'].sort()
  assert.deepEqual([Object.keys(domains), invalid, unknown], [expected, [], ['typo.shop', 'typo.shop.svc']])
  assert.deepEqual(compute({ spec: { host }, blind: true }).unknown, [], 'what cannot be seen is not told')
})

test('a spec that an older CRD let pass is read as far as it means something', () => {
  const spec = { enable: 'yes', host: ['a'], namespaceSelector: 'near', labelSelector: {}, workloadSelector: 'x' }
  assert.deepEqual(specOf({ ...FENCE, spec }), {
    enable: 'yes',
    host: null,
    namespaceSelector: null,
    labelSelector: null,
    workloadSelector: null,
  })
  assert.deepEqual(specOf({ ...FENCE, spec: 'nonsense' }), {})
  const good = { enable: true, host: { a: {} }, namespaceSelector: ['near'], labelSelector: [{ selector: { a: 'b' } }] }
  assert.equal(specOf({ ...FENCE, spec: good }), good)
})

test('Services are selected by labels, all of one entry or all of another', () => {
  const asked: unknown[] = []
  const spec: FenceSpec = { labelSelector: [{ selector: { a: '1', b: '2' } }, { selector: {} }, { selector: null }] }
  const { domains } = compute({ spec, servicesWith: (labels) => (asked.push(labels), { hosts: ['s.any.svc.cluster.local'], lookedAt: 1 }) })
  assert.deepEqual(asked, [{ a: '1', b: '2' }], 'an empty selector selects nothing')
  assert.equal(domains['s.any.svc.cluster.local']?.source, 'labelSelector')
})

test('a domain brings what its VirtualServices route to, and its aliases', () => {
  const { domains } = compute({
    metricStatus: learned,
    destinationsOf: (host) => (host === DETAILS ? ['d'] : []),
    aliasesOf: () => ['default.details.mailsaas', 'no host'],
  })
  assert.deepEqual(domains[DETAILS]?.hosts, [DETAILS, 'd'])
  assert.deepEqual(domains['default.details.mailsaas']?.hosts, ['default.details.mailsaas'])
  assert.equal(Object.keys(domains).length, 2)
})
