/** Our CRDs on a real API server: what it accepts, refuses, keeps and shows. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { Agent, request } from 'undici'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { schemaProblems } from '../../operator/spec/schema-check.ts'
import { readManifestFile } from '../../operator/spec/yaml-file.ts'
import { pruneNulls } from '../../operator/spec/prune-nulls.ts'
import { parseGoYaml } from '../../operator/spec/go-yaml.ts'
import type { Json, JsonObject, KubeObject } from '../../runtime/object.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { bootWith, lazyload, validSpec } from '../helpers/specs.ts'

const ROOT = join(import.meta.dirname, '../..')
const PLURALS: Readonly<Record<string, string>> = {
  NetworkPolicy: 'networkpolicies',
  ServiceFence: 'servicefences',
  SlimeBoot: 'slimeboots',
}
const CLUSTER_SCOPED = new Set(['Namespace', 'PersistentVolume', 'ClusterRole', 'ClusterRoleBinding'])

let cluster: ClusterAccess
let namespace: string
before(async () => {
  cluster = await sharedCluster()
  namespace = await createNamespace(cluster, 'crds')
})

function collection({ apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>, group?: string): string {
  const plural = PLURALS[kind] ?? `${kind.toLowerCase()}s`
  const version = group === undefined ? apiVersion : `${group}/v1alpha1`
  const root = version.includes('/') ? `/apis/${version}` : `/api/${version}`
  return CLUSTER_SCOPED.has(kind) ? `${root}/${plural}` : `${root}/namespaces/${namespace}/${plural}`
}

/** Server-side apply as a dry run that refuses unknown fields. */
async function dryRun(object: KubeObject) {
  const body = CLUSTER_SCOPED.has(object.kind) ? object : { ...object, metadata: { ...object.metadata, namespace } }
  const path = `${collection(object)}/${object.metadata.name}?dryRun=All&fieldManager=test&fieldValidation=Strict`
  return await cluster.request('PATCH', path, { body, contentType: 'application/apply-patch+yaml' })
}

async function create(spec: Json, name: string) {
  const boot = bootWith(spec)
  return await cluster.request('POST', collection(boot), { body: { ...boot, metadata: { name, namespace } } })
}

for (const folder of ['samples', 'test/fixtures/tutorial']) {
  for (const file of readdirSync(join(ROOT, folder))) {
    test(`${folder}/${file} is accepted, every field known`, async () => {
      for (const object of await readManifestFile(join(ROOT, folder, file))) {
        const { status, body } = await dryRun(object)
        assert.ok(status < 300, `${object.kind}/${object.metadata.name}: ${body.message}`)
      }
    })
  }
}

const REFUSED: readonly (readonly [spec: JsonObject, path: string])[] = [
  [{ image: { repository: 1 } }, 'spec.image.repository'],
  [{ image: { repository: 'r', pullPolicy: 'Sometimes' } }, 'spec.image.pullPolicy'],
  [{ replicaCount: '3' }, 'spec.replicaCount'],
  [{ service: { port: 70000 } }, 'spec.service.port'],
  [{ module: {} }, 'spec.module'],
  [{ module: [lazyload({ enable: 'true' })] }, 'spec.module[0].enable'],
  [{ module: [lazyload({ fence: { dispatches: [{ name: false }] } })] }, 'spec.module[0].fence.dispatches[0].name'],
  [{ module: [lazyload({ fence: { dispatches: [{ domains: [163] }] } })] }, 'spec.module[0].fence.dispatches[0].domains[0]'],
  [{ module: [lazyload({ global: { log: { logRotate: 'yes' } } })] }, 'spec.module[0].global.log.logRotate'],
  [{ component: { globalSidecar: { namespace: 'a' } } }, 'spec.component.globalSidecar.namespace'],
  [{ component: { pilot: { enable: 1 } } }, 'spec.component.pilot.enable'],
  [{ volumes: ['x'] }, 'spec.volumes[0]'],
  [{ nodeSelector: { a: 1 } }, 'spec.nodeSelector.a'],
]

for (const [parts, path] of REFUSED) {
  test(`a wrong ${path} is refused with its path, by the API server and by us`, async () => {
    const boot = bootWith(validSpec(parts))
    const { status, body } = await cluster.request('POST', `${collection(boot)}?dryRun=All`, {
      body: { ...boot, metadata: { name: 'wrong' } },
    })
    assert.equal(status, 422)
    assert.ok(body.message.includes(path), body.message)
    assert.deepEqual(
      schemaProblems(boot.spec).map((problem) => problem.path),
      [path],
    )
  })
}

test('what a looser client writes is accepted and kept: unknown keys, numbers for text, nulls, booleans as mode', async () => {
  const spec = validSpec({
    foo: { bar: [1, 'x', null] },
    resources: null,
    volumes: null,
    module: [
      lazyload({
        zebra: { a: 1 },
        fence: { wormholePort: [9080, '80'], dispatches: [{ name: 163, domains: ['a'], cluster: 'b', more: true }] },
        global: { misc: { 'global-sidecar-mode': false, x: 1 } },
      }),
    ],
    component: { globalSidecar: { type: false, sidecarInject: { enable: true } }, reportServer: { enable: false } },
  })
  assert.deepEqual(schemaProblems(spec), [])
  const { status, body } = await create(spec, 'loose')
  assert.equal(status, 201, body.message)
  assert.deepEqual(body.spec, spec)
})

test('null for a field that cannot be null counts as not written, for the API server and for us', async () => {
  const spec = {
    namespace: null,
    foo: null,
    resources: null,
    nodeSelector: { a: null, b: 'c' },
    service: null,
    image: { repository: 'r', pullPolicy: null, tag: null },
    module: [
      {
        name: null,
        enable: null,
        zebra: null,
        fence: { wormholePort: null, dispatches: [{ name: null, domains: null, any: null }] },
        global: { misc: { 'global-sidecar-mode': null, x: null } },
        general: { x: null },
      },
    ],
    component: { globalSidecar: { type: null, replicas: null, other: null } },
  }
  const { status, body } = await create(spec, 'nulls')
  assert.equal(status, 201, body.message)
  assert.deepEqual(pruneNulls(spec), body.spec)
})

const FENCES: readonly JsonObject[] = [
  {},
  {
    enable: true,
    host: { 'a.default.svc.cluster.local': { stable: {} }, 'b/*': null, c: { deadline: { expire: { seconds: 1_900_000_000 } } } },
  },
  { enable: true, host: { a: { auto: { duration: { seconds: '60' } }, RecentlyCalled: { seconds: 1, nanos: 5 } } } },
  { labelSelector: [{ selector: { app: 'a' } }], workloadSelector: { fromService: true, labels: { a: 'b' } }, namespaceSelector: ['a'] },
]

for (const [index, spec] of FENCES.entries()) {
  test(`ServiceFence spec ${JSON.stringify(spec).slice(0, 60)} is accepted and kept`, async () => {
    const fence = { apiVersion: 'microservice.slime.io/v1alpha1', kind: 'ServiceFence', metadata: { name: `fence-${index}` }, spec }
    const { status, body } = await cluster.request('POST', collection(fence), { body: fence })
    assert.equal(status, 201, body.message)
    assert.deepEqual(body.spec, spec)
  })
}

test('short names and status subresources are served', async () => {
  for (const [group, plural, shortNames] of [
    ['config.netease.com', 'slimeboots', ['sb', 'slb']],
    ['microservice.slime.io', 'servicefences', ['svf']],
  ] as const) {
    const { body } = await cluster.request('GET', `/apis/${group}/v1alpha1`)
    const resources = body.resources as { name: string; shortNames?: string[] }[]
    assert.deepEqual(resources.map(({ name }) => name).toSorted(), [plural, `${plural}/status`])
    assert.deepEqual(resources.find(({ name }) => name === plural)?.shortNames, shortNames)
  }
})

test('kubectl get slimeboot shows Ready, Reason, Mode, Modules and Age', async () => {
  await create(validSpec(), 'columns')
  const at = new Date().toISOString()
  const status = {
    observedGeneration: 1,
    mode: 'namespaced',
    shape: 'stock',
    modules: ['lazyload', 'b'],
    moduleNames: 'lazyload,b',
    conditions: [{ type: 'Ready', status: 'False', reason: 'Progressing', message: 'x', lastTransitionTime: at, observedGeneration: 1 }],
    objects: { total: 9, ready: 8 },
    unready: [{ object: 'Deployment/default/global-sidecar', reason: 'ImagePullBackOff', message: 'y' }],
    warnings: [{ reason: 'UnknownKey', path: 'spec.x', message: 'z' }],
  }
  await patchStatus(`${collection(bootWith({}))}/columns`, status)
  assert.deepEqual(await table(`${collection(bootWith({}))}/columns`), {
    Name: 'columns',
    Ready: 'False',
    Reason: 'Progressing',
    Mode: 'namespaced',
    Modules: 'lazyload,b',
  })
})

test('kubectl get servicefence shows Enabled, Hosts, Last Learned and Age, and with -o wide what is kept', async () => {
  const fence = { apiVersion: 'microservice.slime.io/v1alpha1', kind: 'ServiceFence', metadata: { name: 'shown' }, spec: { enable: true } }
  await cluster.request('POST', collection(fence), { body: fence })
  const domains = { a: { hosts: ['a'] }, b: { hosts: ['b'], status: 2, source: 'accesslog' }, c: { hosts: ['c'], status: 'EXPIREWAIT' } }
  await patchStatus(`${collection(fence)}/shown`, {
    hosts: 3,
    lastLearned: new Date().toISOString(),
    domains,
    metricStatus: { x: '1' },
    visitor: { 'a/b': true },
    kept: { total: 4 },
  })
  const { 'Last Learned': learned, ...row } = await table(`${collection(fence)}/shown`)
  assert.deepEqual(row, { Name: 'shown', Enabled: true, Hosts: 3, Kept: 4 })
  assert.match(String(learned), /^\d+s$/)
})

const many = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index)
const map = (count: number): JsonObject => Object.fromEntries(many(count).map((index) => [`key-${index}`, {}]))

/** Stored when the CRD let anything pass: of other types, and larger than it allows now. */
const STORED: readonly (readonly [what: string, file: string, kind: string, spec: Json])[] = [
  [
    'of other types',
    'slimeboots.config.netease.com',
    'SlimeBoot',
    { image: { repository: 5, pullPolicy: 'Sometimes' }, namespace: null, module: { a: 1 }, service: { port: 'x' } },
  ],
  ['of other types, with 2,000 keys', 'slimeboots.config.netease.com', 'SlimeBoot', { ...map(2000), module: { a: 1 } }],
  [
    'with 5,000 namespaces and 300 dispatches',
    'slimeboots.config.netease.com',
    'SlimeBoot',
    {
      component: { globalSidecar: { namespace: many(5000).map((index) => `n${index}`) } },
      module: [{ name: 'a', fence: { dispatches: many(300).map((index) => ({ name: `d${index}` })) } }],
    },
  ],
  [
    'with 36,000 selectors',
    'servicefences.microservice.slime.io',
    'ServiceFence',
    { labelSelector: many(36_000).map((index) => ({ selector: { app: `x${index}` } })) },
  ],
  [
    'with 5,000 hosts and 100 labels',
    'servicefences.microservice.slime.io',
    'ServiceFence',
    { host: map(5000), workloadSelector: { labels: Object.fromEntries(many(100).map((index) => [`l${index}`, 'x'])) } },
  ],
]

for (const [index, [what, file, kind, spec]] of STORED.entries())
  test(`a ${kind} ${what} that was stored under a loose CRD accepts writes of its finalizer and status, and no new one is accepted`, async () => {
    const group = `${namespace}-${index}.test`
    const [plural = '', ...rest] = file.split('.')
    const [definition] = parseGoYaml(readFileSync(join(ROOT, `crds/${file}.yaml`), 'utf8'), 'crd') as unknown as [KubeObject]
    const own = JSON.parse(JSON.stringify(definition).replaceAll(rest.join('.'), group)) as Definition
    const [version] = own.spec.versions
    const loose = {
      ...own,
      spec: {
        ...own.spec,
        versions: [{ ...version, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }],
      },
    }
    const path = `/apis/${group}/v1alpha1/namespaces/${namespace}/${plural}`
    await applyDefinition(loose)
    await eventually(async () => assert.equal((await cluster.request('GET', path)).status, 200))
    const object = { apiVersion: `${group}/v1alpha1`, kind, metadata: { name: 'old' }, spec }
    await eventually(async () => assert.equal((await cluster.request('POST', path, { body: object })).status, 201))
    await applyDefinition(own)
    await eventually(async () =>
      assert.equal((await cluster.request('POST', `${path}?dryRun=All`, { body: { ...object, metadata: { name: 'new' } } })).status, 422),
    )
    const finalizer = await cluster.request('PATCH', `${path}/old`, {
      body: [{ op: 'add', path: '/metadata/finalizers', value: [`${group}/x`] }],
      contentType: 'application/json-patch+json',
    })
    assert.equal(finalizer.status, 200, finalizer.body.message)
    await patchStatus(`${path}/old`, { observedGeneration: 1 })
    const removed = await cluster.request('PATCH', `${path}/old`, {
      body: [{ op: 'remove', path: '/metadata/finalizers' }],
      contentType: 'application/json-patch+json',
    })
    assert.equal(removed.status, 200, removed.body.message)
    await cluster.request('DELETE', `${DEFINITIONS}/${own.metadata.name}`)
  })

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

interface Definition extends KubeObject {
  readonly spec: { readonly versions: readonly JsonObject[] }
}

async function applyDefinition(definition: Definition): Promise<void> {
  const { status, body } = await cluster.request('PATCH', `${DEFINITIONS}/${definition.metadata.name}?fieldManager=test&force=true`, {
    body: definition,
    contentType: 'application/apply-patch+yaml',
  })
  assert.ok(status < 300, body.message)
}

async function patchStatus(path: string, status: JsonObject): Promise<void> {
  const answer = await cluster.request('PATCH', `${path}/status?fieldValidation=Strict`, {
    body: { status },
    contentType: 'application/merge-patch+json',
  })
  assert.equal(answer.status, 200, answer.body.message)
}

/** The row that `kubectl get` prints, by column, without AGE. */
async function table(path: string): Promise<Record<string, unknown>> {
  const dispatcher = new Agent({ connect: { ca: readFileSync(cluster.caFile) } })
  const headers = { authorization: `Bearer ${cluster.adminToken}`, accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
  const { body } = await request(`${cluster.server}${path}`, { dispatcher, headers })
  const { columnDefinitions, rows } = (await body.json()) as { columnDefinitions: { name: string }[]; rows: { cells: unknown[] }[] }
  await dispatcher.close()
  assert.equal(columnDefinitions.at(-1)?.name, 'Age')
  return Object.fromEntries(columnDefinitions.slice(0, -1).map(({ name }, index) => [name, rows[0]?.cells[index]]))
}
