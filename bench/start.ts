/** From the start of the process to the end of its first reconcile. */
import { SLIMEBOOT } from '../operator/api/kinds.ts'
import { refOf } from '../runtime/resource.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { accessLogBoot, objectsOf, served } from './harness/boots.ts'
import { isGated } from './harness/batch.ts'
import { median } from './harness/numbers.ts'
import { byOperator, startOperator } from './harness/operator.ts'
import type { Result } from './harness/report.ts'
import { requestsOf, untilWritten } from './harness/requests.ts'
import type { Run } from './harness/run.ts'
import { setStage, type Stage } from './harness/stage.ts'

const STARTS = 7

export async function start(run: Run): Promise<Result> {
  await using stage = await setStage('start')
  await stage.createNamespaces(['app'])
  const boot = accessLogBoot('lazyload', ['app'])
  const first = await startOperator(stage)
  const since = new Date()
  await stage.createBoots([served(boot)])
  await untilWritten(stage, byOperator, since, objectsOf(boot).filter((object) => !isGated(object)).length, 30_000)
  await first.stop()
  const found: number[] = []
  for (let count = 0; count < STARTS; count++) {
    run.show(`start ${count + 1} of ${STARTS}`)
    found.push(await startOnce(stage))
  }
  return {
    name: 'start',
    title: 'Start of the process',
    rows: [
      { what: 'process start → first reconcile done, the Lease taken', value: median(found) / 1000, unit: 's', target: { most: 0.7 } },
      { what: 'the slowest', value: Math.max(...found) / 1000, unit: 's' },
    ],
    bars: [],
    notes: [
      `Median of ${STARTS} starts with one SlimeBoot that is installed; its status was emptied, so that writing it anew ends the first reconcile.`,
    ],
  }
}

async function startOnce(stage: Stage): Promise<number> {
  await stage.client.mergePatch(refOf(SLIMEBOOT, served(accessLogBoot('lazyload', ['app']))), { status: null }, 'bench', 'status')
  const since = new Date()
  const operator = await startOperator(stage)
  for (;;) {
    const { work } = requestsOf(stage, byOperator, since)
    const done = work.find(({ resource, subresource, verb }) => resource === 'slimeboots' && subresource === 'status' && verb === 'patch')
    if (done !== undefined) {
      await operator.stop()
      return done.stageTimestamp.getTime() - operator.startedAt
    }
    await sleep(100)
  }
}
