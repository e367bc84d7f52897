/** Somebody else writes an object between our read and our write: nothing of theirs is taken over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyStep } from '../../operator/apply/apply.ts'
import { createContests } from '../../runtime/contest.ts'
import { ReconcileError } from '../../operator/apply/failure.ts'
import { createNormalForms } from '../../operator/apply/normal-form.ts'
import { markOwned, ownerOfKey } from '../../operator/apply/ownership.ts'
import type { Step } from '../../operator/apply/plan.ts'
import { CONFIG_MAP } from '../../operator/api/kinds.ts'
import { FIELD_MANAGER, OWNED_ANNOTATION, OWNER_LABEL } from '../../operator/api/slimeboot.ts'
import { createClient } from '../../runtime/client.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { createTransport } from '../../runtime/transport.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { createNamespace } from '../helpers/namespace.ts'

const cluster = await sharedCluster()
const transport = createTransport({ loadConfig: () => loadKubeConfig(cluster.kubeconfig), userAgent: 'race-test' })
const client = createClient(transport)
const dependencies = { client, live: { record: () => {}, forget: () => {} }, contests: createContests(), normalForms: createNormalForms() }

function configMap(namespace: string, value: string): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'raced', namespace }, data: { value } }
}

function stepOf(desired: KubeObject, live: KubeObject | undefined, action: Step['action'], differences: Step['differences'] = []): Step {
  return { manifest: { object: desired, wave: 2, template: 'templates/test' }, desired, live, differences, action } as Step
}

test('an object that appears after it was found missing is refused, and our marks come off again', async () => {
  const namespace = await createNamespace(cluster, 'race')
  await client.create(CONFIG_MAP, configMap(namespace, 'theirs'), 'somebody')
  const desired = markOwned(configMap(namespace, 'ours'), ownerOfKey(`${namespace}/boot`))
  await assert.rejects(
    applyStep(dependencies, stepOf(desired, undefined, 'create')),
    (error) => error instanceof ReconcileError && error.reason === 'Conflict' && /somebody/.test(error.message),
  )
  const after = await client.get({ type: CONFIG_MAP, namespace, name: 'raced' })
  assert.equal(after?.metadata.labels?.[OWNER_LABEL], undefined)
  assert.equal(after?.metadata.annotations?.[OWNED_ANNOTATION], undefined)
})

test('an object that was made anew by somebody else since it was read is not written', async () => {
  const namespace = await createNamespace(cluster, 'race')
  const desired = markOwned(configMap(namespace, 'ours'), ownerOfKey(`${namespace}/boot`))
  const live = await client.apply(CONFIG_MAP, desired, { fieldManager: FIELD_MANAGER })
  await client.remove({ type: CONFIG_MAP, namespace, name: 'raced' })
  await client.create(CONFIG_MAP, configMap(namespace, 'theirs'), 'somebody')
  const changed = { ...desired, data: { value: 'newer' } }
  await assert.rejects(
    applyStep(dependencies, stepOf(changed, live, 'change', [{ path: '/data/value', type: 'missing', desired: 'newer', live: 'ours' }])),
    (error) => error instanceof ReconcileError && error.retry === 'conflict',
  )
  assert.deepEqual((await client.get({ type: CONFIG_MAP, namespace, name: 'raced' }))?.['data'], { value: 'theirs' })
})

test.after(() => transport.close())
