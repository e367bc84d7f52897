/** The memory of a global-sidecar against what was measured (docs/performance.md), and what it holds. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { load } from 'js-yaml'
import { AGENT_MIB, globalSidecarMemory } from '../../../operator/preflight/global-sidecar-memory.ts'
import { memoryFinding } from '../../../operator/preflight/memory.ts'
import { type MeshObjects, mostClusters } from '../../../operator/preflight/seen-clusters.ts'

const SAMPLES = join(import.meta.dirname, '../../../samples')

const near = (value: number, measured: number, share: number): void =>
  assert.ok(Math.abs(value - measured) <= measured * share, `${value} for measured ${measured}`)

describe('the estimate', () => {
  for (const [services, ports, endpoints, heap, resident] of [
    [200, 1, 10, 21, undefined],
    [1000, 1, 10, 92, 189],
    [5000, 1, 4, 358, 491],
    // proxies with the whole mesh
    [1000, 2, 10, 175, 275],
    [5000, 2, 4, 708, 916],
  ] as const)
    test(`of ${services} Services × ${ports} ports × ${endpoints} endpoints is what was measured`, () => {
      const estimate = globalSidecarMemory({ services, ports, endpoints })
      assert.equal(estimate.clusters, services * ports)
      near(estimate.heapMiB, heap, 0.15)
      if (resident !== undefined) near(estimate.needMiB - AGENT_MIB, resident, 0.12)
      assert.ok(estimate.limitMiB >= estimate.needMiB * 1.2)
    })

  test('grows with each of the three, and never below what an empty proxy takes', () => {
    const need = (services: number, ports: number, endpoints: number): number => globalSidecarMemory({ services, ports, endpoints }).needMiB
    assert.ok(need(1000, 1, 4) < need(1000, 1, 10))
    assert.ok(need(1000, 1, 10) < need(1000, 2, 10))
    assert.ok(need(0, 1, 0) >= 71 + AGENT_MIB)
  })
})

describe('the finding', () => {
  const finding = (clusters: number, each: number, limit: string | undefined, isInjected = false) =>
    memoryFinding({ clusters, endpoints: clusters * each }, { limit, isInjected })
  for (const [clusters, each, limit, level, said] of [
    [4, 1, '200Mi', 'ok', /4 clusters .* about 93Mi; its limit is 200Mi$/],
    [200, 10, '200Mi', 'ok', /./],
    [800, 10, '200Mi', 'warning', /its limit is 200Mi, which leaves too little .*limits\.memory to 256Mi or more/],
    [
      1000,
      10,
      '200Mi',
      'warning',
      /1000 clusters .* 10 endpoints .* about 211Mi; its limit is 200Mi, so it would be OOM-killed\. Set .* to 320Mi or/,
    ],
    [1000, 10, '320Mi', 'ok', /./],
    [1000, 10, '335544320', 'ok', /./],
    [1000, 10, '512Mi', 'ok', /./],
    [5000, 4, '512Mi', 'warning', /to 704Mi or more/],
    [5000, 4, '0.7G', 'ok', /./],
    [5000, 4, undefined, 'ok', /it has no memory limit$/],
  ] as const)
    test(`of ${clusters} clusters × ${each} endpoints under ${limit ?? 'no limit'}: ${level}`, () => {
      const found = finding(clusters, each, limit)
      assert.equal(found.level, level, found.detail)
      assert.match(found.detail, said)
    })

  test('a limit of which it advises is enough', () => {
    for (const clusters of [0, 1, 10, 333, 1000, 20_000])
      assert.equal(finding(clusters, 7, `${globalSidecarMemory({ services: clusters, ports: 1, endpoints: 7 }).limitMiB}Mi`).level, 'ok')
  })

  test('says whose limit it is', () =>
    assert.match(finding(20_000, 4, '1Gi', true).detail, /its limit, the mesh's own for proxies, is 1Gi, so it/))
})

test('the samples but that of the tutorial hold 1,000 Services', () => {
  const samples = globSync('slimeboot_*.yaml', { cwd: SAMPLES }).flatMap((file) => {
    const { spec } = load(readFileSync(join(SAMPLES, file), 'utf8')) as { readonly spec: object }
    const limit = (spec as { component?: { globalSidecar?: { resources?: { limits?: { memory?: string } } } } }).component?.globalSidecar
      ?.resources?.limits?.memory
    return limit === undefined || file.includes('pilot') ? [] : [[file, limit] as const]
  })
  assert.ok(samples.length >= 4, String(samples.length))
  for (const [file, limit] of samples)
    assert.equal(memoryFinding({ clusters: 1000, endpoints: 10_000 }, { limit, isInjected: false }).level, 'ok', file)
})

describe('what it holds', () => {
  const object = (kind: string, name: string, more: object): MeshObjects['services'][number] => {
    const [namespace, own] = name.split('/') as [string, string]
    const { metadata = {}, ...rest } = more as { metadata?: object }
    return { apiVersion: 'v1', kind, metadata: { namespace, name: own, ...metadata }, ...rest }
  }
  const service = (name: string, ports: readonly (readonly [number, string?])[], exportTo?: string) =>
    object('Service', name, {
      metadata: exportTo === undefined ? {} : { annotations: { 'networking.istio.io/exportTo': exportTo } },
      spec: { ports: ports.map(([port, protocol]) => ({ port, ...(protocol === undefined ? {} : { protocol }) })) },
    })
  const slice = (name: string, of: string, count: number) =>
    object('EndpointSlice', name, {
      metadata: { labels: { 'kubernetes.io/service-name': of } },
      endpoints: Array.from({ length: count }, () => ({})),
    })
  const NONE: MeshObjects = { services: [], slices: [], entries: [], rules: [] }
  const seen = (objects: Partial<MeshObjects>, ports: readonly number[] | undefined = [80], exportTo?: readonly string[]) =>
    mostClusters({ ...NONE, ...objects }, [
      { namespace: 'a', ports: ports && new Set(ports), exportTo },
      { namespace: 'b', ports: ports && new Set(ports), exportTo },
    ])

  test('a cluster for each wormhole port of a Service, with the endpoints of all its slices', () => {
    const services = [service('a/x', [[80], [81]]), service('a/y', [[80]]), service('b/x', [[9000]]), service('b/dns', [[80, 'UDP']])]
    const slices = [slice('a/x-1', 'x', 2), slice('a/x-2', 'x', 3), slice('b/x-1', 'x', 7)]
    assert.deepEqual(seen({ services, slices }), { clusters: 2, endpoints: 5 })
    assert.deepEqual(seen({ services, slices }, [80, 81]), { clusters: 3, endpoints: 10 })
  })

  test('what other namespaces keep to themselves it does not hold; the place that holds most counts', () => {
    const services = [service('a/x', [[80]], '.'), service('b/x', [[80]], '.'), service('b/y', [[80]], 'b, c'), service('c/z', [[80]], '~')]
    assert.equal(seen({ services }).clusters, 2)
    const unsaid = [service('a/x', [[80]]), service('b/x', [[80]]), service('b/y', [[80]], '*')]
    assert.equal(seen({ services: unsaid }, [80], ['.']).clusters, 2)
    assert.equal(seen({ services: unsaid }).clusters, 3)
  })

  test('subsets of DestinationRules and hosts of ServiceEntries are clusters too', () => {
    const services = [service('a/x', [[80]])]
    const rules = ['x', 'x.a', 'x.a.svc.cluster.local'].map((host, index) =>
      object('DestinationRule', `a/r${index}`, { spec: { host, subsets: [{ name: 'v1' }, { name: 'v2' }] } }),
    )
    assert.deepEqual(seen({ services, rules, slices: [slice('a/x-1', 'x', 4)] }), { clusters: 3, endpoints: 8 })
    const entries = [object('ServiceEntry', 'a/e', { spec: { hosts: ['p.com', 'q.com'], ports: [{ number: 80 }, { number: 443 }] } })]
    assert.deepEqual(seen({ entries }), { clusters: 2, endpoints: 2 })
  })

  test('objects without any of this are no cluster', () =>
    assert.deepEqual(
      seen({
        services: [object('Service', 'a/x', {})],
        slices: [object('EndpointSlice', 'a/x', { endpoints: null })],
        entries: [object('ServiceEntry', 'a/e', {})],
        rules: [object('DestinationRule', 'a/r', { spec: {} })],
      }),
      { clusters: 0, endpoints: 0 },
    ))
})
