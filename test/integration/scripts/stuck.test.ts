/** Uninstalling where something is broken: it always ends, and leaves nothing or says what and why. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { NAMESPACE, SLIMEBOOT } from '../../../operator/api/kinds.ts'
import type { Client } from '../../../runtime/client.ts'
import { eventually } from '../../helpers/eventually.ts'
import { installEarlierOperator, oldestRelease, tutorialRelease } from '../../helpers/earlier-operator.ts'
import { type ScriptStage, setScriptStage, snapshot, changesSince } from '../../helpers/scripts.ts'
import { createFence } from '../../helpers/scripts-objects.ts'
import { adminClient, read, refTo } from '../../helpers/stage.ts'

const BOOT = { type: SLIMEBOOT, namespace: 'mesh-operator', name: 'lazyload' }
const OPERATOR = refTo('Deployment', 'mesh-operator', 'slime-boot')
/** An operator that does not answer is given up at once: it is known to be dead here. */
const IMPATIENT = ['--operator-timeout', '3']

let stage: ScriptStage
let client: Client
/** With a namespace in which something else lives: it is kept, and the slow end of a namespace is waited for only once. */
let base: readonly string[]
const theirs = refTo('ConfigMap', 'mesh-operator', 'theirs')

before(async () => {
  stage = await setScriptStage('stuck')
  client = adminClient(stage.cluster)
  await client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mesh-operator' } })
  await client.create(theirs.type, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: theirs.name, namespace: 'mesh-operator' } })
  await eventually(async () => assert.ok((await snapshot(stage.cluster)).includes('/api/v1/configmaps/mesh-operator/kube-root-ca.crt')))
  base = await snapshot(stage.cluster)
})
after(async () => await stage[Symbol.asyncDispose]())
beforeEach(
  async () =>
    await eventually(async () => assert.deepEqual(await changesSince(stage.cluster, base), [], 'the test before this one left something')),
)

async function installed(): Promise<void> {
  const { code, output } = await stage.install()
  assert.equal(code, 0, output)
}

async function uninstalls(...args: readonly string[]): Promise<string> {
  const { code, output } = await stage.uninstall(...args)
  assert.equal(code, 0, output)
  await eventually(async () => assert.deepEqual(await changesSince(stage.cluster, base), []))
  return output
}

/** Runs `work` while no process of the operator runs, though its Deployment says that it is available. */
async function withDeadOperator(work: () => Promise<void>): Promise<void> {
  await stage.killOperator()
  try {
    await work()
  } finally {
    await stage.reviveOperator()
  }
}

test("a dead operator is not waited for: its work is done with the rights of the caller; a copy and others' things stay", async () => {
  await installed()
  await createFence(stage.cluster, 'productpage')
  const copied = refTo('ConfigMap', 'mesh-operator', 'lazyload')
  const { metadata, ...rest } = await read({ client }, copied)
  const copy = { ...copied, namespace: 'default', name: 'copy' }
  const { labels = {}, annotations = {} } = metadata
  await client.create(copy.type, { ...rest, metadata: { name: copy.name, namespace: copy.namespace, labels, annotations } })
  await withDeadOperator(async () => {
    const { code, output } = await stage.uninstall(...IMPATIENT)
    assert.equal(code, 0, output)
    assert.match(output, /The operator does not do it \(no sign of it for 3 s\)/)
    assert.match(output, /Namespace mesh-operator is kept, other things live in it:\n {4}ConfigMap theirs\n/)
  })
  await client.remove(copy) // throws when it is not there
})

test('the CustomResourceDefinitions are gone: what the SlimeBoots left is found all the same', async () => {
  await installed()
  await withDeadOperator(async () => {
    await client.mergePatch(BOOT, { metadata: { finalizers: null } }, 'kubectl-edit')
    for (const name of ['slimeboots.config.netease.com', 'servicefences.microservice.slime.io'])
      await stage.cluster.request('DELETE', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`)
    const output = await uninstalls()
    assert.match(output, /\d+ objects of SlimeBoots are deleted/)
  })
})

test('a foreign finalizer: ends with what survives and what blocks it; --force names the orphan', async () => {
  await installed()
  const held = refTo('EnvoyFilter', 'default', 'global-sidecar-guard')
  await client.mergePatch(held, { metadata: { finalizers: ['example.com/audit'] } }, 'kubectl-edit')
  await withDeadOperator(async () => {
    const { code, output } = await stage.uninstall(...IMPATIENT)
    assert.equal(code, 4, output)
    assert.match(output, /EnvoyFilter\/default\/global-sidecar-guard: finalizer example\.com\/audit/)
    assert.notEqual(await client.get(BOOT), undefined)
    const forced = await stage.uninstall(...IMPATIENT, '--force')
    assert.equal(forced.code, 4, forced.output)
    assert.match(forced.output, /Orphaned because of --force.*\n {4}EnvoyFilter\/default\/global-sidecar-guard/)
  })
  await client.mergePatch(held, { metadata: { finalizers: null } }, 'kubectl-edit')
})

test('the operator lost a right: the caller has it, and does what it could not', async () => {
  await installed()
  await stage.cluster.request('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/slime-boot-objects')
  const output = await uninstalls(...IMPATIENT)
  assert.match(output, /DeleteBlocked mesh-operator\/lazyload: .*Forbidden/)
  assert.match(output, /The operator does not do it \(it is blocked\)/)
})

test("an installation of the earlier operator, which is gone: its two finalizers and its objects go, somebody's own release stays", async () => {
  await installEarlierOperator(stage.cluster, [tutorialRelease(), oldestRelease()])
  await client.remove(OPERATOR)
  const labels = { 'app.kubernetes.io/managed-by': 'Helm' }
  const annotations = { 'meta.helm.sh/release-name': 'lazyload', 'meta.helm.sh/release-namespace': 'mesh-operator' }
  const own = { ...theirs, namespace: 'default', name: 'own-chart' }
  await client.create(own.type, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: own.name, namespace: own.namespace, labels, annotations },
  })
  const { code, output } = await stage.uninstall()
  assert.equal(code, 0, output)
  assert.match(output, /there is no Deployment mesh-operator\/slime-boot/)
  assert.match(output, /20 objects of SlimeBoots are deleted/)
  assert.deepEqual(await changesSince(stage.cluster, base), ['+ /api/v1/configmaps/default/own-chart'])
  await client.remove(own)
})

test('the namespace was deleted and took the operator along: install says so, uninstall lets it end, twice', async () => {
  await installed()
  await client.remove({ type: NAMESPACE, name: 'mesh-operator' })
  const again = await stage.install()
  assert.equal(again.code, 3, again.output)
  assert.match(
    again.output,
    /namespace mesh-operator is terminating, and held by SlimeBoots.*\n.*lazyload\n.*Run easy_uninstall_lazyload\.sh/,
  )
  base = base.filter((object) => !/\/mesh-operator(\/|$)/.test(object))
  const output = await uninstalls()
  assert.match(output, /namespace mesh-operator is terminating/)
  await uninstalls()
})
