import assert from 'node:assert/strict'
import { test } from 'node:test'
import { objectId } from '../../runtime/object.ts'
import type { Manifest } from '../../operator/render/manifest.ts'
import { render } from '../../operator/render/render.ts'
import { specPathOf } from '../../operator/render/spec-path.ts'
import { type ShapeOptions, valuesOf } from '../helpers/shapes.ts'

const base: ShapeOptions = { mode: 'namespaced', source: 'accesslog', shape: 'pilot', volumes: true, dispatches: true }
const shapes: Readonly<Record<string, readonly Manifest[]>> = {
  pilot: render(valuesOf(base)),
  stock: render(valuesOf({ ...base, shape: 'stock', dispatches: false })),
  cluster: render(valuesOf({ ...base, mode: 'cluster' })),
}

const CONTROLLER = 'Deployment/mesh-operator/lazyload'
const POD = 'spec.template.spec'
const table: readonly (readonly [shape: string, object: string, field: string, specPath: string | undefined])[] = [
  ['pilot', CONTROLLER, `${POD}.containers[0].image`, 'spec.image'],
  ['pilot', CONTROLLER, `.${POD}.containers[name="slime"].image`, 'spec.image'],
  ['pilot', CONTROLLER, `${POD}.containers[0].imagePullPolicy`, 'spec.image.pullPolicy'],
  ['pilot', CONTROLLER, `${POD}.containers[0].resources.limits[cpu]`, 'spec.resources.limits[cpu]'],
  ['pilot', CONTROLLER, `${POD}.containers[0].resources`, 'spec.resources'],
  ['pilot', CONTROLLER, `${POD}.containers[0].volumeMounts[1].name`, 'spec.containers.slime.volumeMounts[0].name'],
  [
    'pilot',
    CONTROLLER,
    `.${POD}.containers[name="slime"].volumeMounts[mountPath="/tmp/log"].name`,
    'spec.containers.slime.volumeMounts[0].name',
  ],
  ['pilot', CONTROLLER, `${POD}.containers[0].volumeMounts[0].name`, undefined],
  ['pilot', CONTROLLER, `${POD}.volumes[1].persistentVolumeClaim.claimName`, 'spec.volumes[0].persistentVolumeClaim.claimName'],
  ['pilot', CONTROLLER, `.${POD}.volumes[name="lazyload-storage"].persistentVolumeClaim`, 'spec.volumes[0].persistentVolumeClaim'],
  ['pilot', CONTROLLER, `${POD}.volumes[0]`, undefined],
  ['pilot', CONTROLLER, `${POD}.containers[0].ports[1].containerPort`, 'spec.healthProbePort'],
  ['pilot', CONTROLLER, `${POD}.containers[0].ports[2].containerPort`, 'spec.logSourcePort'],
  ['pilot', CONTROLLER, `${POD}.tolerations[0].effect`, 'spec.tolerations[0].effect'],
  ['pilot', CONTROLLER, `${POD}.securityContext.runAsUser`, 'spec.podSecurityContext.runAsUser'],
  ['pilot', CONTROLLER, 'spec.replicas', 'spec.replicaCount'],
  ['pilot', CONTROLLER, 'spec.replicasOfAnotherKind', undefined],
  ['pilot', CONTROLLER, 'metadata.name', 'spec.module[name=lazyload].name'],
  ['pilot', CONTROLLER, 'metadata.namespace', 'spec.namespace'],
  ['pilot', CONTROLLER, `${POD}.containers[0].command`, undefined],
  ['pilot', 'RoleBinding/shop/lazyload.mesh-operator', 'roleRef.name', 'spec.module[name=lazyload].clusterRole'],
  ['pilot', 'RoleBinding/shop/lazyload.mesh-operator', 'metadata.namespace', 'spec.component.globalSidecar.namespace[1]'],
  ['pilot', 'ClusterRoleBinding/lazyload.mesh-operator', 'metadata.name', 'spec.module[name=lazyload].name'],
  ['pilot', 'Service/mesh-operator/lazyload', 'spec.ports[1].port', 'spec.service.logSourcePort'],
  ['pilot', 'Service/mesh-operator/lazyload', '.spec.ports[port=80,protocol="TCP"].port', 'spec.service.port'],
  ['pilot', 'Service/mesh-operator/lazyload', 'spec.type', 'spec.service.type'],
  ['pilot', 'ConfigMap/mesh-operator/lazyload', 'data[cfg]', 'spec.module[name=lazyload]'],
  ['pilot', 'Deployment/mesh-operator/global-sidecar-pilot', `${POD}.containers[0].image`, 'spec.component.pilot.image'],
  [
    'pilot',
    'Deployment/mesh-operator/global-sidecar-pilot',
    `${POD}.containers[0].resources.limits.cpu`,
    'spec.component.pilot.resources.limits.cpu',
  ],
  ['pilot', 'Deployment/shop/global-sidecar', `${POD}.containers[0].image`, 'spec.component.globalSidecar.image'],
  ['stock', 'Deployment/shop/global-sidecar', 'spec.template.labels', 'spec.component.globalSidecar.revision'],
  [
    'stock',
    'Deployment/shop/global-sidecar',
    `${POD}.containers[0].resources.requests[memory]`,
    'spec.component.globalSidecar.resources.requests[memory]',
  ],
  ['stock', 'Deployment/shop/global-sidecar', 'metadata.namespace', 'spec.component.globalSidecar.namespace[1]'],
  ['cluster', 'Deployment/mesh-operator/global-sidecar', 'metadata.namespace', 'spec.namespace'],
  ['cluster', 'EnvoyFilter/istio-system/to-global-sidecar', 'metadata.namespace', 'spec.istioNamespace'],
  ['stock', 'Service/default/global-sidecar', 'spec.ports[1].port', 'spec.module[].fence.wormholePort'],
  ['stock', 'Sidecar/default/global-sidecar', 'spec.egress[0].port.number', 'spec.module[].fence.wormholePort'],
  [
    'stock',
    'EnvoyFilter/default/to-global-sidecar',
    'spec.configPatches[2].patch.value.virtual_hosts[0].domains',
    'spec.module[].fence.wormholePort',
  ],
  [
    'pilot',
    'EnvoyFilter/default/to-global-sidecar',
    'spec.configPatches[2].patch.value.virtual_hosts[0].name',
    'spec.module[].fence.dispatches[name=163].name',
  ],
  [
    'pilot',
    'EnvoyFilter/default/to-global-sidecar',
    'spec.configPatches[5].patch.value.virtual_hosts[1].domains[1]',
    'spec.module[].fence.dispatches[name=baidu].domains[1]',
  ],
  [
    'pilot',
    'EnvoyFilter/default/to-global-sidecar',
    'spec.configPatches[2].patch.value.virtual_hosts[2].routes[0].route.cluster',
    'spec.module[].fence.dispatches[name=sohu].cluster',
  ],
  [
    'pilot',
    'EnvoyFilter/default/to-global-sidecar',
    'spec.configPatches[0].match.routeConfiguration.name',
    'spec.module[].fence.wormholePort',
  ],
  [
    'pilot',
    'EnvoyFilter/default/global-sidecar-guard',
    'spec.configPatches[1].match.routeConfiguration.vhost.name',
    'spec.module[].fence.dispatches[name=baidu].name',
  ],
]

for (const [shape, id, field, specPath] of table) {
  test(`${shape}: ${id} ${field} comes from ${specPath ?? 'no field'}`, () => {
    const manifest = shapes[shape]?.find(({ object }) => objectId(object) === id)
    assert.ok(manifest, `${id} is not rendered`)
    assert.equal(specPathOf(manifest, field), specPath)
  })
}
