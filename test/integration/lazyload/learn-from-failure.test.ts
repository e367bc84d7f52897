/** Calls that the global-sidecar could not serve: what they asked for is learned all the same, where the mesh has it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SERVICE, SERVICE_ENTRY, VIRTUAL_SERVICE } from '../../../lazyload/kinds.ts'
import type { JsonObject } from '../../../runtime/object.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import { LOOPBACK, type LoggedRequest, LOOPBACK_MODULE, messageOf, openLogStream } from '../../helpers/access-log.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import {
  createEndpoints,
  createFence,
  createService,
  dependenciesOf,
  type Lazyload,
  metricOf,
  sidecarOf,
  startLazyload,
} from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

const cluster = await sharedCluster()
const client = adminClient(cluster)
let namespace: string
let elsewhere: string
let lazyload: Lazyload
let clusterIP: string
const CALLER = '172.18.0.11'

const create = async (type: ResourceType, name: string, spec: JsonObject, where = namespace): Promise<JsonObject> =>
  (
    await client.create(
      type,
      { apiVersion: type.apiVersion, kind: type.kind, metadata: { name, namespace: where }, spec },
      'kubectl-create',
    )
  )['spec'] as JsonObject

before(async () => {
  namespace = await createNamespace(cluster, 'failure')
  elsewhere = await createNamespace(cluster, 'failure-elsewhere')
  await createService(client, namespace, 'caller')
  await createEndpoints(client, namespace, 'caller', [CALLER])
  const tcp = { ports: [{ name: 'tcp-db', port: 9080 }], selector: { app: 'db' } }
  clusterIP = (await create(SERVICE, 'db', tcp))['clusterIP'] as string
  for (const where of [namespace, elsewhere])
    await create(SERVICE, 'web', { clusterIP: 'None', ports: [{ name: 'http', port: 9080 }], selector: { app: 'web' } }, where)
  await createEndpoints(client, elsewhere, 'web', ['172.18.0.20'])
  const ports = [{ number: 9080, name: 'http', protocol: 'HTTP' }]
  await create(SERVICE_ENTRY, 'wild', { hosts: ['*.failure.example.com'], ports, resolution: 'NONE', exportTo: ['.'] })
  await create(VIRTUAL_SERVICE, 'virtual', {
    hosts: ['virtual.failure.example.org'],
    http: [{ route: [{ destination: { host: `db.${namespace}.svc.cluster.local` } }] }],
  })
  lazyload = await startLazyload(cluster, {
    namespaces: [namespace],
    config: { ...LOOPBACK_MODULE, general: { checkLogSource: false, keep: 'none' } },
  })
  await createFence(client, namespace, 'caller', { enable: true })
  await eventually(async () => await sidecarOf(client, namespace, 'caller'))
})
after(async () => await lazyload.stop())

/** Sends what a global-sidecar logs of these calls, in one message. */
async function failed(authorities: readonly string[], upstreamCluster?: string): Promise<void> {
  const stream = openLogStream(await lazyload.logPort(), LOOPBACK)
  const call = (authority: string): LoggedRequest => ({
    directRemote: CALLER,
    authority,
    ...(upstreamCluster === undefined ? {} : { upstreamCluster }),
  })
  stream.send(messageOf(authorities.map(call)))
  await stream.end()
}

const forget = async (): Promise<void> => {
  assert.equal((await lazyload.get(`/lazyload/debug/svfReset?ns=${namespace}&name=caller`, 'POST')).status, 200)
  await eventually(async () => assert.deepEqual(await dependenciesOf(client, namespace, 'caller'), []))
}

test('what does not resolve to something in the mesh teaches nothing, however often it is asked for', async () => {
  const unknown = [
    'nobody',
    'nobody.example.com',
    `nobody.${namespace}.svc.cluster.local`,
    '10.254.254.254:9080',
    '[2001:db8::1]:9080',
    '</x>',
  ]
  const soFar = await metricOf(lazyload, 'slime_lazyload_accesslog_entries_total{result="no-destination"}')
  await failed(unknown)
  await eventually(async () =>
    assert.equal(await metricOf(lazyload, 'slime_lazyload_accesslog_entries_total{result="no-destination"}'), soFar + unknown.length),
  )
  assert.deepEqual(await dependenciesOf(client, namespace, 'caller'), [])
})

const host = (service: string, where: string): string => `${service}.${where}.svc.cluster.local`
const cases: readonly (readonly [string, () => readonly string[], () => readonly string[]])[] = [
  ['a TCP Service by its short name', () => ['db:9080'], () => [host('db', namespace)]],
  [
    'a Service by its full name, in capitals and with a closing dot',
    () => [`DB.${namespace}.SVC.cluster.local.:9080`],
    () => [host('db', namespace)],
  ],
  ['a Service by its ClusterIP', () => [`${clusterIP}:9080`], () => [host('db', namespace)]],
  ['a Service of another namespace by the address of a pod', () => ['172.18.0.20:9080'], () => [host('web', elsewhere)]],
  ['a pod of a StatefulSet by its full name', () => [`web-0.web.${namespace}.svc.cluster.local:9080`], () => [host('web', namespace)]],
  [
    'a pod of a StatefulSet by its short names',
    () => ['web-0.web', `web-1.web.${elsewhere}:9080`],
    () => [host('web', elsewhere), host('web', namespace)],
  ],
  ['a host below a wildcard, as the wildcard', () => ['a.failure.example.com'], () => ['*.failure.example.com']],
  [
    'a host that only a VirtualService has, with where it leads',
    () => ['virtual.failure.example.org'],
    () => [host('db', namespace), 'virtual.failure.example.org'],
  ],
]
for (const [what, authorities, expected] of cases) {
  for (const upstream of [undefined, 'PassthroughCluster'])
    test(`learns ${what}, where ${upstream ?? 'no cluster'} answered`, async () => {
      await failed(authorities(), upstream)
      await eventually(async () =>
        assert.deepEqual([...(await dependenciesOf(client, namespace, 'caller'))].sort(), [...expected()].sort()),
      )
      await forget()
    })
}
