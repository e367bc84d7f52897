/** Prometheus: queries, samples, rounds (spec 3.3, fixture 4). The client asks a server of the test's own over HTTP. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { eventually } from '../../helpers/eventually.ts'
import { freePort } from '../../../local-cluster/ports.ts'
import { decimalText } from '../../../lazyload/learn/metric-key.ts'
import { createPrometheusClient, type Sample } from '../../../lazyload/prometheus/client.ts'
import { appOf } from '../../../lazyload/prometheus/callers.ts'
import type { Finding } from '../../../lazyload/prometheus/finding.ts'
import { type HostLookup, keyOfSample, readSamples } from '../../../lazyload/prometheus/metric-status.ts'
import { createPoller } from '../../../lazyload/prometheus/poller.ts'
import { type Caller, fillQuery, splitByFence } from '../../../lazyload/prometheus/query.ts'

const callerOf = (key: string): Caller => ({ key, app: key.split('/')[1]! })
const sample = (labels: Readonly<Record<string, string>>, value = '1'): Sample => ({ labels, value })

test('variables are filled in wherever they are', () => {
  assert.equal(
    fillQuery('x{a="$source_app",n="$namespace",b="$source_app"}', 'default', 'productpage'),
    'x{a="productpage",n="default",b="productpage"}',
  )
})

test("a query that knows callers by name alone is narrowed where the name is not unique, as the tutorial's", () => {
  const tutorial = 'sum(istio_requests_total{source_app="$source_app",reporter="destination"})by(destination_service)'
  assert.equal(
    fillQuery(tutorial, 'shop', 'web', false),
    'sum(istio_requests_total{source_app="web",source_workload_namespace="shop",reporter="destination"})by(destination_service)',
  )
  assert.equal(
    fillQuery(tutorial, 'shop', 'web', true),
    'sum(istio_requests_total{source_app="web",reporter="destination"})by(destination_service)',
  )
  for (const own of ['x{source_app="$source_app",ns="$namespace"}', `x{source_app="$source_app",source_workload_namespace=~"shop|a"}`])
    assert.equal(fillQuery(own, 'shop', 'web', false), fillQuery(own, 'shop', 'web', true), 'it says itself which namespace it means')
})

test('a sample is written as Prometheus writes its labels', () => {
  assert.equal(
    keyOfSample(sample({ destination_service: 'reviews.default.svc.cluster.local' })),
    '{destination_service="reviews.default.svc.cluster.local"}',
  )
  assert.equal(keyOfSample(sample({ b: 'y', a: 'x "q"', __name__: 'm' })), 'm{a="x \\"q\\"", b="y"}')
  assert.equal(keyOfSample(sample({ __name__: 'm' })), 'm')
  assert.equal(keyOfSample(sample({})), '{}')
})

test('values are decimal, without exponent', () => {
  assert.deepEqual([3, 2.5, 1e21, 1e-7].map(decimalText), ['3', '2.5', '1000000000000000000000', '0.0000001'])
})

/** A mesh that knows every Service but `gone`. */
const LOOKUP: HostLookup = {
  isExternal: () => false,
  resolve: (name, namespace) =>
    name.startsWith('gone') ? undefined : name.includes('.') ? name : `${name}.${namespace}.svc.cluster.local`,
}

test('samples tell of the hosts that the mesh knows; the others are named, but not learned', () => {
  const samples = [
    sample({ destination_service: 'reviews' }, '2.5'),
    sample({ destination_service: 'unknown' }),
    sample({ destination_service: 'gone.shop.svc.cluster.local:80' }),
    sample({ destination_service: 'my_service' }),
    sample({ destination_service: 'a"b' }),
    sample({ destination_service: 'gone.com' }),
  ]
  const { hosts, named, unreadable } = readSamples(samples, 'default', LOOKUP)
  assert.deepEqual([...hosts], [['reviews.default.svc.cluster.local', 2.5]])
  assert.deepEqual(
    [...named],
    ['reviews.default.svc.cluster.local', 'gone.shop.svc.cluster.local', 'gone.com.svc.cluster.local', 'gone.com'],
  )
  assert.equal(unreadable, undefined)
})

test('a sample without labels is a series without a destination, unless the query gives nothing else', () => {
  const some = readSamples([sample({ destination_service: 'reviews' }), sample({})], 'default', LOOKUP)
  assert.deepEqual([some.named.size, some.unreadable], [1, undefined])
  assert.equal(readSamples([sample({})], 'default', LOOKUP).unreadable, '{}')
})

for (const labels of [{ code: '200' }, { destination_service: 'a', code: '200' }, { __name__: 'm', destination_service: 'a' }])
  test(`a sample ${keyOfSample(sample(labels))} is not readable`, () => {
    const reading = readSamples([sample({ destination_service: 'reviews' }), sample(labels)], 'default', LOOKUP)
    assert.deepEqual([[...reading.hosts.keys()], reading.unreadable], [['reviews.default.svc.cluster.local'], keyOfSample(sample(labels))])
  })

test('samples of an aggregated query go to the fence that their labels name', () => {
  const of = (source_app: string, source_workload_namespace?: string): Sample =>
    sample({ destination_service: 'x', source_app, ...(source_workload_namespace === undefined ? {} : { source_workload_namespace }) })
  const fences = [callerOf('one/a'), callerOf('two/a'), callerOf('one/b'), { key: 'one/b-headless', app: 'b' }, callerOf('one/idle')]
  const share = splitByFence([of('a', 'one'), of('a', 'two'), of('b', 'one'), of('b'), of('a'), of('nobody', 'one')], fences)
  assert.deepEqual(
    fences.map((fence) => [fence.key, share(fence).samples.length, share(fence).problem?.reason]),
    [
      ['one/a', 1, 'UnattributedSamples'],
      ['two/a', 1, 'UnattributedSamples'],
      ['one/b', 2, undefined],
      ['one/b-headless', 2, undefined],
      ['one/idle', 0, undefined],
    ],
  )
  assert.deepEqual(share(fences[0]!).samples, [sample({ destination_service: 'x' })])
})

test('an aggregated query that does not say whose its samples are is no answer for anybody', () => {
  const share = splitByFence([sample({ destination_service: 'x' })], [callerOf('one/a')])
  assert.equal(share(callerOf('one/a')).problem?.reason, 'UnattributedSamples')
  assert.equal(splitByFence([], [callerOf('one/a')])(callerOf('one/a')).problem, undefined)
})

test('a fence is asked for by the label of its pods, which need not be its name', () => {
  assert.equal(appOf('cart-svc', { app: 'cart' }, 'app'), 'cart')
  assert.equal(appOf('cart-svc', { name: 'cart' }, 'app'), 'cart-svc')
  assert.equal(appOf('cart-svc', undefined, 'app'), 'cart-svc')
  assert.equal(appOf('cart-svc', { app: '"} or vector(1) or x{a="' }, 'app'), 'cart-svc', 'no value of a label can be')
})

let answer: (query: string) => { readonly code?: number; readonly body: unknown } = () => ({ body: {} })
const asked: string[] = []
let open = 0
let mostOpen = 0
const server = createServer((request, response) => {
  const query = new URL(request.url!, 'http://x').searchParams.get('query')!
  asked.push(query)
  mostOpen = Math.max(mostOpen, ++open)
  setTimeout(() => {
    open--
    const { code = 200, body } = answer(query)
    response.writeHead(code).end(typeof body === 'string' ? body : JSON.stringify(body))
  }, 5)
})
before(async () => await once(server.listen(0, '127.0.0.1'), 'listening'))
after(() => server.close())

const vector = (...hosts: string[]): unknown => ({
  status: 'success',
  data: { resultType: 'vector', result: hosts.map((destination_service) => ({ metric: { destination_service }, value: [1, '3'] })) },
})
const client = (): ReturnType<typeof createPrometheusClient> =>
  createPrometheusClient({
    address: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/base/`),
    authorization: undefined,
    timeoutMs: 2000,
  })

test('a query gives samples and warnings, or an error that says why', async () => {
  const { signal } = new AbortController()
  answer = () => ({ body: { ...(vector('a') as object), warnings: ['half of it'] } })
  assert.deepEqual(await client().query('q', signal), { samples: [sample({ destination_service: 'a' }, '3')], warnings: ['half of it'] })
  for (const [body, code, said] of [
    [{ status: 'error', errorType: 'bad_data', error: 'parse error' }, 400, /bad_data: parse error/],
    ['<html>gateway</html>', 502, /HTTP 502 without JSON/],
    [{ status: 'success', data: { resultType: 'scalar', result: [1, '1'] } }, 200, /must give a vector/],
  ] as const) {
    answer = () => ({ code, body })
    await assert.rejects(client().query('q', signal), said)
  }
  const nobody = createPrometheusClient({
    address: new URL(`http://127.0.0.1:${await freePort()}`),
    authorization: undefined,
    timeoutMs: 2000,
  })
  await assert.rejects(nobody.query('q', signal), /ECONNREFUSED/)
})

interface Round {
  readonly findings: ReadonlyMap<string, Finding>
  readonly asked: readonly string[]
  /** Of the poller, after the round. */
  readonly problem: string | undefined
}

async function round(
  fences: readonly string[],
  handlers: readonly { readonly query: string; readonly aggregate?: boolean }[],
  concurrency = 4,
  knowsHosts: (key: string) => boolean = () => false,
): Promise<Round> {
  asked.length = 0
  mostOpen = 0
  const stop = new AbortController()
  const findings = new Map<string, Finding>()
  const done = Promise.withResolvers<void>()
  const poller = createPoller({
    client: client(),
    config: {
      handlers: handlers.map((handler, index) => ({ name: `h${index}`, aggregate: false, ...handler })),
      intervalMs: 60_000,
      recoveryMs: 0,
      concurrency,
    },
    callers: () => fences.map(callerOf),
    ...LOOKUP,
    knowsHosts,
    onHosts: () => {},
    onFinding: (key, finding) => {
      findings.set(key, finding)
      if (findings.size === fences.length) done.resolve()
    },
  })
  const running = poller.run(stop.signal)
  await done.promise
  // the end of the round is after its last finding
  await new Promise(setImmediate)
  stop.abort()
  await running
  return { findings, asked: [...asked], problem: poller.problem() }
}

test('one query per fence and handler, several at once but not more than allowed', async () => {
  answer = (query) => ({ body: vector(query.startsWith('http') ? 'details' : 'ratings') })
  const fences = Array.from({ length: 20 }, (_, index) => `default/app${index}`)
  const { findings, asked: queries } = await round(fences, [{ query: 'http $source_app' }, { query: 'tcp $source_app' }], 3)
  assert.equal(queries.length, 40)
  assert.equal(mostOpen, 3)
  assert.deepEqual(
    [...findings.get('default/app7')!.hosts],
    [
      ['details.default.svc.cluster.local', 3],
      ['ratings.default.svc.cluster.local', 3],
    ],
  )
  assert.equal(findings.get('default/app7')!.complete, true)
})

test('a failure or a warning harms only its fence', async () => {
  answer = (query) => {
    if (query.includes('bad')) return { code: 422, body: { status: 'error', errorType: 'execution', error: 'too many' } }
    return { body: query.includes('half') ? { ...(vector('details') as object), warnings: ['partial'] } : vector('details') }
  }
  const { findings } = await round(['n/bad', 'n/half', 'n/good'], [{ query: '$source_app' }])
  assert.deepEqual(
    ['n/bad', 'n/good', 'n/half'].map((key) => [key, findings.get(key)?.complete, findings.get(key)?.hosts.size]),
    [
      ['n/bad', false, 0],
      ['n/good', true, 1],
      ['n/half', false, 1],
    ],
  )
  assert.match(findings.get('n/bad')!.problem!.message, /too many/)
})

test('Prometheus is called away when nobody answers, not when a query is wrong or has no answer of its own', async () => {
  const gateway = { code: 504, body: '<html>' }
  answer = (query) => (query.includes('slow') ? gateway : { body: vector('details') })
  assert.equal((await round(['n/a', 'n/b', 'n/slow'], [{ query: '$source_app' }], 1)).problem, undefined)
  answer = () => ({ code: 400, body: { status: 'error', errorType: 'bad_data', error: 'parse error' } })
  const { problem, findings } = await round(['n/a'], [{ query: '$source_app' }])
  assert.deepEqual([problem, findings.get('n/a')?.complete], [undefined, false])
  answer = () => gateway
  assert.match((await round(['n/a', 'n/b'], [{ query: '$source_app' }])).problem ?? '', /HTTP 504 without JSON/)
})

test('where nobody answers a round ends early, and every fence has the reason', async () => {
  answer = () => ({ code: 504, body: '<html>' })
  const fences = Array.from({ length: 200 }, (_, index) => `n/f${index}`)
  const { findings, asked: queries } = await round(fences, [{ query: '$source_app' }], 4)
  assert.ok(queries.length < 30, `${queries.length} queries`)
  assert.deepEqual(
    [...findings.values()].filter(({ complete, problem, hosts }) => complete || problem === undefined || hosts.size > 0),
    [],
  )
})

const NOTHING = vector()
const reasons = ({ findings }: Round): unknown =>
  [...findings.keys()].sort().map((key) => [key, findings.get(key)?.complete, findings.get(key)?.problem?.reason])

test('a round without a sample for any fence that knows hosts proves nothing; one sample makes it an answer', async () => {
  const knows = (key: string): boolean => key !== 'n/new'
  answer = (query) => ({ body: query === 'new' ? vector('details') : NOTHING })
  assert.deepEqual(reasons(await round(['n/a', 'n/b', 'n/new'], [{ query: '$source_app' }], 4, knows)), [
    ['n/a', false, 'NoSamples'],
    ['n/b', false, 'NoSamples'],
    ['n/new', true, undefined],
  ])
  answer = (query) => ({ body: query === 'b' ? vector('details') : NOTHING })
  assert.deepEqual(reasons(await round(['n/a', 'n/b'], [{ query: '$source_app' }], 4, knows)), [
    ['n/a', true, undefined],
    ['n/b', true, undefined],
  ])
})

test('where only one fence knows hosts its empty answer is taken at its word, a failed one is not', async () => {
  const knows = (key: string): boolean => key === 'n/a'
  answer = () => ({ body: NOTHING })
  assert.deepEqual(reasons(await round(['n/a', 'n/new'], [{ query: '$source_app' }], 4, knows)), [
    ['n/a', true, undefined],
    ['n/new', true, undefined],
  ])
  answer = (query) => (query === 'a' ? { code: 500, body: 'no' } : { body: NOTHING })
  assert.deepEqual(reasons(await round(['n/a', 'n/new'], [{ query: '$source_app' }], 4, knows)), [
    ['n/a', false, 'QueryFailed'],
    ['n/new', true, undefined],
  ])
})

test('absence is evidence only where half of the fences that know hosts have samples; new fences do not count', async () => {
  const knows = (key: string): boolean => !key.startsWith('new')
  const fences = ['n/a', 'n/b', 'n/c', 'new/d', 'new/e']
  answer = (query) => ({ body: ['a', 'd', 'e'].includes(query) ? vector('details') : NOTHING })
  assert.deepEqual(reasons(await round(fences, [{ query: '$source_app' }], 4, knows)), [
    ['n/a', false, undefined],
    ['n/b', false, 'NoSamples'],
    ['n/c', false, 'NoSamples'],
    ['new/d', true, undefined],
    ['new/e', true, undefined],
  ])
  answer = (query) => ({ body: ['a', 'b'].includes(query) ? vector('details') : NOTHING })
  const half = await round([...fences, 'n/f'], [{ query: '$source_app' }], 4, knows)
  assert.deepEqual(
    [...half.findings.values()].filter(({ complete }) => !complete),
    [],
  )
})

for (const [what, wrong] of [
  ['has lost its data', { body: vector() }],
  ['was away', { code: 504, body: '<html>' }],
] as const)
  test(`a Prometheus that ${what} teaches at once when it is back, and is no evidence of absence for a while`, async (t) => {
    const stop = new AbortController()
    t.after(() => stop.abort())
    const right = { body: vector('details') }
    const complete = new Map<string, boolean>()
    const taught: string[] = []
    let clock = 0
    let rounds = 0
    answer = () => right
    const poller = createPoller({
      client: client(),
      config: { handlers: [{ name: 'h', query: '$source_app', aggregate: false }], intervalMs: 10, recoveryMs: 300_000, concurrency: 4 },
      callers: () => {
        rounds++
        return ['n/a', 'n/b'].map(callerOf)
      },
      ...LOOKUP,
      knowsHosts: () => true,
      onHosts: (key, hosts) => void taught.push(`${key} ${[...hosts.keys()].join()}`),
      onFinding: (key, finding) => void complete.set(key, finding.complete),
      now: () => clock,
    })
    const running = poller.run(stop.signal)
    /** After a round that began with what is so now. */
    const evidence = async (): Promise<readonly boolean[]> => {
      const enough = rounds + 2
      await eventually(() => assert.ok(rounds >= enough))
      return [...complete.values()]
    }
    assert.deepEqual(await evidence(), [true, true], 'it never failed')
    answer = () => wrong
    assert.deepEqual(await evidence(), [false, false])
    answer = () => right
    clock += 299_999
    taught.length = 0
    assert.deepEqual(await evidence(), [false, false])
    assert.ok(taught.includes('n/a details.n.svc.cluster.local'))
    clock += 300_000
    assert.deepEqual(await evidence(), [true, true])
    stop.abort()
    await running
  })

test('an answer that cannot be read is not complete, and what can be read of it is learned', async () => {
  answer = () => ({
    body: {
      status: 'success',
      data: {
        resultType: 'vector',
        result: [
          { metric: { destination_service: 'details' }, value: [1, '1'] },
          { metric: { destination_service: 'reviews', code: '200' }, value: [1, '1'] },
        ],
      },
    },
  })
  const found = await round(['n/a'], [{ query: '$source_app' }])
  assert.deepEqual(reasons(found), [['n/a', false, 'UnreadableSamples']])
  assert.deepEqual([...found.findings.get('n/a')!.hosts.keys()], ['details.n.svc.cluster.local'])
})

test('a fence that is asked for alone is judged by itself: what it lacks is seen in the next round', async () => {
  answer = () => ({ body: NOTHING })
  const stop = new AbortController()
  const told: string[] = []
  let known: readonly string[] = ['n/a', 'n/b']
  const queries = (): string => [...asked].sort().join(' ')
  asked.length = 0
  const poller = createPoller({
    client: client(),
    config: { handlers: [{ name: 'h', query: '$source_app', aggregate: false }], intervalMs: 60_000, recoveryMs: 0, concurrency: 4 },
    callers: () => known.map(callerOf),
    ...LOOKUP,
    knowsHosts: (key) => key !== 'n/c',
    onHosts: () => {},
    onFinding: (key, { problem }) => void told.push(`${key} ${problem?.reason}`),
  })
  const running = poller.run(stop.signal)
  await eventually(() => assert.deepEqual([...told].sort(), ['n/a NoSamples', 'n/b NoSamples']))
  told.length = 0
  known = [...known, 'n/c']
  for (const key of ['n/a', 'n/c', 'n/gone']) poller.askSoon(key)
  await eventually(() => assert.equal(queries(), 'a a b c'))
  await eventually(() => assert.deepEqual(told, ['n/c undefined']))
  stop.abort()
  await running
  assert.deepEqual(told, ['n/c undefined'])
})

test('an aggregated query is asked once for all fences', async () => {
  answer = () => ({
    body: {
      status: 'success',
      data: {
        resultType: 'vector',
        result: [{ metric: { destination_service: 'details', source_app: 'a', source_workload_namespace: 'n' }, value: [1, '1'] }],
      },
    },
  })
  const { findings, asked: queries } = await round(
    ['n/a', 'n/b'],
    [{ query: 'sum(x)by(destination_service,source_app,source_workload_namespace)', aggregate: true }],
  )
  assert.equal(queries.length, 1)
  assert.deepEqual(
    [...findings].map(([key, { hosts }]) => [key, [...hosts.keys()]]),
    [
      ['n/a', ['details.n.svc.cluster.local']],
      ['n/b', []],
    ],
  )
})
