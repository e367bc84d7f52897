/** One SlimeBoot of seventeen objects after the other: time and requests against the floor; and the gate before the catch-all. */
import { accessLogBoot, names, objectsOf, served } from './harness/boots.ts'
import { runFloor } from './harness/floor.ts'
import { median } from './harness/numbers.ts'
import { byOperator, startOperator } from './harness/operator.ts'
import type { Result } from './harness/report.ts'
import { lastAnswer, requestsOf, untilWritten } from './harness/requests.ts'
import type { Run } from './harness/run.ts'
import { byBench, setStage, type Stage } from './harness/stage.ts'
import { isGated, settle } from './harness/batch.ts'

const ROUNDS = 7

interface Round {
  readonly floorMs: number
  /** SlimeBoot accepted to last object written, the gated catch-all apart. */
  readonly ms: number
  /** Its global-sidecar available to catch-all written. */
  readonly gateMs: number
  /** Until the SlimeBoot is Ready. */
  readonly requests: number
}

export async function install(run: Run): Promise<Result> {
  await using stage = await setStage('install')
  const operator = await startOperator(stage)
  await operator.watchingAt()
  const rounds: Round[] = []
  for (let round = 0; round < ROUNDS; round++) {
    run.show(`SlimeBoot ${round + 1} of ${ROUNDS}`)
    rounds.push(await installOne(stage, round))
  }
  await operator.stop()
  const [first, ...later] = rounds
  const of = (pick: (round: Round) => number): number => median(later.map(pick))
  const ms = of((round) => round.ms)
  const floor = of((round) => round.floorMs)
  const objects = objectsOf(accessLogBoot('any', ['any'])).length
  return {
    name: 'install',
    title: `One SlimeBoot, ${objects} objects`,
    rows: [
      {
        what: `accepted → last of ${objects - 1} objects written`,
        value: ms,
        unit: 'ms',
        reference: { name: 'floor', value: floor },
        target: { most: 2 },
      },
      { what: 'the very first after the start', value: first!.ms, unit: 'ms', reference: { name: 'floor', value: floor } },
      { what: 'requests until it is Ready', value: of((round) => round.requests), unit: 'requests', target: { most: 40 } },
      { what: 'gate: global-sidecar available → catch-all written', value: of((round) => round.gateMs), unit: 'ms', target: { most: 100 } },
    ],
    bars: [
      {
        group: `One SlimeBoot, ${objects} objects`,
        unit: 'ms',
        bars: [
          { name: 'floor', value: floor },
          { name: 'slimeboot', value: ms },
        ],
      },
    ],
    notes: [`Median of ${ROUNDS - 1} SlimeBoots after the first, the floor and the operator in turn.`],
  }
}

async function installOne(stage: Stage, round: number): Promise<Round> {
  const floorNamespace = `floor-app-${round}`
  const namespace = `app-${round}`
  await stage.createNamespaces([floorNamespace, namespace])
  const [floorName = '', name = ''] = [...names('floor', 1, round), ...names('served', 1, round)]
  const floorBoots = await stage.createBoots([accessLogBoot(floorName, [floorNamespace])])
  const floor = await runFloor(stage, floorBoots, isGated)
  const since = new Date()
  const boot = accessLogBoot(name, [namespace])
  const count = objectsOf(boot).filter((object) => !isGated(object)).length
  await stage.createBoots([served(boot)])
  const applied = await untilWritten(stage, byOperator, since, count, 30_000)
  const bench = requestsOf(stage, byBench, since)
  const accepted = bench.all.find(({ verb, resource }) => verb === 'create' && resource === 'slimeboots')!

  const gateSince = new Date()
  await settle(stage, [['mesh-operator', name]], 1000)
  await settle(stage, [[namespace, 'global-sidecar']], 1000)
  const { work } = requestsOf(stage, byOperator, since)
  const catchAll = requestsOf(stage, byOperator, gateSince).objects
  if (catchAll.length !== 1) throw new Error(`${catchAll.length} objects instead of one catch-all were written after the gate`)
  const available = requestsOf(stage, byBench, gateSince).all.find(
    (event) => event.namespace === namespace && event.name === 'global-sidecar' && event.subresource === 'status',
  )!
  return {
    floorMs: floor.ms,
    ms: lastAnswer(applied.objects) - accepted.stageTimestamp.getTime(),
    gateMs: lastAnswer(catchAll) - available.stageTimestamp.getTime(),
    requests: work.length,
  }
}
