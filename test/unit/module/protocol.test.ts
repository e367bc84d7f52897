/** Istio's own rules, as its tables have them (pkg/config/kube/conversion_test.go), and what they mean for a Service. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exposureOfEntry, exposureOfService } from '../../../lazyload/keep/exposure.ts'
import { protocolOfEntry, protocolOfService, type Protocol } from '../../../module/protocol.ts'
import { isVisible } from '../../../lazyload/keep/visibility.ts'
import type { JsonObject, KubeObject } from '../../../runtime/object.ts'

const names: readonly (readonly [port: number, name: string | undefined, expected: Protocol])[] = [
  [8888, '', 'unknown'],
  [8888, undefined, 'unknown'],
  [25, '', 'tcp'],
  [53, '', 'tcp'],
  [3306, '', 'tcp'],
  [27017, '', 'tcp'],
  [8888, 'http', 'http'],
  [8888, 'HTTP', 'http'],
  [8888, 'http-test', 'http'],
  [8888, 'http2', 'http'],
  [8888, 'http2-test', 'http'],
  [8888, 'http_proxy', 'http'],
  [8888, 'httptest', 'unknown'],
  [8888, 'grpc', 'http'],
  [8888, 'grpc-test', 'http'],
  [8888, 'grpc-web', 'http'],
  [8888, 'gRPC-Web-test', 'http'],
  [8888, 'grpcweb', 'unknown'],
  [8888, 'grpc-webby', 'http'],
  [8888, 'mongo', 'tcp'],
  [8888, 'mongo-test', 'tcp'],
  [8888, 'redis', 'tcp'],
  [8888, 'mysql-1', 'tcp'],
  [8888, 'tcp', 'tcp'],
  [8888, 'tls-x', 'tcp'],
  [8888, 'https', 'tcp'],
  [8888, 'auto', 'unknown'],
  [3306, 'http-mysql', 'http'],
  [3306, 'some', 'tcp'],
  [8888, 'udp', 'udp'],
  [8888, 'amqp', 'unknown'],
  [8888, 'metrics-http', 'unknown'],
]
for (const [port, name, expected] of names)
  test(`a port ${port} named ${String(name)} is ${expected}`, () =>
    assert.equal(protocolOfService({ port, ...(name === undefined ? {} : { name }) }), expected))

const said: readonly (readonly [appProtocol: string | null, name: string, expected: Protocol])[] = [
  ['http', 'tcp-x', 'http'],
  ['tcp', 'http', 'tcp'],
  ['GRPC', 'tcp', 'http'],
  ['grpc-web', 'tcp', 'http'],
  ['kubernetes.io/h2c', 'tcp', 'http'],
  ['kubernetes.io/ws', 'tcp', 'http'],
  ['kubernetes.io/wss', 'http', 'tcp'],
  ['kubernetes.io/other', 'http', 'unknown'],
  ['https', 'http', 'tcp'],
  ['mycompany.com/custom', 'http', 'unknown'],
  ['', 'http', 'unknown'],
  [null, 'http', 'http'],
]
for (const [appProtocol, name, expected] of said)
  test(`appProtocol ${String(appProtocol)} on a port named ${name} is ${expected}`, () =>
    assert.equal(protocolOfService({ port: 80, name, appProtocol }), expected))

test('UDP and SCTP are no matter of proxies, whatever they are called; a ServiceEntry says its protocol alone', () => {
  assert.equal(protocolOfService({ port: 53, name: 'http', protocol: 'UDP' }), 'udp')
  assert.equal(protocolOfService({ port: 53, name: 'http', protocol: 'SCTP' }), 'udp')
  const entries: readonly (readonly [string | undefined, Protocol])[] = [
    ['HTTP', 'http'],
    ['http2', 'http'],
    ['GRPC', 'http'],
    ['GRPC-Web', 'http'],
    ['HTTPS', 'tcp'],
    ['TLS', 'tcp'],
    ['MONGO', 'tcp'],
    ['UDP', 'udp'],
    ['http-x', 'unknown'],
    ['', 'unknown'],
    [undefined, 'unknown'],
  ]
  for (const [protocol, expected] of entries) assert.equal(protocolOfEntry(protocol), expected, String(protocol))
})

const object = (spec: JsonObject, annotations: Readonly<Record<string, string>> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'x', namespace: 'y', annotations },
  spec,
})

test('what is remembered of Services and ServiceEntries', () => {
  const http = { name: 'http', port: 80 }
  assert.deepEqual(exposureOfService(object({ ports: [http] })), { http: [80], other: false, direct: false })
  assert.deepEqual(exposureOfService(object({ ports: [http, { name: 'db', port: 3306 }], clusterIP: 'None' })), {
    http: [80],
    other: true,
    direct: true,
  })
  assert.deepEqual(exposureOfService(object({ ports: [http] }, { 'networking.istio.io/exportTo': ' . , b' }))?.exportTo, ['.', 'b'])
  assert.equal(exposureOfService(object({ ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] })), undefined)
  assert.equal(exposureOfService(object({ type: 'ExternalName', externalName: 'a.b', ports: [{ name: 'tcp', port: 1 }] })), undefined)
  assert.equal(exposureOfService(object({ clusterIP: 'None' })), undefined)
  const entry = { ports: [{ number: 443, name: 'https', protocol: 'TLS' }] }
  assert.deepEqual(exposureOfEntry(object(entry)), { http: [], other: true, direct: true })
  assert.deepEqual(exposureOfEntry(object({ ...entry, resolution: 'DNS', exportTo: ['.'] })), {
    http: [],
    other: true,
    direct: false,
    exportTo: ['.'],
  })
})

test('exportTo: everybody beats nobody, nobody beats names, a point is the own namespace', () => {
  const cases: readonly (readonly [readonly string[] | undefined, readonly string[] | undefined, string, boolean])[] = [
    [undefined, undefined, 'b', true],
    [[], undefined, 'b', true],
    [undefined, ['.'], 'b', false],
    [undefined, ['.'], 'a', true],
    [undefined, ['~'], 'a', false],
    [['*'], ['.'], 'b', true],
    [['~', '*'], undefined, 'b', true],
    [['~', 'b'], undefined, 'b', false],
    [['.'], undefined, 'a', true],
    [['.'], undefined, 'b', false],
    [['b', 'c'], undefined, 'b', true],
    [['b', 'c'], undefined, 'a', false],
  ]
  for (const [exportTo, byDefault, from, expected] of cases)
    assert.equal(isVisible(exportTo, byDefault, 'a', from), expected, JSON.stringify([exportTo, byDefault, from]))
})
