/** The configuration: old and newer names, text and booleans, defaults key by key, all problems at once (spec 6, fixtures 9 and 10). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, type LazyloadConfig, loadConfig, parseConfig } from '../../../lazyload/config.ts'

const parse = (config: unknown): LazyloadConfig => parseConfig(JSON.stringify(config), 'cfg')
const misc = (values: object): unknown => ({ global: { misc: { metric_source_type: 'accesslog', ...values } } })
const PROMETHEUS = {
  prometheus: {
    address: 'http://prometheus.istio-system:9090',
    handlers: { destination: { query: 'sum(x{source_app="$source_app"})by(destination_service)\n', type: 'Group' } },
  },
}

test("the tutorial's accesslog snippet is enough: every other key has its default", () => {
  const config = parse({
    name: 'lazyload',
    enable: true,
    fence: { wormholePort: ['9080'] },
    global: { misc: { metric_source_type: 'accesslog' } },
  })
  assert.deepEqual(
    { ...config, log: config.log.level },
    {
      name: 'lazyload',
      serviceLabel: 'app',
      istioNamespace: 'istio-system',
      slimeNamespace: 'mesh-operator',
      mode: 'namespace',
      clusterGsNamespace: undefined,
      revisions: { names: [], strict: false },
      source: 'accesslog',
      prometheus: undefined,
      logSource: { address: { port: 8082 }, checkPeers: true },
      auxAddress: { port: 8081 },
      metricsAddress: { port: 8080 },
      leaderElection: undefined,
      log: 'info',
      autoFence: { enabled: true, defaultFence: false, included: [], excluded: [] },
      stableHosts: [],
      aliases: [],
      maxIdleMs: undefined,
    },
  )
})

test('the log file has defaults key by key, compression among them; 0 counts as absent', () => {
  const rotation = (logRotateConfig: object): unknown =>
    parse({ ...(misc({}) as object), global: { misc: { metric_source_type: 'accesslog' }, log: { logRotate: true, logRotateConfig } } }).log
      .rotate
  assert.deepEqual(rotation({ maxSizeMB: 5 }), { file: '/tmp/log/slime.log', maxSizeMB: 5, maxBackups: 10, maxAgeDays: 10, compress: true })
  assert.deepEqual(rotation({ maxSizeMB: 0, filePath: '', compress: false, maxAgeDay: 3 }), {
    file: '/tmp/log/slime.log',
    maxSizeMB: 100,
    maxBackups: 10,
    maxAgeDays: 3,
    compress: false,
  })
})

for (const [value, mode] of [
  [false, 'no'],
  ['no', 'no'],
  ['false', 'no'],
  ['off', 'no'],
  ['none', 'no'],
  ['cluster', 'cluster'],
  ['namespace', 'namespace'],
  ['namespaced', 'namespace'],
] as const) {
  test(`global-sidecar-mode ${JSON.stringify(value)} is ${mode}`, () => {
    assert.equal(parse(misc({ 'global-sidecar-mode': value })).mode, mode)
    assert.equal(parse({ ...(misc({}) as object), general: { globalSidecarMode: value } }).mode, mode)
  })
}

test('newer names of keys are understood', () => {
  const config = parse({
    global: { misc: { enableLeaderElection: 'on', logSourcePort: ':9082' } },
    general: { metricSourceType: 'accesslog', autoFence: false, defaultFence: true },
  })
  assert.deepEqual(
    [config.leaderElection, config.logSource.address.port, config.source, config.autoFence.enabled, config.autoFence.defaultFence],
    [true, 9082, 'accesslog', false, true],
  )
})

test('what YAML 1.1 makes of on and of numbers is understood', () => {
  const config = parse(misc({ 'enable-leader-election': true, log_source_port: 8092, 'aux-addr': '127.0.0.1:8091', 'metrics-addr': '0' }))
  assert.deepEqual(
    [config.leaderElection, config.logSource.address, config.auxAddress, config.metricsAddress],
    [true, { port: 8092 }, { host: '127.0.0.1', port: 8091 }, undefined],
  )
  assert.equal(parse(misc({ 'enable-leader-election': 'off' })).leaderElection, false)
})

test('numbers among the wormhole ports harm nobody', () => {
  assert.equal(parse({ ...(misc({}) as object), fence: { wormholePort: [9080, '9080', 8080] } }).source, 'accesslog')
})

test('Prometheus: address, user, handlers', () => {
  const { prometheus } = parse({
    metric: { prometheus: { ...PROMETHEUS.prometheus, address: 'https://me:s%20t@prometheus.example.com/base' } },
  })
  assert.equal(prometheus?.address.href, 'https://prometheus.example.com/base')
  assert.equal(prometheus?.authorization, `Basic ${Buffer.from('me:s t').toString('base64')}`)
  assert.deepEqual(prometheus?.handlers, [
    { name: 'destination', query: 'sum(x{source_app="$source_app"})by(destination_service)', aggregate: false },
  ])
})

test('everything that is wrong is told at once, with its place', () => {
  const wrong = {
    global: {
      strictRev: 'perhaps',
      misc: { 'global-sidecar-mode': 'everywhere', metric_source_type: 'rumour', log_source_port: 'eighty' },
      log: { logRotate: true, logRotateConfig: { maxBackups: -1 } },
    },
    metric: { prometheus: { address: 'prometheus:9090', handlers: { a: {}, b: { query: 'x{a="$source_app"}', aggregate: true } } } },
    general: { maxIdle: 'long', domainAliases: [{ pattern: '(' }] },
  }
  assert.throws(
    () => parse(wrong),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError)
      for (const place of [
        'global.strictRev',
        'global.misc.global-sidecar-mode',
        'global.misc.metric_source_type',
        'global.misc.log_source_port',
        'global.log.logRotateConfig.maxBackups',
        'metric.prometheus.address',
        'handlers.a.query is required',
        'handlers.b.query is asked once',
        'general.maxIdle',
        'general.domainAliases[0].pattern',
      ])
        assert.ok(error.message.includes(place), `${place} is not in: ${error.message}`)
      return true
    },
  )
})

test('Prometheus, which is the default, needs address and query', () => {
  assert.throws(() => parse({}), /metric\.prometheus\.address is required.*handlers is required/)
  assert.equal(parse({ metric: PROMETHEUS }).source, 'prometheus')
})

test('two names for one thing must say the same', () => {
  assert.throws(
    () => parse({ ...(misc({ 'global-sidecar-mode': 'no' }) as object), general: { globalSidecarMode: 'cluster' } }),
    /said twice/,
  )
  assert.throws(() => parse(misc({ log_source_port: ':1', logSourcePort: ':2' })), /log_source_port is ":1" but/)
})

test('a text that is no object, or no JSON, is an error with the name of the file', () => {
  assert.throws(() => parseConfig('[]', 'cfg'), /cfg: the configuration must be an object/)
  assert.throws(() => loadConfig(import.meta.filename), ConfigError)
})
