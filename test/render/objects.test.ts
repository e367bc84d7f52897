import assert from 'node:assert/strict'
import { test } from 'node:test'
import { objectId } from '../../runtime/object.ts'
import { render } from '../../operator/render/render.ts'
import type { Manifest } from '../../operator/render/manifest.ts'
import { SHAPES, type ShapeOptions, nameOfShape, valuesOf } from '../helpers/shapes.ts'

const BASE = ['ConfigMap', 'Deployment', 'RoleBinding', 'Service', 'ServiceAccount'].map((kind) => `${kind}/mesh-operator/lazyload`)
const PILOT = [
  'ClusterRoleBinding/istio-pilot-slime',
  'ConfigMap/mesh-operator/istio',
  'Deployment/mesh-operator/global-sidecar-pilot',
  'Service/mesh-operator/istio-pilot',
  'ServiceAccount/mesh-operator/istio-pilot-service-account',
]

/** The inventory of behaviour 8, with the guard of design 7 and the objects of the stock shape. */
function expectedObjects({ mode, source, shape }: ShapeOptions): string[] {
  const places = { namespaced: ['default', 'shop'], cluster: ['mesh-operator'], none: [] }[mode]
  const bindings =
    mode === 'namespaced'
      ? ['ClusterRoleBinding/lazyload.mesh-operator', ...places.map((place) => `RoleBinding/${place}/lazyload.mesh-operator`)]
      : ['ClusterRoleBinding/lazyload']
  return [
    ...BASE,
    ...bindings,
    ...(shape === 'pilot' ? PILOT : []),
    ...places.flatMap((place) => {
      const filterNamespace = mode === 'cluster' ? 'istio-system' : place
      const accessLogNamespace = shape === 'pilot' ? filterNamespace : place
      return [
        ...['Deployment', 'Service', 'ServiceAccount'].map((kind) => `${kind}/${place}/global-sidecar`),
        `EnvoyFilter/${filterNamespace}/to-global-sidecar`,
        `EnvoyFilter/${place}/global-sidecar-guard`,
        ...(source === 'accesslog'
          ? [`EnvoyFilter/${accessLogNamespace}/global-sidecar-accesslog`, `ConfigMap/${place}/lazyload-accesslog-source`]
          : []),
        ...(shape === 'stock'
          ? [
              ...['DestinationRule', 'PodDisruptionBudget', 'Sidecar'].map((kind) => `${kind}/${place}/global-sidecar`),
              `EnvoyFilter/${place}/global-sidecar-metadata-exchange-remove`,
            ]
          : []),
      ]
    }),
  ].toSorted()
}

for (const options of SHAPES) {
  const manifests = render(valuesOf(options))
  test(`${nameOfShape(options)}: the objects are those of the inventory`, () => {
    assert.deepEqual(ids(manifests).toSorted(), expectedObjects(options))
  })

  test(`${nameOfShape(options)}: nothing is null, and nothing is bound to cluster-admin`, () => {
    const text = JSON.stringify(manifests)
    assert.ok(!text.includes(':null') && !text.includes('[null'), text.slice(text.indexOf('null') - 200, text.indexOf('null') + 10))
    assert.ok(!text.includes('creationTimestamp') && !text.includes('cluster-admin'))
  })

  test(`${nameOfShape(options)}: every ConfigMap volume finds its ConfigMap in the pod's namespace`, () => {
    const configMaps = new Set(ids(manifests).filter((id) => id.startsWith('ConfigMap/')))
    const volumes = deployments(manifests).flatMap(({ namespace, pod }) =>
      (pod.volumes ?? []).flatMap((volume) => (volume.configMap === undefined ? [] : [`ConfigMap/${namespace}/${volume.configMap.name}`])),
    )
    assert.deepEqual(
      volumes.filter((id) => !configMaps.has(id)),
      [],
    )
  })

  test(`${nameOfShape(options)}: every volume mount has its volume`, () => {
    for (const { pod } of deployments(manifests)) {
      const names = new Set((pod.volumes ?? []).map(({ name }) => name))
      const mounts = pod.containers.flatMap(({ volumeMounts }) => volumeMounts ?? [])
      assert.deepEqual(
        mounts.filter(({ name }) => !names.has(name)),
        [],
      )
    }
  })
}

test('the waves are those of the design, and a catch-all comes last with what it covers', () => {
  const manifests = render(valuesOf({ mode: 'cluster', source: 'accesslog', shape: 'stock', volumes: false, dispatches: false }))
  assert.deepEqual(
    manifests.map(({ wave, object }) => [wave, object.kind]),
    [
      [1, 'ServiceAccount'],
      [1, 'ClusterRoleBinding'],
      [1, 'RoleBinding'],
      [1, 'ServiceAccount'],
      [2, 'ConfigMap'],
      [2, 'Service'],
      [2, 'Service'],
      [2, 'DestinationRule'],
      [2, 'Sidecar'],
      [2, 'EnvoyFilter'],
      [2, 'EnvoyFilter'],
      [2, 'ConfigMap'],
      [2, 'EnvoyFilter'],
      [3, 'Deployment'],
      [3, 'PodDisruptionBudget'],
      [3, 'Deployment'],
      [4, 'EnvoyFilter'],
    ],
  )
  assert.deepEqual(manifests.at(-1)?.catchAll, { scope: '*', ports: [80, 9080], globalSidecarNamespace: 'mesh-operator' })
})

test('in mode namespaced each catch-all covers its own namespace', () => {
  const manifests = render(valuesOf({ mode: 'namespaced', source: 'prometheus', shape: 'stock', volumes: false, dispatches: false }))
  assert.deepEqual(
    manifests.flatMap(({ catchAll }) => (catchAll === undefined ? [] : [catchAll.scope])),
    ['default', 'shop'],
  )
})

test('volumes change the controller alone, and there only volumes, mounts and the log section of cfg', () => {
  for (const options of SHAPES.filter(({ volumes }) => volumes)) {
    const plain = new Map(render(valuesOf({ ...options, volumes: false })).map(({ object }) => [objectId(object), object]))
    const changed = render(valuesOf(options)).filter(({ object }) => JSON.stringify(object) !== JSON.stringify(plain.get(objectId(object))))
    assert.deepEqual(ids(changed), ['ConfigMap/mesh-operator/lazyload', 'Deployment/mesh-operator/lazyload'], nameOfShape(options))
    const [pod] = deployments(changed).map((deployment) => deployment.pod)
    assert.deepEqual(pod?.volumes?.[1], { name: 'lazyload-storage', persistentVolumeClaim: { claimName: 'lazyload-claim' } })
    assert.deepEqual(pod?.containers[0]?.volumeMounts?.[1], { mountPath: '/tmp/log', name: 'lazyload-storage' })
  }
})

test('dispatches change the catch-all, the guard and the controller, nothing else', () => {
  for (const options of SHAPES.filter(({ dispatches }) => dispatches)) {
    const plain = new Map(render(valuesOf({ ...options, dispatches: false })).map(({ object }) => [objectId(object), object]))
    const changed = render(valuesOf(options)).filter(({ object }) => JSON.stringify(object) !== JSON.stringify(plain.get(objectId(object))))
    assert.deepEqual(
      new Set(changed.map(({ object }) => object.metadata.name)),
      new Set(['lazyload', 'global-sidecar-guard', 'to-global-sidecar']),
      nameOfShape(options),
    )
  }
})

function ids(manifests: readonly Manifest[]): string[] {
  return manifests.map(({ object }) => objectId(object))
}

interface PodSpec {
  readonly containers: readonly { readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[] }[]
  readonly volumes?: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[]
}

function deployments(manifests: readonly Manifest[]): { readonly namespace: string | undefined; readonly pod: PodSpec }[] {
  return manifests
    .filter(({ object }) => object.kind === 'Deployment')
    .map(({ object }) => ({ namespace: object.metadata.namespace, pod: (object['spec'] as { template: { spec: PodSpec } }).template.spec }))
}
