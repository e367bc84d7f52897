/** SlimeBoots in the form of today's upstream chart install a working lazyload; what means nothing here is told once; convert writes them anew. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../../lazyload/config.ts'
import { compile } from '../../../operator/controller/compile.ts'
import { convertSpec } from '../../../operator/spec/convert.ts'
import { validate } from '../../../operator/spec/validate.ts'
import type { Json, JsonObject, KubeObject } from '../../../runtime/object.ts'
import { bootWith } from '../../helpers/specs.ts'

const IMAGE: JsonObject = { repository: 'docker.io/slimeio/slime-lazyload', tag: 'v0.9.0', pullPolicy: 'Always' }
const APPLICATION: JsonObject = { repository: 'docker.io/slimeio/slime-global-sidecar', tag: 'v0.9.0' }
const PROMETHEUS: JsonObject = {
  prometheus: {
    address: 'http://prometheus.istio-system:9090',
    handlers: { destination: { query: 'sum(x) by (destination_service)', type: 1 } },
  },
}

function boot({ general, module, component, spec }: Readonly<Record<'general' | 'module' | 'component' | 'spec', JsonObject>>): JsonObject {
  return {
    image: IMAGE,
    module: [{ name: 'lazyload', kind: 'lazyload', enable: true, general, ...module }],
    component: { globalSidecar: { enable: true, sidecarInject: { enable: true, mode: 'pod' }, image: APPLICATION, ...component } },
    ...spec,
  }
}

const NONE: JsonObject = {}
/** What, the SlimeBoot, its mode, the namespaces of its global-sidecars, its source. */
const TODAYS: readonly (readonly [string, JsonObject, string, readonly string[], string])[] = [
  [
    'cluster and access log',
    boot({
      general: {
        wormholePort: ['9080'],
        globalSidecarMode: 'cluster',
        metricSourceType: 'accesslog',
        autoFence: true,
        defaultFence: true,
        autoPort: true,
      },
      module: { global: { log: { logLevel: 'info' }, slimeNamespace: 'mesh-operator' } },
      component: { probePort: 20000 },
      spec: NONE,
    }),
    'cluster',
    ['mesh-operator'],
    'accesslog',
  ],
  [
    'cluster because nothing is said',
    boot({ general: { wormholePort: ['9080'], metricSourceType: 'accesslog' }, module: NONE, component: { port: 80 }, spec: NONE }),
    'cluster',
    ['mesh-operator'],
    'accesslog',
  ],
  [
    'cluster and Prometheus',
    boot({
      general: { wormholePort: ['9080'], globalSidecarMode: 'cluster', metricSourceType: 'prometheus' },
      module: { metric: PROMETHEUS },
      component: NONE,
      spec: NONE,
    }),
    'cluster',
    ['mesh-operator'],
    'prometheus',
  ],
  [
    'namespaces under general',
    boot({
      general: {
        wormholePort: ['80', '9080'],
        namespace: ['default', 'shop'],
        globalSidecarMode: 'namespace',
        metricSourceType: 'accesslog',
      },
      module: NONE,
      component: { sidecarInject: { enable: true, mode: 'pod', labels: { 'istio.io/rev': 'canary' } } },
      spec: NONE,
    }),
    'namespaced',
    ['default', 'shop'],
    'accesslog',
  ],
  [
    'the mode beside general, and Prometheus',
    boot({
      general: { wormholePort: ['9080'], namespace: ['default'] },
      module: { globalSidecarMode: 'namespace', metric: PROMETHEUS },
      component: NONE,
      spec: NONE,
    }),
    'namespaced',
    ['default'],
    'prometheus',
  ],
  [
    'variables, arguments and mounts',
    boot({
      general: { wormholePort: ['9080'], globalSidecarMode: 'cluster', metricSourceType: 'accesslog' },
      module: NONE,
      component: NONE,
      spec: {
        env: [{ name: 'HTTP_PROXY', value: 'http://proxy:3128' }],
        args: ['--enable-leader-election'],
        volumes: [{ name: 'logs', emptyDir: {} }],
        volumeMounts: [{ name: 'logs', mountPath: '/tmp/log' }],
        service: { auxiliaryPort: 8081, mcpOverXdsPort: 16010 },
      },
    }),
    'cluster',
    ['mesh-operator'],
    'accesslog',
  ],
  [
    'a global-sidecar of cluster mode elsewhere',
    boot({
      general: { wormholePort: ['9080'], globalSidecarMode: 'cluster', metricSourceType: 'accesslog', clusterGsNamespace: 'gateways' },
      module: NONE,
      component: NONE,
      spec: NONE,
    }),
    'cluster',
    ['gateways'],
    'accesslog',
  ],
]

for (const [title, spec, mode, namespaces, source] of TODAYS) {
  test(`today's SlimeBoot: ${title}`, () => {
    const { errors, warnings } = validate(bootWith(spec))
    assert.deepEqual(errors, [])
    assert.deepEqual(
      warnings.filter(({ reason }) => reason === 'UnknownKey'),
      [],
    )
    const paths = warnings.filter(({ reason }) => reason === 'NotNeeded').map(({ path }) => path)
    assert.ok(paths.includes('spec.component.globalSidecar.sidecarInject'))
    assert.ok(paths.includes('spec.component.globalSidecar.image'))
    assert.equal(new Set(paths).size, paths.length, 'each is told once')

    const { values, desired } = compile(bootWith(spec))
    assert.equal(values.mode, mode)
    assert.deepEqual(
      values.globalSidecars.map(({ namespace }) => namespace),
      namespaces,
    )
    const config = parseConfig(values.modules[0]!.config['cfg']!, 'cfg')
    assert.equal(config.source, source)
    assert.equal(config.mode, mode === 'cluster' ? 'cluster' : 'namespace')
    const proxies = desired.filter(({ object }) => object.kind === 'Deployment' && object.metadata.name === 'global-sidecar')
    for (const { object } of proxies) assert.equal(containerOf(object)['image'], 'auto', "Istio's injection chooses the image")
    assert.equal(proxies.length, namespaces.length)
  })

  test(`convert writes it anew, and it installs the same: ${title}`, () => {
    const { spec: converted, changes } = convertSpec(spec)
    assert.ok(changes.length > 0)
    const { errors, warnings } = validate(bootWith(converted))
    assert.deepEqual(errors, [])
    assert.deepEqual(
      warnings.filter(({ reason }) => reason === 'NotNeeded' || reason === 'UnknownKey'),
      [],
    )
    assert.deepEqual(objectsOf(converted), objectsOf(spec))
    const { config } = compile(bootWith(converted)).values.modules[0]!
    const before = compile(bootWith(spec)).values.modules[0]!.config
    assert.deepEqual(
      { ...parseConfig(config['cfg']!, 'cfg'), unknown: [] },
      { ...parseConfig(before['cfg']!, 'cfg'), unknown: [] },
      'the program reads the same',
    )
    assert.deepEqual(convertSpec(converted), { spec: converted, changes: [] }, 'once is enough')
  })
}

test('a bundle with a limiter: its lazyload runs, the limiter is told by name', () => {
  const spec: JsonObject = {
    image: IMAGE,
    module: [
      {
        name: 'bundle',
        enable: true,
        bundle: { modules: [{ name: 'lazyload' }, { name: 'limiter' }] },
        global: { misc: { metric_source_type: 'accesslog' } },
      },
      {
        name: 'lazyload',
        kind: 'lazyload',
        enable: true,
        mode: 'BundleItem',
        general: { wormholePort: ['9080'], globalSidecarMode: 'cluster' },
      },
      { name: 'limiter', kind: 'limiter', enable: true, mode: 'BundleItem', limiter: { backend: 1 } },
    ],
    component: { globalSidecar: { enable: true } },
  }
  const { errors, warnings } = validate(bootWith(spec))
  assert.deepEqual(errors, [])
  assert.deepEqual(
    warnings.filter(({ reason }) => reason === 'NotRun').map(({ path }) => path),
    ['spec.module[2]'],
  )
  const { values, desired } = compile(bootWith(spec))
  assert.deepEqual(
    values.modules.map(({ name }) => name),
    ['bundle', 'lazyload'],
  )
  assert.ok(!desired.some(({ object }) => object.metadata.name === 'limiter'))
  const { spec: converted } = convertSpec(spec)
  assert.deepEqual(validate(bootWith(converted)).errors, [])
  assert.equal((converted['module'] as readonly Json[]).length, 2)
})

test('domainRegex and passthroughByDefault of dispatches', () => {
  const spec = boot({
    general: {
      wormholePort: ['9080'],
      globalSidecarMode: 'cluster',
      metricSourceType: 'accesslog',
      passthroughByDefault: true,
      dispatches: [{ name: 'legacy', domainRegex: '.*\\.legacy\\.(com|org)', cluster: '_GLOBAL_SIDECAR' }],
    },
    module: NONE,
    component: NONE,
    spec: NONE,
  })
  assert.deepEqual(validate(bootWith(spec)).errors, [])
  const { desired } = compile(bootWith(spec))
  const catchAll = desired.find(({ manifest }) => manifest.catchAll !== undefined)!.object
  const { configPatches } = catchAll['spec'] as { configPatches: readonly { applyTo: string; patch: { value?: any }; match: any }[] }
  const routes = configPatches.filter(({ applyTo, patch }) => applyTo === 'HTTP_ROUTE' && patch.value?.name === 'legacy')
  assert.ok(routes.length > 0)
  for (const { patch } of routes) {
    assert.equal(patch.value.match.headers[0].string_match.safe_regex.regex, '.*\\.legacy\\.(com|org)')
    assert.equal(patch.value.route.cluster, 'outbound|9080||global-sidecar.mesh-operator.svc.cluster.local')
  }
  const vhosts = configPatches.flatMap(({ patch }) => patch.value?.virtual_hosts ?? [])
  assert.deepEqual(
    vhosts.map(({ domains, routes: [route] }: any) => [domains, route.route.cluster]),
    [[['*'], 'PassthroughCluster']],
  )
  for (const domainRegex of ['(', '(?=a)', '(a)\\1', 'x'.repeat(501)]) {
    const wrong = {
      ...spec,
      module: [{ name: 'lazyload', enable: true, general: { wormholePort: [80], dispatches: [{ name: 'a', domainRegex, cluster: 'x' }] } }],
    }
    assert.deepEqual(
      validate(bootWith(wrong)).errors.map(({ path }) => path),
      ['spec.module[0].general.dispatches[0].domainRegex'],
    )
  }
})

test('variables that the operator sets, and names twice, are refused', () => {
  const spec = (env: Json): JsonObject => ({ ...TODAYS[0]![1], env })
  const paths = (env: Json): readonly string[] => validate(bootWith(spec(env))).errors.map(({ path }) => path)
  assert.deepEqual(paths([{ name: 'A', value: 'b' }]), [])
  assert.deepEqual(paths([{ name: 'POD_NAME', value: 'b' }, { name: 'A' }, { name: 'A' }, { name: '1 2' }, {}]), [
    'spec.env[0].name',
    'spec.env[2].name',
    'spec.env[3].name',
    'spec.env[4].name',
  ])
})

function containerOf(deployment: KubeObject): Readonly<Record<string, unknown>> {
  return (deployment['spec'] as any).template.spec.containers[0]
}

/** What is rendered, but for the text of the settings and what is made of it. */
function objectsOf(spec: JsonObject): readonly unknown[] {
  return compile(bootWith(spec)).desired.map(({ object }) =>
    JSON.parse(
      JSON.stringify(object, (key, value: unknown) =>
        ['cfg', 'checksum/config', 'config.netease.com/applied'].includes(key) ? undefined : value,
      ),
    ),
  )
}
