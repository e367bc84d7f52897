import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildValues } from '../../../operator/spec/build-values.ts'
import type { Mode } from '../../../operator/spec/values.ts'
import { validate } from '../../../operator/spec/validate.ts'
import type { JsonObject } from '../../../runtime/object.ts'
import { bootWith, CLUSTER, lazyload, validSpec } from '../../helpers/specs.ts'

/** Values of a spec that must be valid. */
function valuesOf(parts: JsonObject = {}, operatorDefaults: JsonObject = {}) {
  const boot = bootWith(validSpec(parts))
  assert.deepEqual(validate(boot, {}, { operatorDefaults }).errors, [])
  return buildValues(boot, { operatorDefaults })
}

function cfgOf(module: JsonObject, parts: JsonObject = {}): JsonObject {
  return JSON.parse(valuesOf({ module: [module], ...parts }).modules[0]?.config['cfg'] ?? '') as JsonObject
}

test('an absent field has the default of the tutorial-day chart', () => {
  const { namespace, istioNamespace, controller, globalSidecar } = valuesOf()
  assert.deepEqual([namespace, istioNamespace], ['mesh-operator', 'istio-system'])
  assert.deepEqual(controller, {
    image: 'docker.io/slimeio/slime-lazyload:v1',
    imagePullPolicy: 'Always',
    replicas: 1,
    resources: { limits: { cpu: 1, memory: '1Gi' }, requests: { cpu: '200m', memory: '200Mi' } },
    imagePullSecrets: [],
    nodeSelector: {},
    tolerations: [],
    affinity: {},
    podSecurityContext: {},
    containerSecurityContext: {},
    createServiceAccount: true,
    service: { type: 'ClusterIP', port: 80, logSourcePort: 8082 },
    volumes: [],
    volumeMounts: [],
    env: [],
  })
  assert.deepEqual(globalSidecar, {
    imagePullSecrets: [],
    resources: {},
    replicas: 1,
    nodeSelector: {},
    tolerations: [],
    affinity: {},
    networkPolicy: false,
    unknownHosts: 'passthrough',
  })
})

test("the operator's defaults come between the built-in ones and the spec", () => {
  const { controller } = valuesOf(
    { resources: { limits: { cpu: 2 } } },
    { resources: { limits: { cpu: 3, memory: '2Gi' } }, replicaCount: 2 },
  )
  assert.deepEqual(controller.resources, { limits: { cpu: 2, memory: '2Gi' }, requests: { cpu: '200m', memory: '200Mi' } })
  assert.equal(controller.replicas, 2)
})

test('null removes a default', () => {
  assert.deepEqual(valuesOf({ resources: null }).controller.resources, {})
  assert.deepEqual(valuesOf({ resources: { limits: { cpu: null } } }).controller.resources, {
    limits: { memory: '1Gi' },
    requests: { cpu: '200m', memory: '200Mi' },
  })
})

test('null for a field that always has a value leaves its default', () => {
  const { namespace, controller } = valuesOf({ namespace: null, replicaCount: null, service: { port: null, type: 'NodePort' } })
  assert.deepEqual(
    [namespace, controller.replicas, controller.service],
    ['mesh-operator', 1, { type: 'NodePort', port: 80, logSourcePort: 8082 }],
  )
})

for (const [image, expected] of [
  [{ repository: 'r', tag: 't' }, 'r:t'],
  [{ repository: 'r' }, 'r'],
  [{ repository: 'r', tag: null }, 'r'],
  [{ repository: 'r', tag: '' }, 'r'],
  [{ repository: 'r', tag: `sha256:${'0'.repeat(64)}` }, `r@sha256:${'0'.repeat(64)}`],
] as const) {
  test(`image ${JSON.stringify(image).slice(0, 40)} is ${expected.slice(0, 10)}`, () =>
    assert.equal(valuesOf({ image }).controller.image, expected))
}

const sidecar = (parts: JsonObject): JsonObject => ({ globalSidecar: { enable: true, namespace: ['default'], ...parts } })
const misc = (mode: unknown): JsonObject => lazyload({ global: { misc: { 'global-sidecar-mode': mode as string } } })
const MODES: readonly (readonly [title: string, module: JsonObject, component: JsonObject | null, mode: Mode])[] = [
  ['type namespaced', lazyload(), sidecar({ type: 'namespaced' }), 'namespaced'],
  ['type namespace', lazyload(), sidecar({ type: 'namespace' }), 'namespaced'],
  ['type cluster', lazyload(), sidecar({ type: 'cluster' }), 'cluster'],
  ['type none', lazyload(), sidecar({ type: 'none' }), 'none'],
  ['type no, read by YAML 1.1', lazyload(), sidecar({ type: false }), 'none'],
  ['no component', lazyload(), null, 'none'],
  ['global-sidecar disabled', lazyload(), sidecar({ enable: false, type: 'namespaced' }), 'none'],
  ['misc false', misc(false), null, 'none'],
  ['misc "no"', misc('no'), null, 'none'],
  ['misc "none"', misc('none'), null, 'none'],
  ['misc "off"', misc('off'), null, 'none'],
  ['misc "False"', misc('False'), null, 'none'],
  ['misc cluster alone', misc('cluster'), null, 'cluster'],
  ['misc and type cluster', misc('cluster'), sidecar({ type: 'cluster' }), 'cluster'],
  ['misc namespace without type', misc('namespace'), sidecar({}), 'namespaced'],
  ['misc namespaced with type', misc('namespaced'), sidecar({ type: 'namespaced' }), 'namespaced'],
]

for (const [title, module, component, mode] of MODES) {
  test(`mode: ${title} is ${mode}, for the controller too`, () => {
    const values = valuesOf({ module: [module], component })
    const cfg = JSON.parse(values.modules[0]?.config['cfg'] ?? '') as { global?: { misc?: Record<string, unknown> } }
    const controllerMode = cfg.global?.misc?.['global-sidecar-mode'] ?? 'namespace'
    assert.equal(values.mode, mode)
    assert.equal(controllerMode, { namespaced: 'namespace', cluster: 'cluster', none: 'no' }[mode])
  })
}

test('places: each listed namespace, or spec.namespace with the filter in the root namespace', () => {
  const places = (component: JsonObject | null) => valuesOf({ component }).globalSidecars
  assert.deepEqual(
    places({ globalSidecar: { type: 'namespaced', namespace: ['b', 'a'] } }),
    ['b', 'a'].map((name) => ({ namespace: name, filterNamespace: name })),
  )
  assert.deepEqual(places(CLUSTER), [{ namespace: 'mesh-operator', filterNamespace: 'istio-system' }])
  assert.deepEqual(places(null), [])
})

test('the program is told where it runs and where Istio is, where these are not what it expects and the module says nothing of them', () => {
  const global = (spec: JsonObject, said: JsonObject = {}): unknown => {
    const values = valuesOf({ module: [lazyload({ global: said })], ...spec })
    const { istioNamespace, slimeNamespace } = (JSON.parse(values.modules[0]?.config['cfg'] ?? '') as { global: JsonObject }).global
    return { istioNamespace, slimeNamespace }
  }
  const own = { namespace: 'slime-system', istioNamespace: 'mesh' }
  const unsaid = { istioNamespace: undefined, slimeNamespace: undefined }
  assert.deepEqual(global({ component: CLUSTER }), unsaid)
  assert.deepEqual(global({ component: CLUSTER, ...own }), { istioNamespace: 'mesh', slimeNamespace: 'slime-system' })
  assert.deepEqual(global({ component: CLUSTER, ...own }, { istioNamespace: 'said', slimeNamespace: null }), {
    istioNamespace: 'said',
    slimeNamespace: 'slime-system',
  })
  assert.deepEqual(global({ component: sidecar({ type: 'namespaced' }) }), unsaid)
  assert.deepEqual(global({ component: sidecar({ type: 'namespaced' }), ...own }), {
    istioNamespace: 'mesh',
    slimeNamespace: 'slime-system',
  })
})

test('fixture 10: ports as numbers and text, each once, text for the controller', () => {
  const module = lazyload({ fence: { wormholePort: [9080, '9080', 8080] }, global: { misc: { 'global-sidecar-mode': false } } })
  assert.deepEqual((cfgOf(module, { component: null })['fence'] as JsonObject)['wormholePort'], ['9080', '9080', '8080'])
  const values = valuesOf({ module: [lazyload({ fence: { wormholePort: [9080, '9080', 8080] } })] })
  assert.deepEqual(
    values.ports.map(({ port }) => port),
    [9080, 8080],
  )
})

test('ports of several modules are united, a port has the dispatches of every module that lists it', () => {
  const dispatch = (name: string) => ({ name, domains: [`${name}.com`], cluster: name })
  const values = valuesOf({
    module: [
      lazyload({ name: 'one', fence: { wormholePort: ['80', '81'], dispatches: [dispatch('a'), dispatch('b')] } }),
      lazyload({ name: 'two', fence: { wormholePort: [82, 80], dispatches: [dispatch('c')] } }),
      lazyload({ name: 'off', enable: false, fence: { wormholePort: ['83'] } }),
    ],
  })
  assert.deepEqual(
    values.ports.map(({ port, dispatches }) => [port, dispatches.map(({ name }) => name)]),
    [
      [80, ['a', 'b', 'c']],
      [81, ['a', 'b']],
      [82, ['c']],
    ],
  )
})

test('fixture 14: dispatch name 163 is text, templates are run, _GLOBAL_SIDECAR stays open', () => {
  const dispatches = [
    { name: 163, domains: ['www.163.com'], cluster: 'PassthroughCluster' },
    { name: 'baidu', domains: ['*.baidu.com'], cluster: '{{ (print .Values.foo "." .Values.namespace ) }}' },
    { name: 'sohu', domains: ['*.sohu.com'], cluster: '_GLOBAL_SIDECAR' },
  ]
  const module = lazyload({ fence: { wormholePort: ['80'], dispatches } })
  assert.deepEqual(valuesOf({ module: [module], foo: 'bar' }).ports[0]?.dispatches, [
    { name: '163', domains: ['www.163.com'], cluster: 'PassthroughCluster' },
    { name: 'baidu', domains: ['*.baidu.com'], cluster: 'bar.mesh-operator' },
    { name: 'sohu', domains: ['*.sohu.com'], cluster: undefined },
  ])
  const { fence } = cfgOf(module, { foo: 'bar' }) as { fence: { dispatches: { name: unknown }[] } }
  assert.equal(fence.dispatches[0]?.name, '163')
})

const ENABLED: readonly (readonly [module: JsonObject, enabled: boolean])[] = [
  [{ enable: true }, true],
  [{ fence: { enable: true, wormholePort: ['80'] } }, true],
  [{ enable: null, fence: { enable: true, wormholePort: ['80'] } }, true],
  [{ enable: false, fence: { enable: true } }, false],
  [{ enable: true, fence: { enable: false, wormholePort: ['80'] } }, true],
  [{ fence: { wormholePort: ['80'] } }, false],
  [{}, false],
]

for (const [parts, enabled] of ENABLED) {
  test(`module ${JSON.stringify(parts)} is ${enabled ? 'enabled' : 'disabled'}`, () => {
    assert.equal(valuesOf({ module: [{ name: 'lazyload', ...parts }] }).modules.length, enabled ? 1 : 0)
  })
}

test('without an enabled module nothing of the components is installed', () => {
  const pilot = { enable: true, image: { repository: 'p' } }
  const component = { globalSidecar: { type: 'cluster', image: { repository: 's' } }, pilot }
  const { modules, ports, globalSidecars, pilot: installed, accessLogs } = valuesOf({ module: [lazyload({ enable: false })], component })
  assert.deepEqual([modules, ports, globalSidecars, installed, accessLogs], [[], [], [], undefined, []])
})

test('cfg is one line of JSON as Go writes it, unknown keys included, with a final newline', () => {
  const module = {
    name: 'lazyload',
    enable: true,
    zebra: '<a> & \u2028',
    fence: { wormholePort: [9080], future: [null, 1.5] },
    apple: { b: 1, a: 2 },
  }
  const { config } = valuesOf({ module: [module] }).modules[0] ?? { config: {} }
  assert.deepEqual(config, {
    cfg: '{"apple":{"a":2,"b":1},"enable":true,"fence":{"future":[null,1.5],"wormholePort":["9080"]},"name":"lazyload","zebra":"\\u003ca\\u003e \\u0026 \\u2028"}\n',
  })
})

test('values of misc become text', () => {
  const module = lazyload({
    global: { misc: { 'enable-leader-election': true, log_source_port: 8082, strict: false, gone: null, 'aux-addr': ':8081' } },
  })
  assert.deepEqual((cfgOf(module)['global'] as JsonObject)['misc'], {
    'enable-leader-election': 'on',
    log_source_port: '8082',
    strict: 'false',
    'aux-addr': ':8081',
  })
})

test('a module that is enabled by its fence alone is enabled for the controller too', () => {
  assert.equal(cfgOf({ name: 'lazyload', fence: { enable: true, wormholePort: ['80'] } })['enable'], true)
})

const accesslog = (parts: JsonObject = {}) => lazyload({ global: { misc: { metric_source_type: 'accesslog' } }, ...parts })

test('access logs go to every enabled module that learns from them and has a fence, to the first under the name that was always there', () => {
  const module = [
    lazyload({ name: 'a' }),
    accesslog({ name: 'b', enable: false }),
    accesslog({ name: 'c', fence: {} }),
    accesslog({ name: 'd' }),
    accesslog({ name: 'e' }),
  ]
  const { accessLogs } = valuesOf({ module, service: { logSourcePort: 9082 }, namespace: 'slime' })
  assert.deepEqual(
    accessLogs.map(({ cluster, address, port }) => [cluster, address, port]),
    [
      ['lazyload-accesslog-source', 'd.slime', 9082],
      ['lazyload-accesslog-source-e', 'e.slime', 9082],
    ],
  )
})

test('access logs of a BundleItem go to its bundle', () => {
  const bundle = (name: string, item: string) => ({ name, enable: true, kind: 'lazyload', bundle: { modules: [{ name: item }] } })
  const module = [
    bundle('other', 'idle'),
    bundle('bundle', 'item'),
    lazyload({ name: 'idle', mode: 'BundleItem' }),
    accesslog({ name: 'item', mode: 'BundleItem' }),
  ]
  const values = valuesOf({ module })
  assert.deepEqual(
    values.accessLogs.map(({ address }) => address),
    ['bundle.mesh-operator'],
  )
  assert.deepEqual(
    values.modules.map(({ name, bundleItem }) => [name, bundleItem]),
    [
      ['other', false],
      ['bundle', false],
      ['idle', true],
      ['item', true],
    ],
  )
})

test('nobody gets access logs without a global-sidecar, or with Prometheus as source', () => {
  assert.equal(valuesOf({ module: [accesslog()], component: null }).accessLogs.length, 0)
  assert.equal(valuesOf().accessLogs.length, 0)
})

test('a bundle carries the configuration of every module that is no bundle', () => {
  const module = [
    { name: 'bundle', enable: true, bundle: { modules: [{ name: 'item' }] } },
    lazyload({ name: 'item', mode: 'BundleItem' }),
    lazyload({ name: 'idle', enable: false }),
  ]
  const [bundle, item] = valuesOf({ module }).modules
  assert.deepEqual(Object.keys(bundle?.config ?? {}).toSorted(), ['cfg', 'cfg_idle', 'cfg_item'])
  assert.equal(bundle?.config['cfg_item'], item?.config['cfg'])
})

test('ClusterRoles: the one for lazyload, or the one that the module names', () => {
  const module = [
    lazyload({ name: 'a', kind: 'lazyload' }),
    { name: 'b', enable: true, kind: 'lazyload' },
    { name: 'c', enable: true },
    { name: 'd', enable: true, kind: 'limiter', clusterRole: 'limiter-role' },
    lazyload({ name: 'e', clusterRole: 'own-role' }),
  ]
  assert.deepEqual(
    valuesOf({ module }).modules.map(({ clusterRole }) => clusterRole),
    ['slime-lazyload', 'slime-lazyload', 'slime-lazyload', 'limiter-role', 'own-role'],
  )
})

test("shape: the pilot's when it is enabled, else stock with the fields of an ordinary proxy", () => {
  const image = { repository: 'istio/proxyv2', tag: '1.7.0' }
  const pilot = valuesOf({
    component: {
      globalSidecar: { type: 'cluster', image },
      pilot: { enable: true, image: { repository: 'pilot', tag: 'x' }, resources: { limits: { cpu: 1 } } },
    },
  })
  assert.equal(pilot.shape, 'pilot')
  assert.deepEqual(pilot.pilot, { image: 'pilot:x', imagePullSecrets: [], resources: { limits: { cpu: 1 } } })
  assert.equal(pilot.globalSidecar.image, 'istio/proxyv2:1.7.0')
  // the tutorial's global-sidecar has no way out
  assert.equal(pilot.globalSidecar.unknownHosts, 'refuse')
  const own = {
    replicas: 2,
    revision: 'canary',
    nodeSelector: { a: 'b' },
    tolerations: [{ operator: 'Exists' }],
    affinity: { podAffinity: {} },
    priorityClassName: 'high',
    networkPolicy: true,
    unknownHosts: 'refuse',
  }
  const stock = valuesOf({ component: { globalSidecar: { type: 'cluster', ...own }, pilot: { enable: false } } })
  assert.equal(stock.shape, 'stock')
  assert.equal(stock.pilot, undefined)
  assert.deepEqual(stock.globalSidecar, { imagePullSecrets: [], resources: {}, ...own })
})
