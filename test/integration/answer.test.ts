/** What others change between our read and our write comes with the answer to the write, before the watch tells of it: it is not overlooked. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { startFaultProxy } from '../helpers/fault-proxy.ts'
import { bootRef, changeSpec, createBoot, isGone, isReady, newInstallation, read, setStage, specOf, type Stage } from '../helpers/stage.ts'

/** Slow enough for an event to come seconds after the answer. */
const SLOW = { bytesPerSecond: 4000 }

let cluster: ClusterAccess
before(async () => {
  cluster = await sharedCluster()
})

describe('between the last read of a SlimeBoot and the write of its status', { concurrency: true }, () => {
  test('its spec is changed: the change is applied', async () => {
    await meanwhile('changed', async (stage, spec) => {
      await changeSpec(stage, 'changed', { ...spec, replicaCount: 2 })
      await isReady(stage, 'changed')
    })
  })

  test('it is deleted: everything goes', async () => {
    await meanwhile('deleted', async (stage) => {
      await stage.client.remove(bootRef(stage, 'deleted'))
      await isGone(stage, 'deleted')
    })
  })
})

/**
 * Installs SlimeBoot `name` and changes what only its status tells; `work` begins when the operator is about to write that, which waits
 * for the first request of `work`. Nothing else would make the operator look again.
 */
async function meanwhile(name: string, work: (stage: Stage, spec: JsonObject) => Promise<void>): Promise<void> {
  await using proxy = await startFaultProxy(cluster)
  await using stage = await setStage(cluster, 'answer', { through: proxy })
  const ref = bootRef(stage, name)
  const spec = specOf(await newInstallation(stage, name, 0), { mode: 'none' })
  await createBoot(stage, name, spec)
  await isReady(stage, name)

  const asked = Promise.withResolvers<void>()
  const changed = Promise.withResolvers<void>()
  proxy.intercept({
    before: async ({ path }) => {
      if (!path.endsWith(`/slimeboots/${name}/status`)) return
      asked.resolve()
      await changed.promise
    },
  })
  proxy.inject(({ path, query }) => path.endsWith('/slimeboots') && query.get('watch') === 'true', SLOW)
  proxy.cut()
  await changeSpec(stage, name, { ...spec, unknownKey: 'a warning' })
  await asked.promise
  const { generation } = (await read(stage, ref)).metadata
  const working = work(stage, spec)
  await stage.eventually(async () => {
    const { metadata } = await read(stage, ref)
    assert.ok(metadata.generation !== generation || metadata.deletionTimestamp !== undefined)
  })
  changed.resolve()
  await working
}
