/** The scripts on a cluster without lazyload: install, use, uninstall, and nothing is left. */
import assert from 'node:assert/strict'
import { loadAll } from 'js-yaml'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { KubeObject } from '../../../runtime/object.ts'
import { eventually } from '../../helpers/eventually.ts'
import { INSTALL, ROOT, runBash, type ScriptStage, setScriptStage, snapshot, changesSince } from '../../helpers/scripts.ts'
import { createFence, deploymentVersions } from '../../helpers/scripts-objects.ts'

let stage: ScriptStage
let empty: readonly string[]
const folder = mkdtempSync(join(tmpdir(), 'slimeboot-install-'))

before(async () => {
  stage = await setScriptStage('install')
  empty = await snapshot(stage.cluster)
})
after(async () => await stage[Symbol.asyncDispose]())

test('--dry-run checks everything and changes nothing', async () => {
  const { code, output } = await stage.install('--dry-run')
  assert.equal(code, 0, output)
  assert.match(output, /clusterrole\S*\/slime-lazyload serverside-applied \(server dry run\)/)
  assert.deepEqual(await changesSince(stage.cluster, empty), [])
})

test('whoever lacks rights gets the list of all of them, and nothing is changed', async () => {
  const kubeconfig = stage.cluster.kubeconfigFor({ name: 'nobody', groups: [] })
  const { code, output } = await runBash([INSTALL], { kubeconfig })
  assert.equal(code, 3, output)
  for (const right of [
    'create namespaces',
    'patch customresourcedefinitions.apiextensions.k8s.io',
    'create deployments.apps in namespace mesh-operator',
  ])
    assert.ok(output.includes(`    ${right}\n`), output)
  assert.deepEqual(await changesSince(stage.cluster, empty), [])
})

test('whoever may write roles, but has not what they grant, is told so before anything is changed', async () => {
  const rules = [{ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list', 'create', 'patch', 'delete'] }]
  const { request } = stage.cluster
  await request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', { body: { metadata: { name: 'almost' }, rules } })
  await request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    body: {
      metadata: { name: 'almost' },
      subjects: [{ kind: 'User', name: 'almost', apiGroup: 'rbac.authorization.k8s.io' }],
      roleRef: { kind: 'ClusterRole', name: 'almost', apiGroup: 'rbac.authorization.k8s.io' },
    },
  })
  const { code, output } = await runBash([INSTALL], { kubeconfig: stage.cluster.kubeconfigFor({ name: 'almost', groups: [] }) })
  await request('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/almost')
  await request('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterroles/almost')
  assert.equal(code, 3, output)
  assert.match(output, /attempting to grant RBAC permissions not currently held/)
  assert.deepEqual(await changesSince(stage.cluster, empty), [])
})

test('installs and waits until lazyload is Ready; again, it changes nothing', async () => {
  const first = await stage.install()
  assert.equal(first.code, 0, first.output)
  assert.match(first.output, /✔ SlimeBoot mesh-operator\/lazyload is Ready: \d+ objects are as rendered/)
  assert.match(first.output, /✔ Istio 1\.27\.1 \(istio-system\/istiod\)/)
  const objects = await snapshot(stage.cluster)
  const versions = await deploymentVersions(stage.cluster)
  const second = await stage.install()
  assert.equal(second.code, 0, second.output)
  assert.match(second.output, /SlimeBoot mesh-operator\/lazyload exists and is left as it is/)
  assert.deepEqual(await changesSince(stage.cluster, objects), [])
  assert.deepEqual(await deploymentVersions(stage.cluster), versions)
})

test('a SlimeBoot that does not become Ready: the cause is named, and how to go on or back', async () => {
  const file = join(folder, 'boot.yaml')
  const sample = readFileSync(join(ROOT, 'samples', 'slimeboot_lazyload.yaml'), 'utf8')
  writeFileSync(
    file,
    sample
      .replace('name: lazyload\n  namespace', 'name: elsewhere\n  namespace')
      .replace('- name: lazyload', '- name: elsewhere')
      .replace('- default', '- nowhere'),
  )
  const { code, output } = await stage.install('-f', file, '--timeout', '10')
  assert.equal(code, 4, output)
  assert.match(output, /SlimeBoot mesh-operator\/elsewhere is not Ready:\n {4}NamespaceMissing: Namespace nowhere does not exist/)
  assert.match(output, /To go back, run easy_uninstall_lazyload\.sh/)
})

test('whoever may not remove it all is told what lacks, and nothing is changed', async () => {
  const objects = await snapshot(stage.cluster)
  const { code, output } = await stage.uninstallAs({ name: 'nobody', groups: [] })
  assert.equal(code, 3, output)
  assert.match(output, / {4}delete slimeboots\.config\.netease\.com\n/)
  assert.deepEqual(await changesSince(stage.cluster, objects), [])
})

test('uninstalls: ServiceFences are saved, and the cluster is as it was', async () => {
  await createFence(stage.cluster, 'productpage')
  await createFence(stage.cluster, 'reviews')
  const file = join(folder, 'fences.yaml')
  const { code, output } = await stage.uninstall('--save', file)
  assert.equal(code, 0, output)
  assert.match(output, /2 ServiceFences are saved/)
  assert.match(output, / {4}2 of 2 Sidecars let go\n/)
  assert.deepEqual(await changesSince(stage.cluster, empty), [])
  const [list] = loadAll(readFileSync(file, 'utf8')) as [{ items: KubeObject[] }]
  assert.deepEqual(
    list.items.map(({ metadata, spec, status }) => ({ metadata, spec, status })),
    ['productpage', 'reviews'].map((name) => ({
      metadata: { labels: { team: 'a' }, name, namespace: 'default' },
      spec: { enable: true, host: { status: { stable: {} } } },
      status: undefined,
    })),
  )
})

test('uninstalls a second time, from nothing', async () => {
  const { code, output } = await stage.uninstall()
  assert.equal(code, 0, output)
})

test('--keep-fences keeps them and their CustomResourceDefinition, but not their Sidecars; --namespace is honoured', async () => {
  const installed = await stage.install('--namespace', 'lazy')
  assert.equal(installed.code, 0, installed.output)
  await createFence(stage.cluster, 'productpage')
  const { code, output } = await stage.uninstall('--keep-fences')
  assert.equal(code, 0, output)
  assert.match(output, /The operator is in namespace lazy/)
  assert.match(output, / {4}1 of 1 Sidecars let go\n/)
  const left = (await snapshot(stage.cluster)).filter((object) => !empty.includes(object))
  assert.deepEqual(left.sort(), [
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions//servicefences.microservice.slime.io',
    '/apis/microservice.slime.io/v1alpha1/servicefences/default/productpage',
  ])
  const again = await stage.uninstall()
  assert.equal(again.code, 0, again.output)
  await eventually(async () => assert.deepEqual(await changesSince(stage.cluster, empty), []))
})
