/** `npm run soak`: half an hour of changes and faults on a cluster of its own. `-- --minutes 3 --boots 12 --seed 1` */
import { parseArgs } from 'node:util'
import { startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { startProgress } from '../../local-cluster/setup/progress.mjs'
import { createChooser } from '../helpers/seed.ts'
import { soak } from './soak.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, boots: { type: 'string', default: '12' }, seed: { type: 'string' } },
})
const chooser = createChooser(...(values.seed === undefined ? [] : [Number(values.seed)]))
console.log(`${values.minutes} minutes, up to ${values.boots} SlimeBoots, SLIMEBOOT_SEED=${chooser.seed}`)

await using cluster = await startCluster({ name: 'soak' })
await installCrds(cluster)
const progress = startProgress('Soak')
const { samples, actions, writes, problems } = await soak(cluster, {
  chooser,
  ms: Number(values.minutes) * 60_000,
  boots: Number(values.boots),
  pauseMs: 2000,
  restEveryMs: 60_000,
  quietMs: 10_000,
  onProgress: (text) => progress.update(text),
})
progress.stop()
console.table(samples)
console.log('actions', actions)
console.log('writes', writes)
console.log(problems.length === 0 ? 'nothing grew, nothing needless was written' : problems.join('\n'))
process.exitCode = problems.length === 0 ? 0 : 1
