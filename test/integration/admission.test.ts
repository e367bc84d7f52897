/** The admission policies of `deploy/` on a real API server, with real users: who may install where, and which errors are refused at once. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import type { Answer } from '../../local-cluster/access.ts'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { API_VERSION, KIND, type SlimeBoot } from '../../operator/api/slimeboot.ts'
import { compile } from '../../operator/controller/compile.ts'
import { CHECKED_NAMESPACES } from '../../operator/rights/install-policies.ts'
import { readManifestFile } from '../../operator/spec/yaml-file.ts'
import { validate } from '../../operator/spec/validate.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { applyObjects, deployObjects } from '../helpers/deployed-operator.ts'
import { eventually } from '../helpers/eventually.ts'
import { bootWith, CLUSTER, lazyload, validSpec } from '../helpers/specs.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const BOOTS = `/apis/${API_VERSION}/namespaces/team/slimeboots`
/** More than one check per namespace and more than the policies can check one by one. */
const MANY = Array.from({ length: 400 }, (_, index) => `app-${index + 1}`)

let cluster: Cluster

before(async () => {
  cluster = await startCluster({ name: 'admission', controllers: false })
  await applyObjects(cluster, deployObjects())
  for (const name of ['team', 'other', ...MANY.slice(0, CHECKED_NAMESPACES + 1)])
    await createObject('/api/v1/namespaces', { metadata: { name } })
  await eventually(async () => assert.equal((await cluster.request('GET', BOOTS)).status, 200))
  // A policy counts from a moment after it was stored.
  await eventually(async () =>
    assert.equal((await send(cluster.createUser('nobody', ['system:masters']), spec({ image: {} }))).status, 422),
  )
})

after(async () => await cluster?.stop())

test('no policy has an expression that the API server finds wrong types in', async () => {
  // Types are checked by the controller manager, which this cluster does not need otherwise.
  await using checking = await startCluster({ name: 'types' })
  await applyObjects(checking, deployObjects())
  await eventually(async () => {
    const { body } = await checking.request('GET', '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies')
    const checked = Object.fromEntries(body.items.map((item: any) => [item.metadata.name, item.status]))
    const clean = { observedGeneration: 1, typeChecking: {} }
    assert.deepEqual(checked, {
      'slimeboot-marks': clean,
      'slimeboot-namespaces': clean,
      'slimeboot-roles': clean,
      'slimeboot-spec': clean,
    })
  })
})

test('who may install in two namespaces installs there, and nowhere else', async () => {
  const token = await user('anna', { in: ['team', 'app-1'], bind: true })
  assert.deepEqual(outcome(await send(token, spec({ component: sidecars('app-1') }))), { status: 201 })
  assert.match(
    message(await send(token, spec({ component: sidecars('app-1', 'app-2') }))),
    /may not install into namespace app-2 for you: you need verb install on slimeboots\.config\.netease\.com there/,
  )
  assert.match(
    message(await send(token, spec({ namespace: 'other', component: sidecars('app-1') }))),
    /may not install into namespace other for you/,
  )
  const { namespace: _, ...withDefault } = spec({ component: sidecars('app-1') })
  assert.match(message(await send(token, withDefault)), /may not install into namespace mesh-operator for you/)
  assert.deepEqual(
    outcome(await send(token, spec({ component: { globalSidecar: { enable: false, type: 'namespaced', namespace: ['app-2'] } } }))),
    { status: 201 },
  )
})

test('without the right to bind the role of a module or of the pilot nothing is installed', async () => {
  const token = await user('bernd', { in: ['team', 'app-1'], bind: false })
  assert.match(
    message(await send(token, spec({ component: sidecars('app-1') }))),
    /binds ClusterRole slime-lazyload: you need verb bind on it/,
  )
  await grant('bernd', 'lazyload-only', [
    { apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], resourceNames: ['slime-lazyload'], verbs: ['bind'] },
  ])
  assert.deepEqual(outcome(await send(token, spec({ component: sidecars('app-1') }))), { status: 201 })
  assert.match(message(await send(token, spec({ component: withPilot('app-1') }))), /binds ClusterRole slime-global-sidecar-pilot/)
  const limiter = { name: 'limiter', enable: true, kind: 'limiter', limiter: {}, clusterRole: 'their-role' }
  assert.match(
    message(await send(token, spec({ module: [lazyload(), limiter], component: sidecars('app-1') }))),
    /binds ClusterRole their-role/,
  )
  assert.deepEqual(
    outcome(await send(token, spec({ module: [lazyload(), { ...limiter, enable: false }], component: sidecars('app-1') }))),
    { status: 201 },
  )
  await grant('bernd', 'their-role-too', [
    { apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], resourceNames: ['their-role'], verbs: ['bind'] },
  ])
  assert.deepEqual(outcome(await send(token, spec({ module: [lazyload(), limiter], component: sidecars('app-1') }))), { status: 201 })
})

test(`${CHECKED_NAMESPACES} namespaces are checked one by one; for more the right is needed in the whole cluster`, async () => {
  const fitting = MANY.slice(0, CHECKED_NAMESPACES)
  const token = await user('clara', { in: ['team', ...fitting.slice(0, -1)], bind: true })
  assert.match(
    message(await send(token, spec({ component: sidecars(...fitting) }))),
    new RegExp(`may not install into namespace app-${CHECKED_NAMESPACES} for you`),
  )
  await allow('clara', fitting.at(-1))
  assert.deepEqual(outcome(await send(token, spec({ component: sidecars(...fitting) }))), { status: 201 })
  await allow('clara', `app-${CHECKED_NAMESPACES + 1}`)
  const refused = message(await send(token, spec({ component: sidecars(...MANY.slice(0, CHECKED_NAMESPACES + 1)) })))
  assert.match(refused, /lists more than 24 namespaces, too many to check one by one: you need verb install .* in the whole cluster/)
  await allow('clara')
  assert.deepEqual(outcome(await send(token, spec({ component: sidecars(...MANY) }))), { status: 201 })
})

test('cluster mode in every spelling, and taking over what others made, need the right in the whole cluster', async () => {
  const token = await user('doris', { in: ['team', 'app-1'], bind: true })
  const clusterWide = [
    spec({ component: CLUSTER }),
    spec({ component: { globalSidecar: { type: 'Cluster' } } }),
    spec({ module: [withMode('cluster')], component: { globalSidecar: { enable: true } } }),
    spec({ module: [withMode('CLUSTER')], component: { globalSidecar: null } }),
    spec({ module: [lazyload({ general: { globalSidecarMode: 'cluster' } })], component: { globalSidecar: null } }),
    spec({ module: [lazyload({ global: { misc: { globalSidecarMode: 'Cluster' } } })], component: { globalSidecar: { enable: true } } }),
  ]
  for (const each of clusterWide)
    assert.match(message(await send(token, each)), /type cluster changes the proxies of all namespaces: you need verb install/)
  const adopting = spec({ component: sidecars('app-1') })
  assert.match(
    message(await send(token, adopting, { annotations: { 'config.netease.com/adopt': 'true' } })),
    /adopt takes over objects that others made/,
  )
  await allow('doris')
  for (const each of clusterWide) assert.deepEqual(outcome(await send(token, each)), { status: 201 })
  assert.deepEqual(outcome(await send(token, adopting, { annotations: { 'config.netease.com/adopt': 'true' } })), { status: 201 })
})

test('another namespace of Istio needs the right in the whole cluster: what is there may reach every proxy', async () => {
  const token = await user('ida', { in: ['team', 'app-1'], bind: true })
  const own = spec({ istioNamespace: 'team', component: sidecars('app-1') })
  assert.match(
    message(await send(token, own)),
    /spec\.istioNamespace is another than istio-system: .* you need verb install .* in the whole cluster/,
  )
  await allow('ida')
  assert.deepEqual(outcome(await send(token, own)), { status: 201 })
})

test('an administrator may install anywhere', async () => {
  assert.deepEqual(outcome(await send(cluster.adminToken, spec({ component: sidecars(...MANY) }))), { status: 201 })
  assert.deepEqual(outcome(await send(cluster.adminToken, spec({ component: CLUSTER }))), { status: 201 })
  assert.deepEqual(outcome(await send(cluster.adminToken, spec({ component: withPilot('app-1') }))), { status: 201 })
})

test('deletion, finalizers, labels, status and foreign annotations stay free; the spec and our annotations do not', async () => {
  const path = `${BOOTS}/stored`
  const created = await cluster.request('POST', BOOTS, { body: boot('stored', spec({ component: sidecars('app-1') })) })
  assert.equal(created.status, 201)
  await grant('emil', 'boots', [
    { apiGroups: ['config.netease.com'], resources: ['slimeboots', 'slimeboots/status'], verbs: ['get', 'patch', 'delete'] },
  ])
  const token = cluster.createUser('emil')
  const patch = async (body: unknown, subresource = ''): Promise<Answer> =>
    await cluster.request('PATCH', `${path}${subresource}`, { body, token, contentType: 'application/merge-patch+json' })
  const metadata = [
    { labels: { team: 'a' } },
    { finalizers: ['example.com/mine'] },
    { finalizers: null },
    { annotations: { note: 'mine' } },
  ]
  for (const each of metadata) assert.deepEqual(outcome(await patch({ metadata: each })), { status: 200 })
  assert.deepEqual(outcome(await patch({ status: { mode: 'none' } }, '/status')), { status: 200 })
  for (const name of ['suspend', 'reconcile-at', 'adopt', 'create-namespaces', 'deletion-policy']) {
    assert.match(message(await patch({ metadata: { annotations: { [`config.netease.com/${name}`]: 'true' } } })), /need verb/, name)
  }
  assert.match(message(await patch({ spec: { replicaCount: 2 } })), /need verb/)
  assert.equal((await cluster.request('DELETE', path, { token })).status, 200)
})

test('a SlimeBoot that was stored with an error still takes finalizers, annotations and a correction', async () => {
  await removePolicyBinding('slimeboot-spec', async () => {
    await eventually(async () =>
      assert.equal((await cluster.request('POST', BOOTS, { body: boot('broken', spec({ image: {} })) })).status, 201),
    )
  })
  await eventually(async () => assert.equal((await send(cluster.adminToken, spec({ image: {} }))).status, 422))
  const patch = async (body: unknown): Promise<Answer> =>
    await cluster.request('PATCH', `${BOOTS}/broken`, { body, contentType: 'application/merge-patch+json' })
  assert.deepEqual(
    outcome(
      await patch({ metadata: { finalizers: ['config.netease.com/slimeboot'], annotations: { 'config.netease.com/suspend': 'true' } } }),
    ),
    { status: 200 },
  )
  assert.match(message(await patch({ spec: { replicaCount: 2 } })), /spec\.image\.repository is required/)
  assert.deepEqual(outcome(await patch({ spec: { image: { repository: 'docker.io/slimeio/slime-lazyload' } } })), { status: 200 })
  assert.deepEqual(outcome(await patch({ metadata: { finalizers: null } })), { status: 200 })
})

const component = (globalSidecar: JsonObject, pilot?: JsonObject): JsonObject => ({
  component: { globalSidecar, ...(pilot === undefined ? {} : { pilot }) },
})
/** What, which fields, and what the policy says where it cannot say the operator's words. */
const BAD_SPECS: readonly (readonly [string, JsonObject, RegExp?])[] = [
  ['no image repository', { image: { tag: 'v1' } }],
  ['a global-sidecar of no known type', component({ enable: true, type: 'global' })],
  ['a global-sidecar without a type', component({ enable: true, namespace: ['app-1'] })],
  ['a type that is a list', component({ enable: true, type: ['cluster'] }), /type must be namespaced or cluster, got a list or a map/],
  ['a module with an unknown mode', { module: [withMode('everywhere')], component: null }],
  ['a module whose mode is true', { module: [withMode(true)], component: null }],
  ['an unknown mode under general', { module: [lazyload({ general: { globalSidecarMode: 'everywhere' } })], component: null }],
  ['modes that contradict each other', { module: [withMode('cluster')] }, /contradict each other: they say cluster and namespaced/],
  [
    'modes that contradict each other, one of them a boolean',
    { module: [withMode(false)] },
    /contradict each other: they say none and namespaced/,
  ],
  ['type namespaced without namespaces', component({ enable: true, type: 'namespaced' })],
  [
    'a namespace twice',
    component({ enable: true, type: 'namespaced', namespace: ['app-1', 'app-2', 'app-1'] }),
    /namespace\[\] is "app-1" twice/,
  ],
  ['port 0', { module: [lazyload({ fence: { wormholePort: [0] } })] }],
  ['port 65536 as text', { module: [lazyload({ fence: { wormholePort: ['9080', '65536'] } })] }],
  ['a port that is a word', { module: [lazyload({ fence: { wormholePort: ['http'] } })] }],
  ['a port of the proxy under general', { module: [lazyload({ fence: null, general: { wormholePort: ['15021'] } })] }],
  ['a port under general that is a word', { module: [lazyload({ fence: null, general: { wormholePort: ['http'] } })] }],
  ['a port of the proxy', { module: [lazyload({ fence: { wormholePort: ['15021'] } })] }],
  ['a port to leave out that is none', { module: [lazyload({ fence: { wormholePort: ['auto', '-65536'] } })] }],
  [
    'a port that is a list',
    { module: [lazyload({ fence: { wormholePort: [[80]] } })] },
    /must be a port from 1 to 65535, got a list or a map/,
  ],
  ['two modules of one name', { module: [lazyload(), lazyload()] }, /is "lazyload", the name of two enabled modules/],
  ['a module without a name', { module: [{ enable: true, fence: { wormholePort: ['80'] } }] }],
  ['a module whose name is no DNS label', { module: [lazyload({ name: 'Lazy_Load' })] }],
  [
    'a pilot beside Istio',
    {
      namespace: 'istio-system',
      component: { globalSidecar: withPilot('app-1')['globalSidecar']!, pilot: { enable: true, image: { repository: 'p' } } },
    },
  ],
  ['a revision that is no label value', component({ type: 'namespaced', namespace: ['app-1'], revision: 'bad rev' })],
  ['a pilot without an image', component({ type: 'namespaced', namespace: ['app-1'], image: { repository: 'p' } }, { enable: true })],
]
test('ports that are found, and ports to leave out, are accepted in every form', async () => {
  for (const wormholePort of ['auto', ['auto', '9090', '-8443'], ['Auto', 9090, -8443, '-15021']]) {
    const found = spec({ component: sidecars('app-1'), module: [lazyload({ fence: { wormholePort } })] })
    assert.deepEqual(outcome(await send(cluster.adminToken, found)), { status: 201 })
    assert.deepEqual(validate(bootWith(found)).errors, [])
  }
})

for (const [what, fields, words] of BAD_SPECS) {
  test(`refused when it is applied, in the operator's words: ${what}`, async () => {
    const bad = spec({ component: sidecars('app-1'), ...fields })
    const said = message(await send(cluster.adminToken, bad))
    // The policy cannot say which element of a list it was.
    const errors = validate(bootWith(bad)).errors.map((error) => error.message.replaceAll(/\[\d+\]/g, '[]'))
    assert.ok(errors.length > 0, 'the operator accepts it')
    if (words !== undefined) assert.match(said, words)
    else
      assert.ok(
        errors.some((text) => said.endsWith(`denied request: ${text}`)),
        `API server: ${said}\noperator: ${errors.join('\n')}`,
      )
  })
}

test('however a spec is written, it gets no object into a namespace and no role bound that its writer has no right to', async () => {
  const token = await user('eve', { in: ['team', 'app-1'], bind: false })
  await grant('eve', 'lazyload-again', [
    { apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], resourceNames: ['slime-lazyload'], verbs: ['bind'] },
  ])
  const allowed = new Set([undefined, 'team', 'app-1'])
  const mode = fc.constantFrom('namespaced', 'Namespace', 'cluster', 'CLUSTER', 'no', 'Off', false, 'none', null)
  const flag = fc.option(fc.boolean(), { nil: null })
  const absent = fc.constant(undefined)
  const module = fc.record(
    {
      enable: flag,
      fence: flag,
      mode: fc.oneof(absent, mode),
      misc: fc.oneof(absent, mode),
      general: fc.oneof(absent, mode),
      own: fc.oneof(absent, mode),
      todays: fc.boolean(),
      lists: fc.oneof(absent, fc.uniqueArray(fc.constantFrom('app-1', 'app-2', 'team'))),
      clusterRole: fc.oneof(absent, fc.constantFrom(null, 'slime-lazyload', 'their-role')),
    },
    { requiredKeys: [] },
  )
  const specs = fc.record({
    home: fc.constantFrom(undefined, 'team', 'team', 'other'),
    modules: fc.array(module, { minLength: 1, maxLength: 3 }),
    sidecar: fc.oneof(
      absent,
      fc.record({ enable: flag, type: mode, namespace: fc.uniqueArray(fc.constantFrom('app-1', 'app-2', 'team')) }, { requiredKeys: [] }),
    ),
    pilot: fc.oneof(absent, flag),
  })
  let accepted = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(specs, async ({ home, modules, sidecar, pilot }) => {
      const written = JSON.parse(
        JSON.stringify(
          validSpec({
            ...(home === undefined ? {} : { namespace: home }),
            module: modules.map(({ enable, fence, mode: said, misc, general, own, todays, lists, clusterRole }, index) => ({
              ...lazyload({ name: `module-${index}` }),
              enable,
              clusterRole,
              fence: { enable: fence, ...(todays === true ? {} : { wormholePort: ['9080'] }) },
              globalSidecarMode: own,
              global: { misc: { 'global-sidecar-mode': said, globalSidecarMode: misc } },
              general: { globalSidecarMode: general, namespace: lists, ...(todays === true ? { wormholePort: ['9080'] } : {}) },
            })) as unknown as JsonObject[],
            component: {
              globalSidecar: { ...sidecar, image: { repository: 'p' } },
              pilot: { enable: pilot, image: { repository: 'p' } },
            } as unknown as JsonObject,
          }),
        ),
      ) as JsonObject
      const { status } = await send(token, written)
      if (status !== 201) return void refused++
      accepted++
      const object = bootWith(written)
      if (validate(object).errors.length > 0) return
      const { desired, values } = compile(object)
      assert.ok(
        desired.every((each) => allowed.has(each.object.metadata.namespace)),
        `mode ${values.mode}`,
      )
      const bound = desired.map((each) => (each.object['roleRef'] as { name: string } | undefined)?.name)
      assert.ok(
        // what lazyload reads, and in the module's own namespace the role for the Lease, go with it
        bound.every((role) => role === undefined || ['slime-lazyload', 'slime-lazyload-reader', 'slime-lazyload-leases'].includes(role)),
        `binds ${bound.join()}`,
      )
    }),
    { numRuns: 400 },
  )
  assert.ok(accepted > 20 && refused > 20, `${accepted} accepted, ${refused} refused: the specs are too much alike`)
})

test('no sample and no snippet of the tutorial is refused', async () => {
  const files = ['samples', 'test/fixtures/tutorial'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((file) => !file.includes('fragment'))
      .map((file) => join(folder, file)),
  )
  let seen = 0
  for (const file of files) {
    for (const object of await readManifestFile(join(ROOT, file))) {
      if (object.kind !== KIND) continue
      seen++
      const { status, body } = await cluster.request('POST', `/apis/${API_VERSION}/namespaces/mesh-operator/slimeboots?dryRun=All`, {
        body: object,
      })
      assert.equal(status, 201, `${file}: ${body.message}`)
    }
  }
  assert.ok(seen >= 12, `only ${seen} SlimeBoots found`)
})

function spec(parts: JsonObject = {}): JsonObject {
  return validSpec({ namespace: 'team', ...parts })
}

function sidecars(...namespace: readonly string[]): JsonObject {
  return { globalSidecar: { enable: true, type: 'namespaced', namespace } }
}

function withPilot(...namespace: readonly string[]): JsonObject {
  return {
    globalSidecar: { enable: true, type: 'namespaced', namespace, image: { repository: 'istio/proxyv2' } },
    pilot: { enable: true, image: { repository: 'pilot' } },
  }
}

function withMode(mode: string | boolean): JsonObject {
  return lazyload({ global: { misc: { 'global-sidecar-mode': mode } } })
}

function boot(name: string, specification: JsonObject, metadata: object = {}): SlimeBoot {
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name, namespace: 'team', ...metadata }, spec: specification }
}

async function send(token: string, specification: JsonObject, metadata: object = {}): Promise<Answer> {
  return await cluster.request('POST', `${BOOTS}?dryRun=All`, { body: boot('lazyload', specification, metadata), token })
}

function outcome({ status, body }: Answer): { status: number; message?: string } {
  return status < 300 ? { status } : { status, message: body.message }
}

/** What it was refused with: 403 for a missing right, 422 for an error of the spec. */
function message({ status, body }: Answer): string {
  assert.ok(status === 403 || status === 422, `answered ${status} ${body.message}`)
  assert.match(String(body.message), /ValidatingAdmissionPolicy '/)
  return String(body.message)
}

/** A user bound to the shipped roles: slimeboot-installer in these namespaces, slimeboot-binder in the cluster. */
async function user(name: string, rights: { in: readonly string[]; bind: boolean }): Promise<string> {
  for (const namespace of rights.in) await allow(name, namespace)
  if (rights.bind) await createObject(`${RBAC}/clusterrolebindings`, binding(`${name}-binds`, name, 'slimeboot-binder'))
  return cluster.createUser(name)
}

async function allow(name: string, namespace?: string): Promise<void> {
  const path = namespace === undefined ? `${RBAC}/clusterrolebindings` : `${RBAC}/namespaces/${namespace}/rolebindings`
  await createObject(path, binding(`${name}-installs`, name, 'slimeboot-installer'))
}

/** Rules of one's own, in the whole cluster. */
async function grant(name: string, role: string, rules: readonly object[]): Promise<void> {
  await createObject(`${RBAC}/clusterroles`, { metadata: { name: role }, rules })
  await createObject(`${RBAC}/clusterrolebindings`, binding(`${name}-${role}`, name, role))
}

function binding(name: string, subject: string, role: string): object {
  return {
    metadata: { name },
    subjects: [{ kind: 'User', name: subject, apiGroup: 'rbac.authorization.k8s.io' }],
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
  }
}

async function createObject(path: string, body: object): Promise<void> {
  const answer = await cluster.request('POST', path, { body })
  assert.equal(answer.status, 201, answer.body.message)
}

async function removePolicyBinding(name: string, meanwhile: () => Promise<void>): Promise<void> {
  const path = `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings`
  const { body } = await cluster.request('GET', `${path}/${name}`)
  await cluster.request('DELETE', `${path}/${name}`)
  try {
    await meanwhile()
  } finally {
    await createObject(path, { metadata: { name }, spec: body.spec })
  }
}
