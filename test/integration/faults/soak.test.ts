/** A short soak: changes and faults by a printed seed (SLIMEBOOT_SEED). `npm run soak` takes half an hour of them, and looks at what grows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedCluster } from '../../helpers/cluster.ts'
import { createChooser } from '../../helpers/seed.ts'
import { soak } from '../../soak/soak.ts'

const chooser = createChooser()

test(`after some seconds of changes and faults all is as the SlimeBoots say, and nothing is sent any more (SLIMEBOOT_SEED=${chooser.seed})`, async (context) => {
  const { actions, writes, problems } = await soak(await sharedCluster(), {
    chooser,
    ms: 12_000,
    boots: 4,
    pauseMs: 500,
    restEveryMs: 60_000,
    quietMs: 1500,
  })
  context.diagnostic(JSON.stringify({ actions, writes }))
  assert.deepEqual(problems, [])
})
