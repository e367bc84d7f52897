/** The status of a fence, and the patch that makes it so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ComputedDomains } from '../../../lazyload/fence/domains.ts'
import type { FenceCondition, FenceStatus } from '../../../lazyload/fence/fence.ts'
import { MAX_SELECTED, type StatusInput, statusPatch } from '../../../lazyload/fence/status.ts'
import { MAX_LEARNED } from '../../../lazyload/learn/learner.ts'
import { keyOfHost } from '../../../lazyload/learn/metric-key.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'

const NOW = new Date('2026-01-01T00:00:00.500Z')
const LATER = new Date('2026-01-01T01:00:00Z')
const DETAILS = 'details.default.svc.cluster.local'
const DOMAIN = { hosts: [DETAILS], status: 'ACTIVE', source: 'accesslog', learnedAt: '2026-01-01T00:00:00.000Z' } as const
const EMPTY: ComputedDomains = { domains: {}, forgotten: [], changesAt: undefined, invalid: [], unknown: [] }

const fenceWith = (status: JsonObject = {}, spec: JsonObject = { enable: true }): KubeObject => ({
  apiVersion: 'microservice.slime.io/v1alpha1',
  kind: 'ServiceFence',
  metadata: { name: 'productpage', namespace: 'default', generation: 3, resourceVersion: '42' },
  spec,
  status,
})
const patchOf = (input: Partial<StatusInput>): ReturnType<typeof statusPatch> =>
  statusPatch({
    fence: fenceWith(),
    computed: EMPTY,
    stableHosts: [],
    sidecar: { kind: 'applied' },
    keep: { scope: 'all', kept: { hosts: [], known: 0 }, unseen: undefined },
    queryProblem: undefined,
    now: NOW,
    ...input,
  })
const statusIn = (patch: ReturnType<typeof statusPatch>): FenceStatus => patch?.['status'] as FenceStatus
const conditionIn = (input: Partial<StatusInput>, type: string): FenceCondition | undefined =>
  statusIn(patchOf(input)).conditions?.find((condition) => condition.type === type)

test('the first patch has conditions, counts and domains, and asks for no version: nobody else writes them', () => {
  const patch = patchOf({ computed: { ...EMPTY, domains: { [DETAILS]: DOMAIN } } })
  assert.deepEqual(Object.keys(patch ?? {}), ['status'])
  const { conditions, ...rest } = statusIn(patch)
  assert.deepEqual(rest, { observedGeneration: 3, hosts: 1, lastLearned: DOMAIN.learnedAt, domains: { [DETAILS]: DOMAIN } })
  assert.deepEqual(
    conditions?.map(({ type, status, lastTransitionTime }) => [type, status, lastTransitionTime]),
    ['Ready', 'Accepted', 'Learning', 'Kept'].map((type) => [type, 'True', '2026-01-01T00:00:00Z']),
  )
})

test('what is so already needs no patch, whatever the time; a change keeps the times of what did not change', () => {
  const status = statusIn(patchOf({})) as unknown as JsonObject
  assert.equal(patchOf({ fence: fenceWith(status), now: LATER }), undefined)
  const { conditions, ...rest } = statusIn(patchOf({ fence: fenceWith(status), sidecar: { kind: 'foreign' }, now: LATER }))
  assert.deepEqual(rest, {})
  assert.deepEqual(
    conditions?.map(({ type, status: state, lastTransitionTime }) => [type, state, lastTransitionTime]),
    [
      ['Ready', 'False', '2026-01-01T01:00:00Z'],
      ['Accepted', 'True', '2026-01-01T00:00:00Z'],
      ['Learning', 'True', '2026-01-01T00:00:00Z'],
      ['Kept', 'True', '2026-01-01T00:00:00Z'],
    ],
  )
})

test('what is forgotten is taken out with the version that was looked at, so that nothing learned meanwhile is lost', () => {
  const fence = fenceWith({ ...(statusIn(patchOf({})) as unknown as JsonObject), metricStatus: { [keyOfHost(DETAILS)]: '1' } })
  assert.deepEqual(patchOf({ fence, computed: { ...EMPTY, forgotten: [keyOfHost(DETAILS)] } }), {
    metadata: { resourceVersion: '42' },
    status: { metricStatus: { [keyOfHost(DETAILS)]: null } },
  })
})

test('what selectors and routes bring is stored up to a bound, what was learned is stored whole; all are counted', () => {
  const many = (count: number, prefix: string): readonly string[] =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}.example.com`)
  const domains = Object.fromEntries([
    ...many(MAX_SELECTED + 1, 's').map((host) => [host, { hosts: [host], status: 'ACTIVE', source: 'labelSelector' }] as const),
    ...many(MAX_LEARNED, 'l').map((host) => [host, { ...DOMAIN, hosts: [host] }] as const),
    ['routed', { ...DOMAIN, hosts: many(200, 'r') }] as const,
  ])
  const status = statusIn(patchOf({ computed: { ...EMPTY, domains } }))
  assert.deepEqual(
    [Object.keys(status.domains ?? {}).length, status.domains?.['routed']?.hosts?.length],
    [MAX_SELECTED + MAX_LEARNED + 1, 50],
  )
  assert.equal(status.hosts, MAX_SELECTED + 1 + MAX_LEARNED + 200)
})

test('messages do not grow with what they tell of', () => {
  const invalid = Array.from({ length: 5000 }, (_, index) => `${'x'.repeat(1000)} ${index}`)
  const failure = 'x'.repeat(1e6)
  for (const input of [
    { computed: { ...EMPTY, invalid, unknown: invalid } },
    { sidecar: { kind: 'failed', reason: 'Invalid', failure } },
  ] as const)
    for (const { message } of statusIn(patchOf(input)).conditions ?? []) assert.ok(message.length < 10_000, `${message.length}`)
})

test('when a host was last learned stays known after the host has left', () => {
  const fence = fenceWith({ lastLearned: DOMAIN.learnedAt, domains: { [DETAILS]: DOMAIN } })
  const { lastLearned, domains } = statusIn(patchOf({ fence }))
  assert.deepEqual([lastLearned, domains], [undefined, { [DETAILS]: null }])
})

for (const [what, input, type, status, reason] of [
  ['a foreign Sidecar', { sidecar: { kind: 'foreign' } }, 'Ready', 'False', 'SidecarForeign'],
  ['a contest', { sidecar: { kind: 'contested', manager: 'gitops', retryMs: 1 } }, 'Ready', 'False', 'Contested'],
  [
    'no global-sidecar',
    { sidecar: { kind: 'unserved', missing: { home: 'default', parts: ['x'], service: true }, hasSidecar: false } },
    'Ready',
    'False',
    'NoGlobalSidecar',
  ],
  ['what may not be seen', { sidecar: { kind: 'unseen', resources: ['services'], hasSidecar: true } }, 'Ready', 'Unknown', 'KindsUnseen'],
  ['nobody who logs', { queryProblem: { reason: 'NoLogSource', message: 'x' } }, 'Learning', 'False', 'NoLogSource'],
  ['a Service that is not there', { sidecar: { kind: 'no-service' } }, 'Ready', 'False', 'NoService'],
  ['no kind Sidecar', { sidecar: { kind: 'no-crd' } }, 'Ready', 'False', 'NoSidecarKind'],
  ['a refusal', { sidecar: { kind: 'failed', reason: 'Forbidden', failure: 'x' } }, 'Ready', 'False', 'Forbidden'],
  ['enable: false', { sidecar: { kind: 'disabled' }, fence: fenceWith({}, {}) }, 'Ready', 'True', 'Disabled'],
  ['enable: false', { sidecar: { kind: 'disabled' }, fence: fenceWith({}, {}) }, 'Learning', 'False', 'Disabled'],
  ['a host that is none', { computed: { ...EMPTY, invalid: ['a b'] } }, 'Accepted', 'False', 'InvalidHost'],
  ['a Service that nobody knows', { computed: { ...EMPTY, unknown: ['typo.shop'] } }, 'Accepted', 'False', 'UnknownHost'],
  ['a query that failed', { queryProblem: { reason: 'QueryFailed', message: 'x' } }, 'Learning', 'False', 'QueryFailed'],
  ['an answer that proves nothing', { queryProblem: { reason: 'NoSamples', message: 'x' } }, 'Learning', 'Unknown', 'NoSamples'],
  [
    'too many hosts',
    { fence: fenceWith({ metricStatus: Object.fromEntries(Array.from({ length: MAX_LEARNED }, (_, index) => [`h${index}`, '1'])) }) },
    'Learning',
    'False',
    'TooManyHosts',
  ],
] as const) {
  test(`${what} gives ${type} ${status} ${reason}`, () => {
    const condition = conditionIn(input, type)
    assert.deepEqual([condition?.status, condition?.reason], [status, reason])
  })
}
