/** Drift: whatever somebody changes by hand on an object of ours is put right at once, because the watch tells. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { APPLIED_ANNOTATION, OWNED_ANNOTATION, OWNER_LABEL } from '../../operator/api/slimeboot.ts'
import { EVENT } from '../../operator/api/kinds.ts'
import type { KubeObject } from '../../runtime/object.ts'
import type { ObjectRef } from '../../runtime/resource.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import {
  createBoot,
  type Installation,
  isReady,
  newInstallation,
  read,
  refTo,
  setStage,
  specOf,
  type Stage,
  summaryOf,
  writes,
} from '../helpers/stage.ts'

/** Well under the 20 s after which anything is looked at again anyway. */
const AT_ONCE = { timeout: 8000 }

let stage: Stage
let installation: Installation
before(async () => {
  stage = await setStage(await sharedCluster(), 'drift')
  installation = await newInstallation(stage, 'drift')
  await createBoot(stage, installation.name, specOf(installation, { source: 'accesslog' }))
  await isReady(stage, installation.name)
})
after(async () => await stage[Symbol.asyncDispose]())

const app = (kind: string, name: string): ObjectRef => refTo(kind, installation.apps[0], name)
const home = (kind: string): ObjectRef => refTo(kind, installation.home, installation.module)

/** What stays the same when an object is put right. */
function essence(object: KubeObject): unknown {
  const { labels, annotations } = object.metadata
  const { status: _, ...rest } = object
  const { 'deployment.kubernetes.io/revision': __, ...ours } = annotations ?? {}
  return { ...rest, metadata: { labels, annotations: ours } }
}

/** Changes the object by `spoil`, and waits until it is as it was. */
async function isRepaired(ref: ObjectRef, spoil: (object: KubeObject) => Promise<unknown>): Promise<KubeObject> {
  const good = await read(stage, ref)
  await spoil(good)
  await stage.eventually(async () => assert.deepEqual(essence(await read(stage, ref)), essence(good)), AT_ONCE)
  return good
}

const deletes: readonly (readonly [string, () => ObjectRef])[] = [
  ['EnvoyFilter to-global-sidecar', () => app('EnvoyFilter', 'to-global-sidecar')],
  ['Service of the module', () => home('Service')],
  ['Deployment of the module', () => home('Deployment')],
  ['ClusterRoleBinding', () => refTo('ClusterRoleBinding', undefined, `${installation.module}.${installation.home}`)],
  ['RoleBinding', () => home('RoleBinding')],
  ['RoleBinding of a listed namespace', () => app('RoleBinding', `${installation.module}.${installation.home}`)],
  ['PodDisruptionBudget', () => app('PodDisruptionBudget', 'global-sidecar')],
]
for (const [what, refOf] of deletes) {
  test(`recreates the ${what} that was deleted by hand`, async () => {
    const ref = refOf()
    const { uid } = (await read(stage, ref)).metadata
    await stage.client.remove(ref)
    await stage.eventually(async () => assert.notEqual((await read(stage, ref)).metadata.uid, uid), AT_ONCE)
  })
}

test('puts back an image that was changed by hand', async () => {
  await isRepaired(
    home('Deployment'),
    async () =>
      await stage.client.jsonPatch(
        home('Deployment'),
        [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'other:1' }],
        'kubectl-edit',
      ),
  )
})

test('puts back a ConfigMap whose data was changed, and takes away a key that was added', async () => {
  await isRepaired(
    home('ConfigMap'),
    async () => await stage.client.mergePatch(home('ConfigMap'), { data: { cfg: '{}', extra: 'x' } }, 'kubectl-edit'),
  )
  await isRepaired(
    home('ConfigMap'),
    async () => await stage.client.mergePatch(home('ConfigMap'), { data: { extra: 'x' } }, 'kubectl-edit'),
  )
  await isRepaired(
    home('ConfigMap'),
    async () => await stage.client.mergePatch(home('ConfigMap'), { binaryData: { extra: 'eA==' } }, 'kubectl-edit'),
  )
})

test('takes away a field that was added to an EnvoyFilter by hand', async () => {
  const ref = app('EnvoyFilter', 'to-global-sidecar')
  await isRepaired(
    ref,
    async () => await stage.client.mergePatch(ref, { spec: { workloadSelector: { labels: { app: 'only-this' } } } }, 'kubectl-edit'),
  )
})

test('takes away a patch that was added to the list of an EnvoyFilter', async () => {
  const ref = app('EnvoyFilter', 'global-sidecar-guard')
  await isRepaired(ref, async (good) => {
    const [patch] = (good['spec'] as { configPatches: readonly unknown[] }).configPatches
    await stage.client.jsonPatch(ref, [{ op: 'add', path: '/spec/configPatches/0', value: patch }], 'kubectl-edit')
  })
})

for (const [kind, refOf] of [
  ['ClusterRoleBinding', () => refTo('ClusterRoleBinding', undefined, `${installation.module}.${installation.home}`)],
  ['RoleBinding', () => home('RoleBinding')],
] as const) {
  test(`puts back a ${kind} whose subjects were widened`, async () => {
    const ref = refOf()
    const everybody = { kind: 'Group', name: 'everybody', apiGroup: 'rbac.authorization.k8s.io' }
    await isRepaired(
      ref,
      async () => await stage.client.jsonPatch(ref, [{ op: 'add', path: '/subjects/-', value: everybody }], 'kubectl-edit'),
    )
  })
}

test('takes away an environment variable and a volume that another manager added to the Deployment', async () => {
  const ref = app('Deployment', 'global-sidecar')
  await isRepaired(ref, async (good) => {
    const containers = (good['spec'] as { template: { spec: { containers: readonly { env?: readonly unknown[] }[] } } }).template.spec
      .containers
    await stage.client.jsonPatch(
      ref,
      [
        {
          op: 'add',
          path: '/spec/template/spec/containers/0/env',
          value: [...(containers[0]!.env ?? []), { name: 'ADDED', value: 'by hand' }],
        },
        { op: 'add', path: '/spec/template/spec/volumes/-', value: { name: 'added', emptyDir: {} } },
      ],
      'kubectl-edit',
    )
  })
})

test('takes away a port that was added to the Service', async () => {
  const ref = app('Service', 'global-sidecar')
  await isRepaired(
    ref,
    async () =>
      await stage.client.jsonPatch(ref, [{ op: 'add', path: '/spec/ports/-', value: { name: 'added', port: 7777 } }], 'kubectl-edit'),
  )
})

test('puts back our label and each of our annotations', async () => {
  const ref = app('Sidecar', 'global-sidecar')
  await isRepaired(ref, async () => await stage.client.mergePatch(ref, { metadata: { labels: { [OWNER_LABEL]: null } } }, 'kubectl-label'))
  await isRepaired(
    ref,
    async () => await stage.client.mergePatch(ref, { metadata: { annotations: { [OWNED_ANNOTATION]: null } } }, 'kubectl-annotate'),
  )
  await isRepaired(
    ref,
    async () => await stage.client.mergePatch(ref, { metadata: { annotations: { [APPLIED_ANNOTATION]: null } } }, 'kubectl-annotate'),
  )
})

test('leaves alone what is none of its business: annotations, image pull secrets, a restart', async () => {
  const since = new Date()
  await stage.client.mergePatch(home('ServiceAccount'), { imagePullSecrets: [{ name: 'mine' }] }, 'kubectl-patch')
  await stage.client.mergePatch(home('Service'), { metadata: { annotations: { 'example.com/note': 'mine' } } }, 'kubectl-annotate')
  await stage.client.mergePatch(
    home('Deployment'),
    { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } } } },
    'kubectl-rollout',
  )
  await stage.eventually(async () => {
    const { status, metadata } = (await read(stage, home('Deployment'))) as KubeObject & {
      status: { observedGeneration: number; updatedReplicas: number; replicas: number }
    }
    assert.deepEqual([status.observedGeneration, status.updatedReplicas, status.replicas], [metadata.generation, 1, 1])
  })
  await isReady(stage, installation.name)
  const touched = (await writes(stage, since)).filter(({ resource, namespace }) => namespace === installation.home && resource !== 'events')
  assert.deepEqual(summaryOf(touched), [])
  assert.deepEqual((await read(stage, home('ServiceAccount')))['imagePullSecrets'], [{ name: 'mine' }])
})

test('tells of a repair by an Event that names object and field', async () => {
  await stage.client.mergePatch(app('Service', 'global-sidecar'), { spec: { selector: { app: 'other' } } }, 'kubectl-edit')
  await stage.eventually(async () => {
    const { items } = await stage.client.list(EVENT, { namespace: stage.namespace })
    const messages = items.filter((event) => event['reason'] === 'DriftRepaired').map((event) => String(event['message']))
    assert.ok(messages.includes(`Service/${installation.apps[0]}/global-sidecar: /spec/selector/app`), messages.join('\n'))
  }, AT_ONCE)
})
