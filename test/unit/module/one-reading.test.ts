/** Operator and program read a module the same way: what the operator renders is what the program does, or both refuse with the same words. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ConfigError } from '../../../lazyload/config-error.ts'
import { type LazyloadConfig, loadConfig, parseConfig } from '../../../lazyload/config.ts'
import { SETTINGS } from '../../../module/settings.ts'
import { buildValues } from '../../../operator/spec/build-values.ts'
import { validate } from '../../../operator/spec/validate.ts'
import type { Values } from '../../../operator/spec/values.ts'
import type { Json, JsonObject } from '../../../runtime/object.ts'
import { bootWith, validSpec } from '../../helpers/specs.ts'

const RUNS = process.env['SLIMEBOOT_LONG'] === '1' ? 10_000 : 500
const MODES = { namespaced: 'namespace', cluster: 'cluster', none: 'no' } as const

/** Values of which some are right and some are not, for each place that a setting can be written in. */
const VALUES: Readonly<Record<string, fc.Arbitrary<Json>>> = {
  mode: fc.constantFrom<Json>('namespace', 'namespaced', 'Cluster', 'no', false, 'off', true, 'everywhere', 3),
  source: fc.constantFrom<Json>('prometheus', 'accesslog', 'rumour', 1),
  ports: fc.constantFrom<Json>([9080], ['80', 9080], [], ['http'], '9080', [0]),
  dispatches: fc.constantFrom<Json>([], [{ name: 'a', domains: ['*'], cluster: 'PassthroughCluster' }]),
  address: fc.constantFrom<Json>(':9090', 9091, '9092', '127.0.0.1:9093', '0', ':0', '0.0.0.0:9094', ':8080', 'here', ':80', '[::]:9095'),
  server: fc.constantFrom<Json>('http://prometheus:9090', 'prometheus:9090', 'https://a:%zz@b', 7),
  handlers: fc.constantFrom<Json>({ a: { query: 'x' } }, { a: {} }, {}, { a: { query: 'x{a="$namespace"}', aggregate: true } }, []),
  namespace: fc.constantFrom<Json>('slime-system', 'mesh-operator', 'Not A Namespace', 5),
  other: fc.constantFrom<Json>(
    true,
    'on',
    'no',
    0,
    3,
    '10s',
    '24h',
    'long',
    'a,b',
    ['a'],
    [{}],
    [{ pattern: '(' }],
    'info',
    'verbose',
    {},
    '',
  ),
}
const KIND_OF: Readonly<Partial<Record<keyof typeof SETTINGS, keyof typeof VALUES>>> = {
  mode: 'mode',
  source: 'source',
  ports: 'ports',
  dispatches: 'dispatches',
  logSourceAddress: 'address',
  auxAddress: 'address',
  metricsAddress: 'address',
  prometheusAddress: 'server',
  prometheusHandlers: 'handlers',
  istioNamespace: 'namespace',
  slimeNamespace: 'namespace',
  clusterGsNamespace: 'namespace',
}

const statement = fc
  .constantFrom(...Object.entries(SETTINGS).filter(([name]) => name !== 'name' && name !== 'kind'))
  .chain(([name, { places }]) =>
    fc.record({
      place: fc.constantFrom(...places),
      value: VALUES[KIND_OF[name as keyof typeof SETTINGS] ?? 'other']!,
    }),
  )
const anyModule = fc.array(statement, { maxLength: 5 }).map((statements) =>
  statements.reduce<JsonObject>((module, { place, value }) => withValue(module, place.split('.'), value), {
    name: 'lazyload',
    enable: true,
  }),
)
const anySpec = fc.record({
  module: anyModule,
  parts: fc.record(
    {
      namespace: fc.constantFrom('mesh-operator', 'slime-system'),
      istioNamespace: fc.constantFrom('istio-system', 'istio-config'),
      healthProbePort: fc.constantFrom(8081, 9191, 8080),
      logSourcePort: fc.constantFrom(8082, 9192, 8080),
      component: fc.constantFrom<Json>(null, { globalSidecar: { type: 'cluster' } }, { globalSidecar: { namespace: ['default'] } }),
    },
    { requiredKeys: [] },
  ),
})

function withValue(module: JsonObject, [key = '', ...rest]: readonly string[], value: Json): JsonObject {
  const inner = module[key]
  const map = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as JsonObject) : {}
  return { ...module, [key]: rest.length === 0 ? value : withValue(map, rest, value) }
}

test(`${RUNS} generated modules: the program does what the operator rendered`, () => {
  let accepted = 0
  fc.assert(
    fc.property(anySpec, ({ module, parts }) => {
      const boot = bootWith(validSpec({ ...parts, module: [module] }))
      if (validate(boot).errors.length > 0) return
      accepted++
      const values = buildValues(boot)
      assertSame(values, parseConfig(values.modules[0]!.config['cfg']!, 'cfg'))
    }),
    { numRuns: RUNS },
  )
  assert.ok(accepted > RUNS / 50, `${accepted} of them are accepted`)
})

test(`${RUNS} generated modules: what would end the program is refused by the operator, in the same words`, () => {
  fc.assert(
    fc.property(anyModule, (module) => {
      const refused = problemsOf(module)
      const errors = validate(bootWith(validSpec({ module: [module] }))).errors.map(({ message }) => message)
      // one error for a path: where the schema says it first, it says it in its own words
      for (const problem of refused) {
        const place = problem.slice(0, problem.indexOf(' '))
        const told = errors.filter((message) => parents(`spec.module[0].${place}`).some((path) => message.startsWith(`${path} `)))
        assert.ok(told.length > 0, `${problem}; the operator says ${errors.join(' ') || 'nothing'}`)
      }
    }),
    { numRuns: RUNS },
  )
})

test('the same words for a wrong duration, level, address and namespace', () => {
  const module = {
    name: 'lazyload',
    enable: true,
    fence: { wormholePort: [9080] },
    global: { log: { logLevel: 'verbose' }, misc: { metric_source_type: 'accesslog', 'metrics-addr': 'everywhere' } },
    general: {
      maxIdle: 'long',
      clusterGsNamespace: 'No Namespace',
      stableHost: ['not a host'],
      domainAliases: [{ pattern: '(', templates: ['x'] }],
    },
  }
  const errors = validate(bootWith(validSpec({ module: [module] }))).errors.map(({ message }) => message)
  assert.deepEqual(
    errors.toSorted(),
    problemsOf(module)
      .map((problem) => `spec.module[0].${problem}.`)
      .toSorted(),
  )
  assert.equal(errors.length, 6)
})

test('what the spec says elsewhere reaches the program', () => {
  const parts = { namespace: 'slime-system', istioNamespace: 'istio-config', healthProbePort: 9191, logSourcePort: 9192 }
  const module = { name: 'lazyload', enable: true, fence: { wormholePort: [9080] }, general: { metricSourceType: 'accesslog' } }
  const values = buildValues(bootWith(validSpec({ ...parts, module: [module], component: { globalSidecar: { type: 'cluster' } } })))
  const config = parseConfig(values.modules[0]!.config['cfg']!, 'cfg')
  assertSame(values, config)
  assert.deepEqual(
    [config.slimeNamespace, config.istioNamespace, config.mode, config.auxAddress?.port, config.logSource.address.port],
    ['slime-system', 'istio-config', 'cluster', 9191, 9192],
  )
  assert.ok(values.accessLogs.length > 0, 'global-sidecars send their logs')
})

for (const [title, module, parts, path] of [
  ['probes and program on two ports', { global: { misc: { 'aux-addr': ':9000' } } }, { healthProbePort: 9001 }, 'healthProbePort'],
  ['probes that the program does not answer', { global: { misc: { 'aux-addr': '0' } } }, {}, 'module[0].global.misc.aux-addr'],
  ['probes at another address', { global: { misc: { auxAddr: '127.0.0.1:8081' } } }, {}, 'module[0].global.misc.auxAddr'],
  ['logs to another address', { global: { misc: { log_source_port: '127.0.0.1:8082' } } }, {}, 'module[0].global.misc.log_source_port'],
  ['logs to another port', { global: { misc: { log_source_port: ':9000' } } }, { logSourcePort: 9001 }, 'logSourcePort'],
  ['logs and metrics on one port', {}, { logSourcePort: 8080 }, 'logSourcePort'],
  ['two modes', { general: { globalSidecarMode: 'cluster' } }, {}, 'component.globalSidecar.type'],
  ['two lists of ports', { general: { wormholePort: [80] } }, {}, 'module[0].fence.wormholePort'],
  ['two sources', { general: { metricSourceType: 'prometheus' } }, {}, 'module[0].global.misc.metric_source_type'],
] as const) {
  test(`refused: ${title}`, () => {
    const base = { name: 'lazyload', enable: true, fence: { wormholePort: [9080] }, global: { misc: { metric_source_type: 'accesslog' } } }
    const merged = {
      ...base,
      ...module,
      global: { misc: { ...base.global.misc, ...(module as { global?: { misc: object } }).global?.misc } },
    }
    const { errors } = validate(bootWith(validSpec({ ...parts, module: [merged] })))
    assert.deepEqual(
      errors.map((error) => error.path),
      [`spec.${path}`],
    )
  })
}

test('a bundle: the operator refuses what its program would not start with, and both read the same item', (context: {
  after: (done: () => void) => void
}) => {
  const item = (parts: JsonObject = {}): JsonObject => ({
    name: 'item',
    enable: true,
    mode: 'BundleItem',
    fence: { wormholePort: [9080] },
    ...parts,
  })
  const bundle = {
    name: 'bundle',
    enable: true,
    global: { misc: { metric_source_type: 'accesslog', log_source_port: ':9082' } },
    bundle: { modules: [{ name: 'item' }] },
  }
  const boot = (modules: readonly JsonObject[]) => bootWith(validSpec({ module: modules }))
  const paths = (modules: readonly JsonObject[]): readonly string[] => validate(boot(modules)).errors.map(({ path }) => path)
  assert.deepEqual(paths([bundle, item()]), [])
  assert.deepEqual(paths([bundle, item({ enable: false })]), ['spec.module[0].bundle.modules'])
  assert.deepEqual(paths([bundle]), ['spec.module[0].bundle.modules[0].name'])
  assert.deepEqual(paths([{ ...bundle, bundle: { modules: [{ name: 'item' }, { name: 'b' }] } }, item(), { ...item(), name: 'b' }]), [
    'spec.module[0].bundle.modules',
  ])
  assert.deepEqual(paths([{ ...bundle, global: { log: { logLevel: 'verbose' } } }, item()]), ['spec.module[0].global.log.logLevel'])

  const values = buildValues(boot([bundle, item()]))
  const folder = mkdtempSync(join(tmpdir(), 'cfg-'))
  context.after(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(values.modules[0]!.config)) writeFileSync(join(folder, name), text)
  const config = loadConfig(join(folder, 'cfg'))
  assert.deepEqual(
    [config.name, config.source, config.logSource.address.port, values.modules[0]!.ports.logSource],
    ['item', 'accesslog', 9082, 9082],
  )
})

function assertSame(values: Values, config: LazyloadConfig): void {
  const { ports } = values.modules[0]!
  assert.equal(config.mode, MODES[values.mode])
  assert.equal(config.auxAddress?.port, ports.probe)
  if (config.source === 'accesslog') assert.equal(config.logSource.address.port, ports.logSource)
  const raw = (values.raw['module'] as readonly JsonObject[])[0]!
  const said = (key: string): unknown => (raw['global'] as Readonly<Record<string, unknown>> | undefined)?.[key]
  if (said('slimeNamespace') === undefined) assert.equal(config.slimeNamespace, values.namespace)
  if (said('istioNamespace') === undefined) assert.equal(config.istioNamespace, values.istioNamespace)
  if (values.accessLogs.length > 0) assert.equal(config.source, 'accesslog')
}

/** What the program says against this module, one sentence each. */
function problemsOf(module: JsonObject): readonly string[] {
  try {
    parseConfig(JSON.stringify(module), 'cfg')
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.message
      .replace(/^cfg: /, '')
      .replace(/\. Correct spec\.module of the SlimeBoot\.$/, '')
      .split('; ')
      .filter((sentence) => /^[\w-]+(\.[\w-]+|\[\d+\])+ (must|is)/.test(sentence))
  }
}

function parents(path: string): readonly string[] {
  return [...[...path.matchAll(/[.[]/g)].map(({ index }) => path.slice(0, index)), path]
}
