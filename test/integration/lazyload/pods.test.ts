/** What the API server tells of pods when it is asked for an address, or for labels. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPods } from '../../../lazyload/mesh/pods.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { putPod } from '../../helpers/pods.ts'
import { adminClient } from '../../helpers/stage.ts'

const cluster = await sharedCluster()
const pods = createPods(adminClient(cluster))
const namespace = await createNamespace(cluster, 'pods')
const other = await createNamespace(cluster, 'pods')
const finishedAt = new Date('2026-01-01T00:00:00Z')

test('an address names the pods that have it, and those that had it when they finished, in one namespace or in all', async () => {
  await putPod(cluster, { namespace, name: 'live', ip: '172.19.0.1', labels: { app: 'live' } })
  await putPod(cluster, { namespace, name: 'done', ip: '172.19.0.1', phase: 'Succeeded', finishedAt })
  await putPod(cluster, { namespace: other, name: 'node', ip: '172.19.0.1', hostNetwork: true })
  const names = async (where: string | undefined): Promise<readonly string[]> =>
    (await pods.withAddress('172.19.0.1', where)).map(({ name }) => name).sort()
  await eventually(async () => assert.deepEqual(await names(undefined), ['done', 'live', 'node']))
  assert.deepEqual(await names(namespace), ['done', 'live'])
  assert.deepEqual(await names('default'), [])
  const found = new Map((await pods.withAddress('172.19.0.1', undefined)).map((pod) => [pod.name, pod]))
  assert.deepEqual(found.get('live')?.labels, { app: 'live' })
  assert.deepEqual(
    ['live', 'done', 'node'].map((name) => [found.get(name)?.finished, found.get(name)?.hostNetwork, found.get(name)?.finishedAt]),
    [
      [false, false, undefined],
      [true, false, finishedAt.getTime()],
      [false, true, undefined],
    ],
  )
})

test('labels name the pods of a namespace that have them all, at most as many as are wanted', async () => {
  for (const name of ['one', 'two', 'three'])
    await putPod(cluster, { namespace: other, name, ip: '172.19.0.2', labels: { app: 'web', version: name } })
  await eventually(async () => assert.equal((await pods.withLabels({ app: 'web' }, other, 10)).length, 3))
  assert.equal((await pods.withLabels({ app: 'web' }, other, 2)).length, 2)
  assert.deepEqual(
    (await pods.withLabels({ app: 'web', version: 'two' }, other, 10)).map(({ name }) => name),
    ['two'],
  )
  assert.deepEqual(await pods.withLabels({ app: 'web' }, namespace, 10), [])
})
