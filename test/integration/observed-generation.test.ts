/** What the status says of a generation comes from a reconcile of that generation. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sharedCluster } from '../helpers/cluster.ts'
import {
  changeSpec,
  conditionOf,
  createBoot,
  isReady,
  newInstallation,
  ownedIds,
  readBoot,
  setStage,
  specOf,
  type Stage,
} from '../helpers/stage.ts'

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'observed')
})
after(async () => await stage[Symbol.asyncDispose]())

describe('observedGeneration', () => {
  test('is never that of a spec which came while another one was applied', async () => {
    const installation = await newInstallation(stage, 'edited', 20)
    const spec = specOf(installation)
    await createBoot(stage, 'edited', spec)
    await isReady(stage, 'edited')
    const component = spec['component'] as { readonly globalSidecar: Record<string, never> }
    const globalSidecar = { ...component.globalSidecar, networkPolicy: true }
    await changeSpec(stage, 'edited', { ...spec, component: { globalSidecar } })
    await stage.eventually(async () => assert.ok((await ownedIds(stage, 'edited')).some((id) => id.startsWith('NetworkPolicy/'))), {
      timeout: 20_000,
      interval: 0,
    })
    await changeSpec(stage, 'edited', { ...spec, component: { globalSidecar: { ...globalSidecar, namespace: [] } } })
    for (let reason; reason !== 'InvalidSpec';) {
      const boot = await readBoot(stage, 'edited')
      const ready = conditionOf(boot, 'Ready')
      reason = ready.reason
      if (ready.status === 'True') assert.notEqual(boot.status?.observedGeneration, boot.metadata.generation, 'an invalid spec was Ready')
    }
  })
})
