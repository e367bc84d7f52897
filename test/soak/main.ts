/**
 * `npm run soak`: half an hour of changes and faults against one operator. Every minute it is left in peace; then everything must be
 * as the SlimeBoots say, and memory, sockets and timers must not grow from rest to rest. A write that changes nothing counts as
 * needless unless an answer was lost before. `-- --minutes 3 --boots 12 --seed 1`
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { startProgress } from '../../local-cluster/setup/progress.mjs'
import { render } from '../../operator/render/render.ts'
import { buildValues } from '../../operator/spec/build-values.ts'
import { objectId } from '../../runtime/object.ts'
import { isWatch, startFaultProxy } from '../helpers/fault-proxy.ts'
import { createChooser } from '../helpers/seed.ts'
import { isReady, ownedIds, readBoot, setStage } from '../helpers/stage.ts'
import { createChurn } from './churn.ts'
import { watchWrites } from './writes.ts'

const REST_EVERY_MS = 60_000
const QUIET_MS = 10_000
const PATIENT = { timeout: 240_000, interval: 500 }

interface Sample {
  readonly minute: number
  readonly rssMiB: number
  readonly heapMiB: number
  readonly sockets: number
  readonly timers: number
  readonly slimeboots: number
  /** Requests of ten seconds of rest, watches apart. */
  readonly idleRequests: number
}

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, boots: { type: 'string', default: '12' }, seed: { type: 'string' } },
})
const chooser = createChooser(...(values.seed === undefined ? [] : [Number(values.seed)]))
const endAt = performance.now() + Number(values.minutes) * 60_000
console.log(`${values.minutes} minutes, up to ${values.boots} SlimeBoots, SLIMEBOOT_SEED=${chooser.seed}`)

await using cluster = await startCluster({ name: 'soak' })
await installCrds(cluster)
await using proxy = await startFaultProxy(cluster)
await using stage = await setStage(cluster, 'soak', { through: proxy, args: ['--health-address', '127.0.0.1:0'] })
const metricsUrl = `http://127.0.0.1:${/port=(\d+)/.exec(stage.operator().log())?.[1]}/metrics`
const { pid } = stage.operator()
const writes = watchWrites(proxy)
const churn = await createChurn(stage, proxy, chooser, Number(values.boots))
const progress = startProgress('Soak')
const samples: Sample[] = []
let restAt = performance.now() + REST_EVERY_MS
let actions = 0

while (performance.now() < endAt) {
  const what = await churn.act().catch((error: unknown) => `refused: ${String(error)}`)
  progress.update(`${++actions} actions, last: ${what}`)
  await sleep(200 + chooser.random() * 1500)
  if (performance.now() > restAt || performance.now() >= endAt) {
    progress.update('at rest')
    samples.push(await rest())
    restAt = performance.now() + REST_EVERY_MS
  }
}
progress.stop()
console.table(samples)
console.log('actions', Object.fromEntries(churn.counts))
console.log('writes', writes.summary())
process.exitCode = judge(samples) ? 0 : 1

/** Takes all faults away, waits until everything is right, then looks at the operator and for ten seconds at what it sends. */
async function rest(): Promise<Sample> {
  proxy.heal()
  await sleep(3000)
  for (const name of churn.names()) {
    await isReady(stage, name, PATIENT)
    const expected = render(buildValues(await readBoot(stage, name))).map(({ object }) => objectId(object))
    await stage.eventually(async () => assert.deepEqual(await ownedIds(stage, name), expected.toSorted(), name), PATIENT)
  }
  await sleep(QUIET_MS)
  const from = proxy.exchanges.length
  await sleep(QUIET_MS)
  const sent = proxy.exchanges.slice(from).filter((exchange) => !isWatch(exchange))
  assert.equal(stage.operator().pid, pid)
  const metrics = await (await fetch(metricsUrl)).text()
  const valueOf = (series: string): number => Number(new RegExp(`^${series} (\\S+)$`, 'm').exec(metrics)?.[1])
  return {
    minute: Math.round((performance.now() - (endAt - Number(values.minutes) * 60_000)) / 6000) / 10,
    rssMiB: Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 102.4) / 10,
    heapMiB: Math.round(valueOf('nodejs_heap_size_used_bytes') / 104_857.6) / 10,
    sockets: openSockets(),
    timers: valueOf('nodejs_active_timers'),
    slimeboots: churn.names().length,
    idleRequests: sent.length,
  }
}

function openSockets(): number {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).filter((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

/** Says what is wrong; the first rest is a warm-up. */
function judge(all: readonly Sample[]): boolean {
  const [, ...rests] = all
  const half = Math.ceil(rests.length / 2)
  const most = (items: readonly Sample[], of: (sample: Sample) => number): number => Math.max(...items.map(of))
  const problems: string[] = []
  if (rests.length >= 2) {
    const grown = (of: (sample: Sample) => number): number => most(rests.slice(half), of) - most(rests.slice(0, half), of)
    if (grown(({ rssMiB }) => rssMiB) > 20) problems.push('resident memory grew by more than 20 MiB from the first half to the second')
    if (grown(({ sockets }) => sockets) > 4) problems.push('sockets grew')
    if (grown(({ timers }) => timers) > 10) problems.push('timers grew')
  }
  if (all.some(({ idleRequests }) => idleRequests > 0)) problems.push('at rest requests were sent')
  if (writes.needless().length > 0) problems.push(`needless writes: ${writes.needless().slice(0, 10).join(', ')}`)
  console.log(problems.length === 0 ? 'nothing grew, nothing needless was written' : problems.join('\n'))
  return problems.length === 0
}
