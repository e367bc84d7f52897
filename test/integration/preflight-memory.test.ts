/** `slimeboot preflight` counts what a global-sidecar will hold, and says which memory limit that takes. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { CONFIG_MAP, ENDPOINT_SLICE, SERVICE } from '../../operator/api/kinds.ts'
import type { Finding } from '../../operator/preflight/findings.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { bootOf } from '../helpers/shapes.ts'
import { adminClient } from '../helpers/stage.ts'

const MAIN = join(import.meta.dirname, '../../operator/cli/main.ts')
const cluster = await sharedCluster()
const client = adminClient(cluster)
const app = await createNamespace(cluster, 'memory')
const istioNamespace = await createNamespace(cluster, 'mesh')
/** No Service of another test has one of them: 50 ports × 20 Services are 1,000 clusters. */
const PORTS = Array.from({ length: 50 }, (_, index) => 27_300 + index)
const SERVICES = 20

before(async () => {
  await Promise.all(
    Array.from({ length: SERVICES }, async (_, index) => {
      await createService(`s${index}`, PORTS)
      await client.create(ENDPOINT_SLICE, {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: `s${index}`, namespace: app, labels: { 'kubernetes.io/service-name': `s${index}` } },
        addressType: 'IPv4',
        endpoints: Array.from({ length: 10 }, (__, host) => ({ addresses: [`10.9.${index}.${host + 1}`] })),
        ports: PORTS.map((port) => ({ name: `http-${port}`, port })),
      })
    }),
  )
  // what the global-sidecar does not hold: another port, and what its own namespace keeps to itself
  await createService('other-port', [27_400])
  await createService('hidden', PORTS, { 'networking.istio.io/exportTo': '.' })
})

async function createService(name: string, ports: readonly number[], annotations: Readonly<Record<string, string>> = {}): Promise<void> {
  await client.create(SERVICE, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: app, annotations },
    spec: { ports: ports.map((port) => ({ name: `http-${port}`, port })) },
  })
}

/** The line on memory that it prints, and its exit code. */
async function memoryLine(
  resources: JsonObject | undefined,
  { name = 'memory', groups = ['system:masters'] } = {},
): Promise<Finding | undefined> {
  const boot = bootOf({
    mode: 'namespaced',
    source: 'accesslog',
    shape: 'stock',
    volumes: false,
    dispatches: false,
    namespaces: ['default'],
  })
  const spec = boot['spec'] as JsonObject & { module: readonly JsonObject[]; component: { globalSidecar: JsonObject } }
  const { resources: _, ...globalSidecar } = spec.component.globalSidecar
  const file = join(cluster.dir, `${randomBytes(4).toString('hex')}.json`)
  const module = [{ ...spec.module[0], fence: { wormholePort: PORTS.map(String) } }]
  const component = { globalSidecar: { ...globalSidecar, ...(resources === undefined ? {} : { resources }) } }
  writeFileSync(file, JSON.stringify({ ...boot, spec: { ...spec, istioNamespace, module, component } }))
  const args = ['preflight', '-f', file, '--kubeconfig', cluster.kubeconfigFor({ name, groups }), '-o', 'json']
  // exit code 1 where something stands against it
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args]).catch((error: unknown) => error as { stdout: string })
  return (JSON.parse(stdout) as readonly Finding[]).find(({ check }) => check === 'Memory')
}

const HELD =
  'a global-sidecar holds up to 1000 clusters (each Service on each wormhole port) with 10 endpoints on average, which takes about 211Mi'
const SET = 'Set component.globalSidecar.resources.limits.memory to 320Mi or more (measured with Envoy 1.40, docs/performance.md).'

test('warns of a limit that does not hold 1,000 clusters, with the number and the limit to set', async () => {
  assert.deepEqual(await memoryLine({ limits: { memory: '200Mi' } }), {
    check: 'Memory',
    level: 'warning',
    detail: `${HELD}; its limit is 200Mi, so it would be OOM-killed. ${SET}`,
  })
})

test('does not warn of the limit that it asked for', async () => {
  assert.deepEqual(await memoryLine({ limits: { memory: '320Mi' } }), {
    check: 'Memory',
    level: 'ok',
    detail: `${HELD}; its limit is 320Mi`,
  })
})

test('where the SlimeBoot says none, the limit is the one that injection gives', async () => {
  assert.equal((await memoryLine(undefined))?.detail, `${HELD}; it has no memory limit`)
  await client.create(CONFIG_MAP, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio-sidecar-injector', namespace: istioNamespace },
    data: { values: JSON.stringify({ global: { proxy: { resources: { limits: { memory: '128Mi' } } } } }) },
  })
  for (const resources of [undefined, { requests: { memory: '100Mi' } }])
    assert.deepEqual(await memoryLine(resources), {
      check: 'Memory',
      level: 'warning',
      detail: `${HELD}; its limit, the mesh's own for proxies, is 128Mi, so it would be OOM-killed. ${SET}`,
    })
})

test('says that it does not know where the user may not list what it counts', async () => {
  const name = `counts-${randomBytes(4).toString('hex')}`
  const apiGroups = ['', 'apps', 'policy', 'rbac.authorization.k8s.io', 'admissionregistration.k8s.io', 'authorization.k8s.io']
  const rules = [
    { apiGroups: [...apiGroups, 'networking.istio.io', 'networking.k8s.io', 'config.netease.com'], resources: ['*'], verbs: ['*'] },
  ]
  const RBAC = '/apis/rbac.authorization.k8s.io/v1'
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name }
  const subjects = [{ kind: 'User', name, apiGroup: 'rbac.authorization.k8s.io' }]
  for (const [path, body] of [
    ['clusterroles', { metadata: { name }, rules }],
    ['clusterrolebindings', { metadata: { name }, roleRef, subjects }],
  ] as const)
    assert.equal((await cluster.request('POST', `${RBAC}/${path}`, { body })).status, 201)
  const line = await memoryLine({ limits: { memory: '200Mi' } }, { name, groups: [] })
  assert.equal(line?.level, 'warning')
  assert.match(line.detail, /endpointslices.* So what the global-sidecar needs is not known\.$/)
})
