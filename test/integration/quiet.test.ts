/** Quiet: where nothing is to be done, nothing is written. Counted in the API server's audit log. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SLIMEBOOT } from '../../operator/api/kinds.ts'
import type { JsonObject } from '../../runtime/object.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import {
  bootRef,
  conditionOf,
  createBoot,
  type Installation,
  isReady,
  newInstallation,
  ownedObjects,
  read,
  readBoot,
  readyIs,
  reconcileAgain,
  refTo,
  requests,
  setStage,
  specOf,
  type Stage,
  summaryOf,
  writes,
} from '../helpers/stage.ts'

const POLICY: ResourceType = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingAdmissionPolicy',
  plural: 'mutatingadmissionpolicies',
  namespaced: false,
}
const BINDING: ResourceType = { ...POLICY, kind: 'MutatingAdmissionPolicyBinding', plural: 'mutatingadmissionpolicybindings' }

let stage: Stage
before(async () => {
  // one worker: whoever comes later is done later
  stage = await setStage(await sharedCluster(), 'quiet', { args: ['--workers', '1'] })
})
after(async () => await stage[Symbol.asyncDispose]())

test('a second reconcile and a restart of the operator send no write and leave every resourceVersion as it was', async () => {
  const installation = await newInstallation(stage, 'settled', 2)
  // 1000m is stored as 1, empty maps are not stored at all
  const resources: JsonObject = { requests: { cpu: '1000m', memory: '1024Mi' }, limits: { cpu: 1, memory: '1073741824' } }
  await createBoot(
    stage,
    'settled',
    specOf(installation, { source: 'accesslog', dispatches: true }, { resources, nodeSelector: {}, tolerations: [] }),
  )
  await isReady(stage, 'settled')
  const earlier = await versions('settled')

  await nothingWrittenBy(async () => await seenBy('settled'))
  await nothingWrittenBy(async () => {
    await stage.restart()
    await seenBy('settled')
  })
  assert.deepEqual(await versions('settled'), earlier)
})

test('what a mutating admission policy keeps otherwise is applied once, and Ready says so', async () => {
  const installation = await newInstallation(stage, 'mutated')
  await using _ = await addLimit(installation)
  await createBoot(stage, 'mutated', specOf(installation, { mode: 'none' }))
  const ready = await readyIs(stage, 'mutated', 'True', 'MutatedByAdmission')
  assert.match(
    ready.message ?? '',
    new RegExp(`Deployment/${installation.home}/${installation.module}: .* keeps .*/imagePullPolicy otherwise`),
  )
  const earlier = await versions('mutated')
  await nothingWrittenBy(async () => await seenBy('mutated'))
  // a restart forgets what it has seen: it may try once more, and changes nothing
  await stage.restart()
  await readyIs(stage, 'mutated', 'True', 'MutatedByAdmission')
  await seenBy('mutated')
  assert.deepEqual(await versions('mutated'), earlier)
  assert.equal(conditionOf(await readBoot(stage, 'mutated'), 'Ready').reason, 'MutatedByAdmission')
})

test('drift in another field is repaired also where a policy keeps one otherwise', async () => {
  const installation = await newInstallation(stage, 'both')
  await using _ = await addLimit(installation)
  await createBoot(stage, 'both', specOf(installation, { mode: 'none' }))
  await readyIs(stage, 'both', 'True', 'MutatedByAdmission')
  const ref = refTo('Deployment', installation.home, installation.module)
  const { image } = containerOf(await read(stage, ref))
  await stage.client.jsonPatch(ref, [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'other:1' }], 'kubectl-edit')
  await stage.eventually(async () => assert.equal(containerOf(await read(stage, ref)).image, image))
  // the rollout that follows is told in the status; the Deployment is not touched again
  const since = new Date()
  await seenBy('both')
  await readyIs(stage, 'both', 'True', 'MutatedByAdmission')
  const again = (await writes(stage, since)).filter(({ resource }) => resource === 'deployments')
  assert.deepEqual(summaryOf(again), [])
})

test('an idle operator sends nothing at all', async () => {
  await using idle = await setStage(stage.cluster, 'idle')
  const installation = await newInstallation(idle, 'idle')
  await createBoot(idle, 'idle', specOf(installation, { mode: 'none' }))
  await isReady(idle, 'idle')
  const since = new Date()
  // time passes on the server: ten writes of somebody else
  for (let count = 0; count < 10; count++)
    await idle.client.mergePatch(
      { type: refTo('ConfigMap', '', '').type, namespace: installation.root, name: 'kube-root-ca.crt' },
      { metadata: { annotations: { count: `${count}` } } },
      'test',
    )
  assert.deepEqual(summaryOf((await requests(idle, since)).filter(({ verb }) => verb !== 'watch')), [])
})

/** A policy that makes every image pull policy of the installation's home IfNotPresent. */
async function addLimit({ home, module }: Installation): Promise<AsyncDisposable> {
  const name = `${module}.example.com`
  await stage.client.create(POLICY, {
    apiVersion: POLICY.apiVersion,
    kind: POLICY.kind,
    metadata: { name },
    spec: {
      matchConstraints: {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': home } },
        resourceRules: [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['deployments'] }],
      },
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      mutations: [
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression: '[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/imagePullPolicy", value: "IfNotPresent"}]',
          },
        },
      ],
    },
  })
  await stage.client.create(BINDING, { apiVersion: BINDING.apiVersion, kind: BINDING.kind, metadata: { name }, spec: { policyName: name } })
  await stage.eventually(async () => {
    const probe = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'probe', namespace: home },
      spec: {
        selector: { matchLabels: { app: 'probe' } },
        template: { metadata: { labels: { app: 'probe' } }, spec: { containers: [{ name: 'c', image: 'i', imagePullPolicy: 'Always' }] } },
      },
    }
    const answer = await stage.client.apply(refTo('Deployment', home, 'probe').type, probe, { fieldManager: 'test', dryRun: true })
    assert.equal(containerOf(answer).imagePullPolicy, 'IfNotPresent')
  })
  return {
    [Symbol.asyncDispose]: async () => {
      await stage.client.remove({ type: BINDING, name })
      await stage.client.remove({ type: POLICY, name })
    },
  }
}

function containerOf(deployment: { readonly [key: string]: unknown }): { image?: string; imagePullPolicy?: string } {
  return (
    (deployment['spec'] as { template: { spec: { containers: readonly { image?: string; imagePullPolicy?: string }[] } } }).template.spec
      .containers[0] ?? {}
  )
}

/** Not even an Event or a status. */
async function nothingWrittenBy(work: () => Promise<void>): Promise<void> {
  const since = new Date()
  await work()
  assert.deepEqual(summaryOf((await writes(stage, since)).filter(({ name }) => !name.startsWith('witness-'))), [])
}

/** Waits until the operator has certainly looked at this SlimeBoot: a second one, created afterwards, has been reported on. */
async function seenBy(name: string): Promise<void> {
  await reconcileAgain(stage, name)
  const witness = `witness-${Date.now()}`
  await stage.client.create(SLIMEBOOT, {
    apiVersion: SLIMEBOOT.apiVersion,
    kind: SLIMEBOOT.kind,
    metadata: { name: witness, namespace: stage.namespace },
    spec: {},
  })
  await stage.eventually(async () => assert.equal(conditionOf(await readBoot(stage, witness), 'Ready').reason, 'InvalidSpec'))
  await stage.client.remove(bootRef(stage, witness))
}

async function versions(name: string): Promise<Readonly<Record<string, string | undefined>>> {
  const objects = await ownedObjects(stage, name)
  // a Deployment's status is written by others
  return Object.fromEntries(
    objects.map(({ kind, metadata }) => [
      `${kind}/${metadata.namespace}/${metadata.name}`,
      kind === 'Deployment' ? `generation ${metadata.generation}` : metadata.resourceVersion,
    ]),
  )
}
