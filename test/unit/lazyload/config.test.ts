/** The configuration: old and newer names, text and booleans, defaults key by key, all problems at once (spec 6, fixtures 9 and 10). */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type LazyloadConfig, loadConfig, parseConfig } from '../../../lazyload/config.ts'
import { ConfigError } from '../../../lazyload/config-error.ts'

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
      namespaces: [],
      servedElsewhere: [],
      revisions: { names: [], strict: false },
      source: 'accesslog',
      prometheus: undefined,
      logSource: { address: { port: 8082 }, checkPeers: true },
      auxAddress: { port: 8081 },
      metricsAddress: { port: 8080 },
      leaderElection: undefined,
      log: 'info',
      autoFence: { enabled: true, defaultFence: false, included: [], excluded: [], selectors: undefined, graceMs: 10_000 },
      keep: 'all',
      ports: [9080],
      stableHosts: [],
      aliases: [],
      maxIdleMs: undefined,
      notRun: [],
      unknown: [],
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
      istioNamespace: 'Istio System',
      service: 'app name',
      misc: { 'global-sidecar-mode': 'everywhere', metric_source_type: 'rumour', log_source_port: 'eighty' },
      log: { logRotate: true, logRotateConfig: { maxBackups: -1 } },
    },
    metric: { prometheus: { address: 'prometheus:9090', handlers: { a: {}, b: { query: 'x{a="$source_app"}', aggregate: true } } } },
    general: {
      maxIdle: 'long',
      domainAliases: [{ pattern: '(' }],
      stableHost: ['fine.example.com', 'not a host'],
      managementSelectors: [{ matchExpressions: [{ key: 'env', operator: 'Is', values: ['prod'] }] }, { matchLabels: { 'a b': 'c' } }],
    },
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
        'general.domainAliases[0].templates',
        'general.stableHost[1]',
        'general.managementSelectors[0].matchExpressions[0].operator',
        'general.managementSelectors[1].matchLabels',
        'global.istioNamespace',
        'global.service',
      ])
        assert.ok(error.message.includes(place), `${place} is not in: ${error.message}`)
      return true
    },
  )
})

test('Prometheus needs address and query where anything is said of it; a module that says nothing of it runs without', () => {
  assert.throws(() => parse(misc({ metric_source_type: 'prometheus' })), /metric\.prometheus\.address is required.*handlers is required/)
  assert.throws(() => parse({ general: { metricSourceType: 'prometheus' } }), /metric\.prometheus\.address is required/)
  assert.throws(() => parse({ metric: { prometheus: { address: 'http://p:9090' } } }), /metric\.prometheus\.handlers is required/)
  assert.throws(() => parse({ metric: { prometheus: { handlers: PROMETHEUS.prometheus.handlers } } }), /metric\.prometheus\.address is/)
  assert.equal(parse({}).prometheus, undefined)
  assert.equal(parse({ metric: PROMETHEUS }).source, 'prometheus')
})

test('two names for one thing must say the same', () => {
  assert.throws(
    () => parse({ ...(misc({ 'global-sidecar-mode': 'no' }) as object), general: { globalSidecarMode: 'cluster' } }),
    /global\.misc\.global-sidecar-mode is "no" but general\.globalSidecarMode is "cluster"; write one of them/,
  )
  assert.throws(() => parse(misc({ log_source_port: ':1', logSourcePort: ':2' })), /log_source_port is ":1" but/)
  assert.equal(parse({ ...(misc({ 'global-sidecar-mode': false }) as object), general: { globalSidecarMode: 'no' } }).mode, 'no')
})

test('a problem is told once', () => {
  const wrong = { global: { misc: { metric_source_type: 'accesslog', metricSourceType: 'prometheus', 'global-sidecar-mode': 'x' } } }
  assert.throws(
    () => parse(wrong),
    ({ message }: Error) => ['metric_source_type', 'global-sidecar-mode'].every((key) => message.split(`global.misc.${key} `).length === 2),
  )
})

test('verbosity of the Kubernetes client: 5 unless it is said, 0 counts as absent', () => {
  const verbosity = (log: object): number => parse({ global: { misc: { metric_source_type: 'accesslog' }, log } }).log.requestVerbosity
  assert.deepEqual([{}, { klogLevel: 0 }, { klogLevel: 8 }, { klogLevel: '6' }].map(verbosity), [5, 5, 8, 6])
})

test('settings that nobody reads are known, so that they can be told', () => {
  const general = { supportH2: true, maxIdle: '1h', prometheusIntervall: '5s', wormholePort: ['80'], domainAliases: [] }
  assert.deepEqual(parse({ ...(misc({}) as object), general }).unknown, ['general.supportH2', 'general.prometheusIntervall'])
})

test('a duration has a unit and is not 0', () => {
  const maxIdle = (value: unknown): number | undefined => parse({ ...(misc({}) as object), general: { maxIdle: value } }).maxIdleMs
  assert.deepEqual(['500ms', '1.5s', '5m', '24h', ''].map(maxIdle), [500, 1500, 300_000, 86_400_000, undefined])
  for (const wrong of ['0s', '5', 5, '-1s', 'soon'])
    assert.throws(() => maxIdle(wrong), /general\.maxIdle must be a duration/, String(wrong))
})

test('rounds of queries are at most a day apart, and a host is missed by two answers at least', () => {
  const timesOf = (general: object): readonly unknown[] => {
    const { prometheus } = parse({ metric: PROMETHEUS, general })
    return [prometheus?.intervalMs, prometheus?.absenceMs]
  }
  assert.deepEqual(timesOf({}), [30_000, 24_000])
  assert.deepEqual(timesOf({ prometheusInterval: '4m', prometheusAbsence: '1m' }), [240_000, 192_000])
  assert.deepEqual(timesOf({ prometheusAbsence: '5m' }), [30_000, 300_000])
  for (const key of ['prometheusInterval', 'prometheusTimeout'])
    assert.throws(() => timesOf({ [key]: '600h' }), new RegExp(`general\\.${key} must be at most 24h, got "600h"`))
})

test('a module of another kind is refused', () => {
  assert.throws(() => parse({ ...(misc({}) as object), kind: 'limiter' }), /kind is "limiter"; this program runs modules of kind lazyload/)
  assert.equal(parse({ ...(misc({}) as object), kind: 'lazyload' }).source, 'accesslog')
})

/** Writes the files of a mounted ConfigMap; returns the path of `cfg`. */
function mounted(t: TestContext, files: Readonly<Record<string, unknown>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'cfg-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), `${JSON.stringify(content)}\n`)
  return join(folder, 'cfg')
}
const bundle = (...names: readonly string[]): object => ({
  name: 'bundle',
  enable: true,
  bundle: { modules: names.map((name) => ({ name })) },
  global: { service: 'bundled', log: { logLevel: 'debug' }, misc: { metric_source_type: 'accesslog', 'aux-addr': ':9081' } },
})

test('of a bundle the lazyload item runs; its own settings count before those of the bundle, key by key', (t) => {
  const file = mounted(t, {
    cfg: bundle('limits', 'fences', 'off'),
    cfg_limits: { name: 'limits', enable: true, kind: 'limiter', mode: 'BundleItem' },
    cfg_fences: {
      name: 'fences',
      enable: true,
      mode: 'BundleItem',
      fence: { enable: true },
      global: { istioRev: '1-10', log: null, misc: { 'aux-addr': ':7081' } },
    },
    cfg_off: { name: 'off', enable: false, kind: 'lazyload' },
  })
  const config = loadConfig(file)
  assert.deepEqual(
    [config.name, config.serviceLabel, config.source, config.auxAddress, config.revisions.names, config.log.level, config.notRun],
    ['fences', 'bundled', 'accesslog', { port: 7081 }, ['1-10'], 'debug', ['limits']],
  )
})

for (const [what, files, said] of [
  [
    'no lazyload item',
    { cfg: bundle('a'), cfg_a: { enable: true, kind: 'plugin' } },
    /bundle\.modules names no enabled module of kind lazyload/,
  ],
  [
    'two lazyload items',
    { cfg: bundle('a', 'b'), cfg_a: { enable: true }, cfg_b: { enable: true } },
    /bundle\.modules names several modules of kind lazyload: a, b/,
  ],
  ['an item without a file', { cfg: bundle('a') }, /bundle\.modules\[0\]\.name is "a", and there is no such module/],
  ['a name that is no file', { cfg: bundle('../cfg') }, /bundle\.modules\[0\]\.name must be/],
  ['a mistake in the item', { cfg: bundle('a'), cfg_a: { enable: true, general: { maxIdle: 'x' } } }, /cfg_a: general\.maxIdle/],
] as const) {
  test(`a bundle with ${what} is refused`, (t) => assert.throws(() => loadConfig(mounted(t, files)), said))
}

test('a text that is no object, or no JSON, is an error with the name of the file', () => {
  assert.throws(() => parseConfig('[]', 'cfg'), /cfg: must be an object/)
  assert.throws(() => loadConfig(import.meta.filename), ConfigError)
})
