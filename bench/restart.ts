/** Restart with everything unchanged: no write, and how soon every SlimeBoot has been looked at. */
import { setTimeout as sleep } from 'node:timers/promises'
import { largeAndWide } from './harness/large.ts'
import { type Operator, byOperator } from './harness/operator.ts'
import type { Result } from './harness/report.ts'
import { requestsOf } from './harness/requests.ts'
import type { Run } from './harness/run.ts'
import { cpuSeconds, peakMiB } from './harness/usage.ts'

const LOOK_MS = 50
const LIMIT_MS = 60_000

export async function restart(run: Run): Promise<Result> {
  const scene = await largeAndWide(run)
  const boots = scene.all + 1
  const since = new Date()
  run.show('restarting')
  const operator = await scene.restart()
  const readyMs = await untilReconciled(operator, boots)
  const watchingMs = (await operator.watchingAt()) - operator.startedAt
  await sleep(3000)
  const { work } = requestsOf(scene.stage, byOperator, since)
  const writes = work.filter(({ verb, group }) => !['get', 'list'].includes(verb) && group !== 'authorization.k8s.io')
  return {
    name: 'restart',
    title: `Restart with ${scene.all} SlimeBoots and one with ${scene.wide.namespaces.length} namespaces, unchanged`,
    rows: [
      { what: 'writes', value: writes.length, unit: 'writes', target: { most: 0 } },
      { what: 'process start → every SlimeBoot reconciled', value: readyMs / 1000, unit: 's', target: { most: 3 } },
      { what: 'process start → watches open', value: watchingMs / 1000, unit: 's' },
      { what: 'requests but watches and the Lease', value: work.length, unit: 'requests' },
      { what: 'CPU time', value: cpuSeconds(operator.pid), unit: 's' },
      { what: 'most memory', value: peakMiB(operator.pid), unit: 'MiB' },
    ],
    bars: [],
    notes: writes.slice(0, 5).map(({ verb, requestURI, code }) => `wrote: ${verb} ${requestURI} ${code}`),
  }
}

/** Milliseconds from the start of the process until so many SlimeBoots have an outcome. */
async function untilReconciled(operator: Operator, boots: number): Promise<number> {
  const deadline = performance.now() + LIMIT_MS
  for (;;) {
    const text = await operator.metrics()
    const known = [...text.matchAll(/^slimeboot_slimeboots\{.*\} (\d+)$/gm)].reduce((sum, match) => sum + Number(match[1]), 0)
    if (known >= boots) return Date.now() - operator.startedAt
    if (performance.now() > deadline) throw new Error(`${known} of ${boots} SlimeBoots were reconciled in ${LIMIT_MS / 1000} s`)
    await sleep(LOOK_MS)
  }
}
