/** The cache behind the operator: never behind its own writes, never ahead of what is gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONFIG_MAP } from '../../operator/api/kinds.ts'
import { createInformer, type Informer } from '../../runtime/informer.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { adminClient } from '../helpers/stage.ts'

const LABEL = 'example.com/watched'

async function watching(
  work: (informer: Informer, create: (name: string) => Promise<KubeObject>, remove: (name: string) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const cluster = await sharedCluster()
  const client = adminClient(cluster)
  const namespace = await createNamespace(cluster, 'informer')
  const stop = new AbortController()
  const informer = createInformer({ client, type: CONFIG_MAP, namespace, labelSelector: LABEL })
  const running = informer.run(stop.signal)
  await informer.whenSynced()
  try {
    await work(
      informer,
      async (name) =>
        await client.create(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels: { [LABEL]: 'yes' } } }),
      async (name) => await client.remove({ type: CONFIG_MAP, namespace, name }),
    )
  } finally {
    stop.abort()
    await running
  }
}

const names = (informer: Informer): readonly string[] => [...informer.values()].map(({ metadata }) => metadata.name).sort()

test('the answer of a write that comes after the object was seen to go brings nothing back', async () => {
  await watching(async (informer, create, remove) => {
    const answer = await create('short')
    await eventually(() => assert.deepEqual(names(informer), ['short']))
    await remove('short')
    await eventually(() => assert.deepEqual(names(informer), []))
    informer.record(answer)
    assert.deepEqual(names(informer), [])
    const anew = await create('short')
    informer.record(anew)
    assert.deepEqual(names(informer), ['short'])
  })
})

test('what was written is in the cache at once, and an older event does not take it back', async () => {
  await watching(async (informer, create) => {
    const answer = await create('own')
    informer.record({
      ...answer,
      metadata: { ...answer.metadata, resourceVersion: `${answer.metadata.resourceVersion}0` },
      data: { newer: 'yes' },
    })
    await create('witness')
    await eventually(() => assert.deepEqual(names(informer), ['own', 'witness']))
    assert.deepEqual(informer.get(`${answer.metadata.namespace}/own`)?.['data'], { newer: 'yes' })
  })
})

test('what was deleted by oneself is gone from the cache at once', async () => {
  await watching(async (informer, create, remove) => {
    const answer = await create('mine')
    await eventually(() => assert.deepEqual(names(informer), ['mine']))
    await remove('mine')
    informer.forget(answer)
    assert.deepEqual(names(informer), [])
    await create('witness')
    await eventually(() => assert.deepEqual(names(informer), ['witness']))
  })
})
