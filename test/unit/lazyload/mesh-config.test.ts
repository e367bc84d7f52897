/** Hosts that the mesh configuration names, whatever kind of provider names them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMeshConfig } from '../../../lazyload/keep/mesh-config.ts'

test('hosts of every kind of extension provider, of tracing, and of the services of proxies', () => {
  const kinds = [
    ['envoyExtAuthzHttp', 'authz-http.foo.svc.cluster.local'],
    ['envoyExtAuthzGrpc', 'foo/authz-grpc.foo.svc.cluster.local'],
    ['zipkin', 'zipkin.tracing.svc.cluster.local'],
    ['lightstep', 'lightstep.tracing.svc.cluster.local'],
    ['datadog', 'datadog.tracing.svc.cluster.local'],
    ['skywalking', 'tracing/skywalking.tracing.svc.cluster.local'],
    ['opencensus', 'opencensus.tracing.svc.cluster.local'],
    ['opentelemetry', 'otel.tracing.svc.cluster.local'],
    ['envoyHttpAls', 'http-als.tracing.svc.cluster.local'],
    ['envoyTcpAls', 'tcp-als.tracing.svc.cluster.local'],
    ['envoyOtelAls', 'otel-als.tracing.svc.cluster.local'],
    ['envoyOtelAls', 'collector.example.com'],
  ] as const
  const providers = kinds.map(([kind, service], index) => `- name: p${index}\n  ${kind}:\n    service: ${service}\n    port: 9000\n`)
  const { hosts } = parseMeshConfig(`extensionProviders:\n${providers.join('')}`)
  assert.deepEqual(hosts, kinds.map(([, service]) => service.replace(/^.*\//, '')).sort())
})

test('addresses of tracing and of the services of proxies lose their port and scheme; addresses and variables are no hosts', () => {
  const { hosts } = parseMeshConfig(`
rootNamespace: root
defaultServiceExportTo: ["."]
extensionProviders:
- name: prometheus
  prometheus: {}
- name: file
  envoyFileAccessLog: { path: /dev/stdout }
defaultConfig:
  discoveryAddress: istiod.istio-system.svc:15012
  tracing:
    zipkin: { address: "zipkin.istio-system:9411" }
    lightstep: { address: 'dns:///LS.example.com:443' }
    datadog: { address: '$(HOST_IP):8126' }
    openCensusAgent: { address: '10.0.0.1:55678' }
  envoyAccessLogService: { address: als.foo.svc.cluster.local:9000 }
  envoyMetricsService: { address: 'metrics.foo:15000' }
`)
  assert.deepEqual(hosts, ['als.foo.svc.cluster.local', 'ls.example.com', 'metrics.foo', 'zipkin.istio-system'])
})

test('defaults of visibility, the root namespace, and what is no mesh configuration', () => {
  const mesh = parseMeshConfig('{"rootNamespace": "root", "defaultServiceExportTo": ["."], "defaultVirtualServiceExportTo": ["a"]}')
  assert.deepEqual([mesh.rootNamespace, mesh.exportTo], ['root', { Service: ['.'], VirtualService: ['a'] }])
  for (const text of ['', 'null', '[]', '3', 'extensionProviders: 3', 'extensionProviders: [3, null, {zipkin: null}]', 'defaultConfig: x'])
    assert.deepEqual(parseMeshConfig(text), {
      hosts: [],
      exportTo: { Service: undefined, VirtualService: undefined },
      rootNamespace: undefined,
    })
})
