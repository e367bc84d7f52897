/** A cluster where the Helm-based operator installed lazyload: easy_install takes it over, and nothing restarts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { POD, SLIMEBOOT } from '../../../operator/api/kinds.ts'
import type { Status } from '../../../operator/controller/status.ts'
import type { KubeObject } from '../../../runtime/object.ts'
import { EARLIER_SLIMEBOOT, installEarlierOperator, oldestRelease, tutorialRelease } from '../../helpers/earlier-operator.ts'
import { eventually } from '../../helpers/eventually.ts'
import { startOperator } from '../../helpers/operator.ts'
import { OPERATOR_USER } from '../../helpers/deployed-operator.ts'
import { ROOT, runCommand, type ScriptRun, type ScriptStage, setScriptStage, snapshot, changesSince } from '../../helpers/scripts.ts'
import { adminClient, conditionOf } from '../../helpers/stage.ts'
import type { Client } from '../../../runtime/client.ts'

const releases = [tutorialRelease(), oldestRelease(), oldestRelease('going')]

let stage: ScriptStage
let client: Client
let empty: readonly string[]
let podsBefore: readonly string[]
let installed: ScriptRun

const boot = async (name = 'lazyload'): Promise<KubeObject & { readonly status?: Partial<Status> }> =>
  (await client.get({ type: SLIMEBOOT, namespace: 'mesh-operator', name }))!
/** Name and restarts of each pod of the release, which change when it is made anew. */
const pods = async (): Promise<readonly string[]> =>
  (await client.list(POD, { labelSelector: 'name!=slime-boot,app!=istiod' })).items
    .map(({ metadata }) => `${metadata.name} ${metadata.uid}`)
    .sort()

before(async () => {
  stage = await setScriptStage('takeover')
  client = adminClient(stage.cluster)
  empty = await snapshot(stage.cluster)
  await installEarlierOperator(stage.cluster, releases)
  podsBefore = await pods()
})
after(async () => await stage[Symbol.asyncDispose]())

test('while the earlier operator runs, ours touches nothing and says so', async () => {
  await using _ = await startOperator(stage.cluster, { watchNamespaces: ['mesh-operator'] })
  await eventually(async () => {
    const ready = conditionOf(await boot(), 'Ready')
    assert.deepEqual(
      [ready.status, ready.reason, conditionOf(await boot(), 'Stalled').status],
      ['False', 'OldOperatorRunning', 'True'],
      ready.message,
    )
  })
  assert.deepEqual((await boot()).metadata.finalizers, [releases[0]!.finalizer])
  await client.remove({ type: SLIMEBOOT, namespace: 'mesh-operator', name: 'going' })
})

test('the install script replaces the operator, and both SlimeBoots become Ready', async () => {
  const dry = await stage.install('--dry-run')
  assert.equal(dry.code, 0, dry.output)
  installed = await stage.install()
  assert.equal(installed.code, 0, installed.output)
  for (const name of ['lazyload', 'other']) {
    assert.match(installed.output, new RegExp(`SlimeBoot mesh-operator/${name} is taken over`))
    assert.deepEqual((await boot(name)).metadata.finalizers, ['config.netease.com/slimeboot'])
  }
})

test('a SlimeBoot that was deleted before it was taken over goes with all that Helm installed; so does what nobody renders', async () => {
  await eventually(async () => {
    const left = (await snapshot(stage.cluster)).filter((object) => /going|leftover/.test(object))
    assert.deepEqual(
      left.filter((object) => !object.includes('/secrets/')),
      [],
    )
  })
})

test('no pod restarted, and status names what the next change of spec will change', async () => {
  assert.deepEqual(
    await pods(),
    podsBefore.filter((pod) => !pod.startsWith('going-')),
  )
  const warnings = (await boot()).status?.warnings ?? []
  const kept = warnings.filter(({ reason }) => reason === 'PodTemplateKept').map(({ message }) => message.split(' ')[0])
  assert.deepEqual(
    kept.toSorted((a = '', b = '') => (a < b ? -1 : 1)),
    ['Deployment/default/global-sidecar', 'Deployment/mesh-operator/global-sidecar-pilot', 'Deployment/mesh-operator/lazyload'],
  )
  assert.match(installed.output, /PodTemplateKept: Deployment\/default\/global-sidecar keeps/)
})

test('no binding leads to cluster-admin any more, and the records of the releases are gone', async () => {
  const { body } = await stage.cluster.request('GET', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings')
  const bindings = body.items as readonly { metadata: { name: string }; roleRef: { name: string } }[]
  assert.deepEqual(
    bindings.filter(({ roleRef }) => roleRef.name === 'cluster-admin').map(({ metadata }) => metadata.name),
    ['cluster-admin'],
  )
  const secrets = await stage.cluster.request('GET', '/api/v1/secrets?fieldSelector=type%3Dhelm.sh%2Frelease.v1')
  assert.deepEqual(
    secrets.body.items.map(({ metadata }: KubeObject) => metadata.name),
    [],
  )
})

test('"slimeboot diff" finds nothing to do, and shows the pod templates that are kept', async () => {
  const { code, output } = await runCommand(process.execPath, [`${ROOT}/operator/cli/main.ts`, 'diff', '-f', EARLIER_SLIMEBOOT], {
    kubeconfig: stage.cluster.kubeconfig,
  })
  assert.equal(code, 0, output)
  assert.match(output, /= keep Deployment\/default\/global-sidecar\n {4}keeps the pod template/)
  assert.match(output, /3 kept/)
})

test('what Helm left on the objects is no reason to write', async () => {
  const since = new Date()
  await client.mergePatch(
    { type: SLIMEBOOT, namespace: 'mesh-operator', name: 'lazyload' },
    { metadata: { annotations: { 'config.netease.com/reconcile-at': 'now' } } },
    'kubectl-annotate',
  )
  await new Promise((resolve) => setTimeout(resolve, 1500))
  const writes = (await stage.cluster.auditEvents(since)).filter(
    ({ user, verb, resource }) => user === OPERATOR_USER && !['get', 'list', 'watch'].includes(verb) && resource !== 'leases',
  )
  assert.deepEqual(
    writes.map(({ verb, resource, namespace, name }) => `${verb} ${resource} ${namespace}/${name}`),
    [],
  )
})

test('a change of spec rolls the pods to what is rendered', async () => {
  await client.mergePatch(
    { type: SLIMEBOOT, namespace: 'mesh-operator', name: 'lazyload' },
    { spec: { image: { tag: 'v0.2.7' } } },
    'kubectl-edit',
  )
  await eventually(
    async () => {
      const now = await boot()
      const ready = conditionOf(now, 'Ready')
      assert.deepEqual([ready.status, ready.observedGeneration], ['True', now.metadata.generation], ready.message)
      assert.deepEqual(
        (now.status?.warnings ?? []).filter(({ reason }) => reason === 'PodTemplateKept'),
        [],
      )
    },
    { timeout: 30_000 },
  )
  const now = await pods()
  // all but the one of the other SlimeBoot
  assert.equal(podsBefore.filter((pod) => now.includes(pod)).length, 1)
  const { items } = await client.list(
    { apiVersion: 'apps/v1', kind: 'Deployment', plural: 'deployments', namespaced: true },
    { namespace: 'default' },
  )
  const [globalSidecar] = items as unknown as readonly [{ spec: { template: { spec: { hostAliases?: unknown } } } }]
  assert.equal(globalSidecar.spec.template.spec.hostAliases, undefined, 'what only the earlier chart rendered is gone')
})

test('the uninstall script leaves nothing of both operators', async () => {
  const { code, output } = await stage.uninstall()
  assert.equal(code, 0, output)
  assert.deepEqual(await changesSince(stage.cluster, empty), [])
})
