import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../../lazyload/config.ts'
import { createScope } from '../../../lazyload/fence/scope.ts'
import { CATCH_ALL_ANNOTATION as LAZYLOADS_MARK, LEAVING_ANNOTATION as LAZYLOADS_LEAVING } from '../../../lazyload/kinds.ts'
import { createRevisions } from '../../../lazyload/mesh/revisions.ts'
import { CATCH_ALL_ANNOTATION, LEAVING_ANNOTATION } from '../../../operator/api/slimeboot.ts'
import { goingFrom, goingWith } from '../../../operator/controller/fences/going.ts'
import { revisionsOfConfig, serviceOf } from '../../../operator/controller/fences/served.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'

const boot = (spec: unknown): KubeObject => ({ apiVersion: 'v1', kind: 'SlimeBoot', metadata: { name: 'b', namespace: 'n' }, spec })
const lazyload = (global: JsonObject = {}): JsonObject => ({ name: 'lazyload', enable: true, global, fence: { wormholePort: [80] } })
const configMap = (module: unknown, name = 'lazyload'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'mesh-operator' },
  data: { cfg: typeof module === 'string' ? module : JSON.stringify(module) },
})
const catchAll = (namespace: string, scope = namespace): KubeObject => ({
  apiVersion: 'networking.istio.io/v1alpha3',
  kind: 'EnvoyFilter',
  metadata: { name: 'to-global-sidecar', namespace, annotations: { [CATCH_ALL_ANNOTATION]: `${scope}=${namespace}` } },
})

for (const global of [
  {},
  { istioRev: '' },
  { istioRev: '1-19' },
  { istioRev: '1-19, 1-20' },
  { istioRev: ['1-19', ' 1-20 '] },
  { istioRev: 119 },
  { istioRev: '1-19', strictRev: true },
  { istioRev: '1-19', strictRev: 'on' },
  { istioRev: '1-19', strictRev: 'false' },
  { istioRev: null, strictRev: 'yes' },
] as readonly JsonObject[]) {
  test(`operator and lazyload agree which fences ${JSON.stringify(global)} serves`, () => {
    const scope = createScope(
      parseConfig(JSON.stringify({ name: 'lazyload', global: { ...global, misc: { metric_source_type: 'accesslog' } } }), 'cfg').revisions,
      createRevisions(),
    )
    const ofSpec = serviceOf(boot({ module: [lazyload(global)] }))
    const ofConfig = revisionsOfConfig(configMap(lazyload(global)))
    for (const revision of ['', '1-19', '1-20', '119', 'other']) {
      const labels = revision === '' ? {} : { 'istio.io/rev': revision }
      const wanted = scope({ apiVersion: 'v1', kind: 'ServiceFence', metadata: { name: 'f', labels } })
      assert.equal(ofSpec.serves({ namespace: 'shop', revision }), wanted, revision)
      assert.equal(ofConfig?.(revision), wanted, revision)
    }
  })
}

test('operator and lazyload call the marks on a catch-all alike', () =>
  assert.deepEqual([LAZYLOADS_MARK, LAZYLOADS_LEAVING], [CATCH_ALL_ANNOTATION, LEAVING_ANNOTATION]))

test('a SlimeBoot serves the namespaces of its global-sidecars, all with type cluster and without any; nothing without a module', () => {
  const place = (namespace: string): { namespace: string; revision: string } => ({ namespace, revision: '' })
  const component = (type: string): JsonObject => ({ globalSidecar: { enable: true, type, namespace: ['a'] } })
  const served = (spec: JsonObject): readonly string[] => ['a', 'b'].filter((namespace) => serviceOf(boot(spec)).serves(place(namespace)))
  assert.deepEqual(served({ module: [lazyload()], component: component('namespaced') }), ['a'])
  assert.deepEqual(served({ module: [lazyload()], component: component('cluster') }), ['a', 'b'])
  assert.deepEqual(served({ module: [lazyload()] }), ['a', 'b'])
  const portless = [{ ...lazyload(), fence: { wormholePort: [] } }]
  for (const type of ['namespaced', 'cluster']) assert.deepEqual(served({ module: portless, component: component(type) }), [], type)
  assert.deepEqual(served({ module: [{ ...lazyload(), enable: false }], component: component('cluster') }), [])
  assert.deepEqual(served({ module: [{ name: 'limits', enable: true, limiter: {} }] }), [])
  for (const spec of [undefined, null, 'text', [], { module: 'no' }, { component: [] }]) assert.deepEqual(served(spec as JsonObject), [])
})

test('a ConfigMap that holds no configuration of lazyload is no module', () => {
  for (const cfg of ['', 'no json', '[]', 'null', '{"kind":"limiter"}']) assert.equal(revisionsOfConfig(configMap(cfg)), undefined, cfg)
  assert.equal(revisionsOfConfig({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' } }), undefined)
})

const ROOTS = new Set(['istio-system'])

test('what leaves with the whole SlimeBoot: the fences that it serves, unless another module says that it serves them; all behind its catch-alls', () => {
  const spec = {
    module: [lazyload({ istioRev: '1-19', strictRev: true })],
    component: { globalSidecar: { type: 'namespaced', namespace: ['a'] } },
  }
  const { leaves } = goingWith(boot(spec), [catchAll('old'), configMap(lazyload())], serviceOf(boot(spec)), ROOTS)
  const asked: readonly (readonly [string, string, string | undefined, boolean])[] = [
    ['a', '1-19', undefined, true],
    ['a', '1-19', 'mesh-operator/lazyload', true],
    ['a', '1-19', 'mesh-operator/another', false],
    ['a', '1-20', undefined, false],
    ['b', '1-19', undefined, false],
    // a catch-all that an earlier spec left
    ['old', '1-20', 'mesh-operator/another', true],
  ]
  for (const [namespace, revision, servedBy, expected] of asked)
    assert.equal(leaves({ namespace, revision }, servedBy), expected, `${namespace} ${revision} ${servedBy}`)
})

test('what leaves with a part of it: what the spec still serves does not', () => {
  const spec = { module: [lazyload()], component: { globalSidecar: { type: 'namespaced', namespace: ['a'] } } }
  const service = serviceOf(boot(spec))
  assert.equal(goingFrom(boot(spec), [], service, ROOTS), undefined)
  assert.equal(
    goingFrom(boot(spec), [{ ...catchAll('b'), kind: 'Service', metadata: { name: 'global-sidecar', namespace: 'b' } }], service, ROOTS),
    undefined,
  )
  const fromCluster = goingFrom(boot(spec), [catchAll('istio-system', '*')], service, ROOTS)
  assert.deepEqual(
    ['a', 'b'].map((namespace) => fromCluster?.leaves({ namespace, revision: '' }, undefined)),
    [false, true],
  )
  // what somebody who may write in one namespace says there
  const forged = goingFrom(boot(spec), [catchAll('tenant', '*')], service, ROOTS)
  assert.deepEqual(
    ['a', 'b', 'tenant'].map((namespace) => forged?.leaves({ namespace, revision: '' }, undefined)),
    [false, false, true],
  )
  const elsewhere = configMap(lazyload())
  assert.equal(
    goingFrom(boot(spec), [{ ...elsewhere, metadata: { ...elsewhere.metadata, namespace: 'tenant' } }], service, ROOTS),
    undefined,
  )
  const off = { ...spec, module: [{ ...lazyload(), enable: false }] }
  const module = goingFrom(boot(off), [configMap(lazyload({ istioRev: '1-19' }))], serviceOf(boot(off)), ROOTS)
  assert.deepEqual(
    [
      ['a', '1-19'],
      ['a', '1-20'],
      ['b', '1-19'],
    ].map(([namespace, revision]) => module?.leaves({ namespace: namespace!, revision: revision! }, undefined)),
    [true, false, false],
  )
})

test('namespaces that a module lists are served as those of the component are', () => {
  const module = { name: 'lazyload', enable: true, general: { wormholePort: [80], namespace: ['shop'] } }
  const { serves, reaches } = serviceOf(boot({ module: [module], component: { globalSidecar: { enable: true } } }))
  assert.deepEqual(
    ['shop', 'other'].map((namespace) => [serves({ namespace, revision: '' }), reaches(namespace)]),
    [
      [true, true],
      [false, false],
    ],
  )
})
