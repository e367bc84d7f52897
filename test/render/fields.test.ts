import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { type JsonObject, type KubeObject, objectId } from '../../runtime/object.ts'
import { RenderError } from '../../operator/render/render-error.ts'
import { render } from '../../operator/render/render.ts'
import { buildValues } from '../../operator/spec/build-values.ts'
import type { Values } from '../../operator/spec/values.ts'
import { type ShapeOptions, TUTORIAL_DISPATCHES, bootOf, slimeBoot, valuesOf } from '../helpers/shapes.ts'

const PLAIN: ShapeOptions = {
  mode: 'namespaced',
  source: 'prometheus',
  shape: 'stock',
  volumes: false,
  dispatches: false,
  namespaces: ['default'],
}

test('dispatches become virtual hosts per port, names and ports as text, the loop port in the cluster of _GLOBAL_SIDECAR', () => {
  const boot = slimeBoot({
    image: { repository: 'slime' },
    module: [{ name: 'lazyload', enable: true, fence: { wormholePort: ['80', '8080'], dispatches: TUTORIAL_DISPATCHES } }],
    component: { globalSidecar: { enable: true, type: 'namespaced', namespace: ['testns'] } },
    foo: 'bar',
  })
  const filter = find(render(buildValues(boot)), 'EnvoyFilter/testns/to-global-sidecar')
  const vhost = (name: string, domains: string[], cluster: string, more = {}) => ({
    name,
    domains,
    routes: [{ match: { prefix: '/' }, route: { cluster, timeout: '0s' }, ...more }],
  })
  const noAddress = { request_headers_to_remove: ['x-slime-original-destination'] }
  const remove = (port: string, name: string) => ({
    applyTo: 'VIRTUAL_HOST',
    match: { context: 'SIDECAR_OUTBOUND', routeConfiguration: { name: port, vhost: { name } } },
    patch: { operation: 'REMOVE' },
  })
  const patchesOf = (port: string) => [
    remove(port, 'allow_any'),
    remove(port, 'allow_any_dynamic_dns'),
    remove(port, 'block_all'),
    {
      applyTo: 'VIRTUAL_HOST',
      match: {
        context: 'SIDECAR_OUTBOUND',
        routeConfiguration: { name: port, vhost: { name: `global-sidecar.testns.svc.cluster.local:${port}` } },
      },
      patch: { operation: 'MERGE', value: noAddress },
    },
    {
      applyTo: 'ROUTE_CONFIGURATION',
      match: { context: 'SIDECAR_OUTBOUND', routeConfiguration: { name: port } },
      patch: {
        operation: 'MERGE',
        value: {
          virtual_hosts: [
            vhost('163', ['www.163.com'], 'outbound|80||egress1.testns.svc.cluster.local'),
            vhost('baidu', ['*.baidu.com', 'baidu.*'], 'bar.mesh-operator'),
            vhost('sohu', ['*.sohu.com', 'sodu.*'], `outbound|${port}||global-sidecar.testns.svc.cluster.local`, noAddress),
            vhost('default', ['*'], 'PassthroughCluster'),
          ],
        },
      },
    },
    waitsForClusters(Number(port)),
  ]
  assert.deepEqual(filter['spec'], { configPatches: [...patchesOf('80'), ...patchesOf('8080')] })
})

/** The filter that lets a call wait for a cluster which is announced, but not ready. */
function waitsForClusters(portNumber: number) {
  return {
    applyTo: 'HTTP_FILTER',
    match: {
      context: 'SIDECAR_OUTBOUND',
      proxy: { proxyVersion: String.raw`^1\.[2-9]\d.*` },
      listener: {
        portNumber,
        filterChain: {
          filter: { name: 'envoy.filters.network.http_connection_manager', subFilter: { name: 'envoy.filters.http.router' } },
        },
      },
    },
    patch: {
      operation: 'INSERT_BEFORE',
      value: {
        name: 'envoy.filters.http.on_demand',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand',
          odcds: { source: { ads: {}, resource_api_version: 'V3' }, timeout: '1s' },
        },
      },
    },
  }
}

test('in cluster mode unknown hosts go to the global-sidecar of the module namespace', () => {
  const filter = find(render(valuesOf({ ...PLAIN, mode: 'cluster' })), 'EnvoyFilter/istio-system/to-global-sidecar')
  assert.ok(JSON.stringify(filter).includes('"cluster":"outbound|9080||global-sidecar.mesh-operator.svc.cluster.local","timeout":"0s"'))
})

test('the guard takes away each virtual host that the catch-all adds or changes, and the own name of the global-sidecar, once', () => {
  for (const unknownHosts of ['passthrough', 'refuse'] as const) {
    for (const dispatches of [false, true]) {
      const values = valuesOf({ ...PLAIN, dispatches })
      const manifests = render({ ...values, globalSidecar: { ...values.globalSidecar, unknownHosts } })
      const touched = patches(find(manifests, 'EnvoyFilter/default/to-global-sidecar')).flatMap(({ match, patch }) => {
        const { name, vhost } = match.routeConfiguration ?? {}
        return [...(vhost === undefined ? [] : [vhost]), ...(patch.value?.virtual_hosts ?? [])].map((each) => `${name} ${each.name}`)
      })
      const removed = patches(find(manifests, 'EnvoyFilter/default/global-sidecar-guard')).flatMap(({ match, patch }) =>
        patch.operation === 'REMOVE' ? [`${match.routeConfiguration?.name} ${match.routeConfiguration?.vhost?.name}`] : [],
      )
      assert.deepEqual(new Set(touched).difference(new Set(removed)), new Set())
      assert.equal(new Set(removed).size, removed.length)
      for (const port of [80, 9080]) {
        assert.ok(removed.includes(`${port} global-sidecar.default.svc.cluster.local:${port}`))
        // what an earlier version has added stays until its catch-all is replaced
        assert.ok(removed.includes(`${port} to_global_sidecar`))
      }
    }
  }
})

test('a dispatch name that is used twice is guarded once', () => {
  const values = valuesOf(PLAIN)
  const dispatches = ['a.com', 'b.com'].map((domain) => ({ name: 'same', domains: [domain], cluster: 'PassthroughCluster' }))
  const guard = find(render({ ...values, ports: [{ port: 80, dispatches }] }), 'EnvoyFilter/default/global-sidecar-guard')
  assert.equal(patches(guard).filter(({ match }) => match.routeConfiguration?.vhost?.name === 'same').length, 1)
})

test('the address that was called goes along where the caller may call everybody, and never what the application wrote', () => {
  const filter = find(render(valuesOf(PLAIN)), 'EnvoyFilter/default/to-global-sidecar')
  const toGlobalSidecar = patches(filter).filter(({ patch }) => patch.value?.name === 'to_global_sidecar')
  const byVhost = toGlobalSidecar.map(({ match, patch }) => [
    `${match.routeConfiguration?.name} ${match.routeConfiguration?.vhost?.name}`,
    patch.value?.request_headers_to_add ?? patch.value?.request_headers_to_remove,
  ])
  const added = [
    {
      header: { key: 'x-slime-original-destination', value: '%DOWNSTREAM_LOCAL_ADDRESS%' },
      append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
    },
  ]
  assert.deepEqual(
    byVhost,
    [9080, 80].flatMap((port) => [
      [`${port} allow_any`, added],
      [`${port} allow_any_dynamic_dns`, added],
      [`${port} block_all`, ['x-slime-original-destination']],
    ]),
  )
})

test('a dispatch of * to the global-sidecar is as none, one to another cluster wins', () => {
  const star = (cluster: string | undefined, ...domains: string[]) => ({ name: 'rest', domains: ['*', ...domains], cluster })
  const values = valuesOf(PLAIN)
  const addedBy = (dispatch: ReturnType<typeof star>) => {
    const filter = find(render({ ...values, ports: [{ port: 80, dispatches: [dispatch] }] }), 'EnvoyFilter/default/to-global-sidecar')
    return patches(filter).flatMap(
      ({ patch }) =>
        patch.value?.virtual_hosts?.flatMap(({ domains }) => domains) ??
        (patch.operation === 'INSERT_FIRST' ? (patch.value?.name ?? []) : []),
    )
  }
  const none = addedBy({ name: 'to_global_sidecar', domains: ['*'], cluster: undefined })
  assert.deepEqual(addedBy(star(undefined)), none)
  assert.ok(none.includes('to_global_sidecar'))
  assert.deepEqual(addedBy(star(undefined, 'a.com')), [...none, 'a.com'])
  assert.deepEqual(addedBy(star('PassthroughCluster', 'a.com')), ['*', 'a.com'])
})

test('the tutorial shape, and unknownHosts: refuse, hand no address on and have no way out', () => {
  const values = valuesOf(PLAIN)
  for (const each of [
    valuesOf({ ...PLAIN, shape: 'pilot' }),
    { ...values, globalSidecar: { ...values.globalSidecar, unknownHosts: 'refuse' } } as const,
  ]) {
    const text = JSON.stringify(render(each).filter(({ object }) => object.kind === 'EnvoyFilter'))
    assert.doesNotMatch(text, /ORIGINAL_DST|x-slime|INSERT_FIRST/)
    assert.ok(text.includes('"to_global_sidecar"'))
  }
})

test('a port that two modules list is exposed once', () => {
  const module = (name: string) => ({ name, enable: true, fence: { wormholePort: ['9080', 9080] } })
  const boot = slimeBoot({
    image: { repository: 'slime' },
    module: [module('one'), module('two')],
    component: { globalSidecar: { enable: true, type: 'namespaced', namespace: ['default'] } },
  })
  const service = find(render(buildValues(boot)), 'Service/default/global-sidecar')
  assert.deepEqual((service['spec'] as JsonObject)['ports'], [{ name: 'http-9080', port: 9080, targetPort: 9080, protocol: 'TCP' }])
})

test('the access log goes to the module that learns from it', () => {
  const manifests = render(valuesOf({ ...PLAIN, source: 'accesslog' }))
  const bootstrap = find(manifests, 'ConfigMap/default/lazyload-accesslog-source')
  const text = (bootstrap['data'] as Record<string, string>)['custom_bootstrap.json'] ?? ''
  const address = { socket_address: { address: 'lazyload.mesh-operator', port_value: 8082 } }
  assert.ok(text.endsWith('}\n'))
  assert.deepEqual(JSON.parse(text), {
    static_resources: {
      clusters: [
        {
          name: 'lazyload-accesslog-source',
          type: 'STRICT_DNS',
          connect_timeout: '5s',
          http2_protocol_options: { connection_keepalive: { interval: '10s', timeout: '5s' } },
          dns_lookup_family: 'V4_ONLY',
          respect_dns_ttl: true,
          load_assignment: { cluster_name: 'lazyload-accesslog-source', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
        },
      ],
    },
  })
})

test('pods roll when their configuration changes, and only then', () => {
  const checksums = (values: Values) => Object.fromEntries(render(values).flatMap(({ object }) => checksumOf(object)))
  const before = checksums(valuesOf({ ...PLAIN, shape: 'pilot', source: 'accesslog' }))
  assert.deepEqual(Object.keys(before).toSorted(), [
    'Deployment/default/global-sidecar',
    'Deployment/mesh-operator/global-sidecar-pilot',
    'Deployment/mesh-operator/lazyload',
  ])

  const moreReplicas = checksums(valuesOf({ ...PLAIN, shape: 'pilot', source: 'accesslog' }, { replicaCount: 3 }))
  assert.deepEqual(moreReplicas, before)

  const otherLogPort = checksums(valuesOf({ ...PLAIN, shape: 'pilot', source: 'accesslog' }, { service: { logSourcePort: 9000 } }))
  assert.deepEqual(changed(before, otherLogPort), ['Deployment/default/global-sidecar'])

  const otherConfig = checksums(valuesOf({ ...PLAIN, shape: 'pilot', source: 'accesslog', volumes: true }))
  assert.deepEqual(changed(before, otherConfig), ['Deployment/mesh-operator/lazyload'])
})

test('without an access log the global-sidecar has no configuration to roll for', () => {
  assert.deepEqual(checksumOf(find(render(valuesOf(PLAIN)), 'Deployment/default/global-sidecar')), [])
})

test('only the images of the pilot shape are kept from arm64 nodes, by the label that nodes have', () => {
  const text = (shape: 'pilot' | 'stock') => JSON.stringify(render(valuesOf({ ...PLAIN, shape })))
  assert.ok(!text('stock').includes('nodeAffinity'))
  assert.ok(text('pilot').includes('"key":"kubernetes.io/arch","operator":"In","values":["amd64","ppc64le","s390x"]'))
  assert.ok(!text('pilot').includes('beta.kubernetes.io'))
})

test('the stock global-sidecar is injected by the revision that is given, else by the default one', () => {
  const labels = (values: Values) => podOf(find(render(values), 'Deployment/default/global-sidecar')).metadata.labels
  const plain = { app: 'qz-ingress', 'security.istio.io/tlsMode': 'disabled' }
  const values = valuesOf(PLAIN)
  assert.deepEqual(labels(values), { ...plain, 'sidecar.istio.io/inject': 'true' })
  assert.deepEqual(labels({ ...values, globalSidecar: { ...values.globalSidecar, revision: '1-30' } }), {
    ...plain,
    'istio.io/rev': '1-30',
  })
})

test('the stock global-sidecar leaves its image and resources to the injection unless they are given', () => {
  const values = valuesOf(PLAIN)
  const container = (globalSidecar: Values['globalSidecar']) =>
    podOf(find(render({ ...values, globalSidecar }), 'Deployment/default/global-sidecar')).spec.containers[0]
  assert.deepEqual(container({ ...values.globalSidecar, resources: {} }), { name: 'istio-proxy', image: 'auto' })
  assert.equal(container({ ...values.globalSidecar, image: 'istio/proxyv2:1.30.0' })?.['image'], 'istio/proxyv2:1.30.0')
})

test('the NetworkPolicy lets injected pods reach the wormhole ports, of all namespaces in cluster mode only', () => {
  const ingress = (mode: 'namespaced' | 'cluster') => {
    const values = valuesOf({ ...PLAIN, mode })
    const place = mode === 'cluster' ? 'mesh-operator' : 'default'
    const policy = find(
      render({ ...values, globalSidecar: { ...values.globalSidecar, networkPolicy: true } }),
      `NetworkPolicy/${place}/global-sidecar`,
    )
    return ((policy['spec'] as JsonObject)['ingress'] as readonly JsonObject[])[0]
  }
  const podSelector = { matchLabels: { 'security.istio.io/tlsMode': 'istio' } }
  const ports = [
    { port: 9080, protocol: 'TCP' },
    { port: 80, protocol: 'TCP' },
  ]
  assert.deepEqual(ingress('namespaced'), { from: [{ podSelector }], ports })
  assert.deepEqual(ingress('cluster'), { from: [{ podSelector, namespaceSelector: {} }], ports })
})

test("the pilot's mesh configuration is the tutorial's", () => {
  const data = find(render(valuesOf({ ...PLAIN, shape: 'pilot' })), 'ConfigMap/mesh-operator/istio')['data'] as Record<string, string>
  const mesh = load(data['mesh'] ?? '') as JsonObject
  assert.deepEqual(Object.keys(data), ['mesh', 'meshNetworks', 'values.yaml'])
  for (const text of Object.values(data)) assert.doesNotMatch(text, /\n$/)
  assert.equal(mesh['mixerReportServer'], 'istio-telemetry.mesh-operator.svc.cluster.local:9091')
  assert.equal(mesh['ingressControllerMode'], 'OFF')
  assert.deepEqual(mesh['outboundTrafficPolicy'], { mode: 'ALLOW_ANY' })
})

test('a bundle item has every object but a Deployment', () => {
  const values = valuesOf({ ...PLAIN, mode: 'none' })
  const kinds = render({ ...values, modules: values.modules.map((module) => ({ ...module, bundleItem: true })) }).map(
    ({ object }) => object.kind,
  )
  assert.deepEqual(kinds, ['ServiceAccount', 'ClusterRoleBinding', 'ConfigMap', 'Service'])
})

test('without serviceAccount.create the Deployment still names the ServiceAccount', () => {
  const manifests = render(buildValues(bootOf({ ...PLAIN, mode: 'none' }, { serviceAccount: { create: false } })))
  assert.ok(!manifests.some(({ object }) => object.kind === 'ServiceAccount'))
  assert.equal(podOf(find(manifests, 'Deployment/mesh-operator/lazyload')).spec.serviceAccountName, 'lazyload')
})

test('two modules of one name, a bad name and a bad namespace are refused', () => {
  const values = valuesOf({ ...PLAIN, mode: 'none' })
  const [module] = values.modules
  assert.ok(module)
  assert.throws(() => render({ ...values, modules: [module, module] }), RenderError)
  assert.throws(() => render({ ...values, modules: [{ ...module, name: 'Not_DNS' }] }), RenderError)
  assert.throws(() => render({ ...values, namespace: 'a.b' }), RenderError)
})

function find(manifests: ReturnType<typeof render>, id: string): KubeObject {
  const manifest = manifests.find(({ object }) => objectId(object) === id)
  assert.ok(manifest, `${id} is not among ${manifests.map(({ object }) => objectId(object)).join(', ')}`)
  return manifest.object
}

interface Patch {
  readonly match: { readonly routeConfiguration?: { readonly name: string; readonly vhost?: { readonly name: string } } }
  readonly patch: {
    readonly operation: string
    readonly value?: {
      readonly name?: string
      readonly virtual_hosts?: readonly { readonly name: string; readonly domains: readonly string[] }[]
      readonly request_headers_to_add?: readonly object[]
      readonly request_headers_to_remove?: readonly string[]
    }
  }
}

function patches(filter: KubeObject): readonly Patch[] {
  return (filter['spec'] as { configPatches: readonly Patch[] }).configPatches
}

interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string>; readonly annotations?: Record<string, string> }
  readonly spec: { readonly serviceAccountName: string; readonly containers: readonly Record<string, unknown>[] }
}

function podOf(deployment: KubeObject): PodTemplate {
  return (deployment['spec'] as { template: PodTemplate }).template
}

function checksumOf(object: KubeObject): (readonly [string, string])[] {
  if (object.kind !== 'Deployment') return []
  return Object.entries(podOf(object).metadata.annotations ?? {}).flatMap(([key, value]) =>
    key.startsWith('checksum/') ? [[objectId(object), value] as const] : [],
  )
}

function changed(before: Record<string, string>, after: Record<string, string>): string[] {
  return Object.keys(before).filter((key) => before[key] !== after[key])
}
