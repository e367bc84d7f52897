/** 50 SlimeBoots × 6 objects that are there at once: against the floor, and against the Helm operator with the same SlimeBoots. */
import { installBatch } from './harness/batch.ts'
import { HOME, names, smallBoot } from './harness/boots.ts'
import { median } from './harness/numbers.ts'
import { startOperator } from './harness/operator.ts'
import { OUR_WORKERS, type PeerInstall, peerNumbers } from './harness/peer-numbers.ts'
import type { Result, Row } from './harness/report.ts'
import type { Run } from './harness/run.ts'
import { setStage } from './harness/stage.ts'

const ROUNDS = 5

export async function many(run: Run): Promise<Result> {
  const count = run.size(50)
  const rounds = await (async () => {
    await using stage = await setStage('many')
    const operator = await startOperator(stage)
    await operator.watchingAt()
    const found = []
    for (let round = 0; round < ROUNDS; round++)
      found.push(
        await installBatch(stage, operator, names(`floor-${round}`, count).map(smallBoot), names(`served-${round}`, count).map(smallBoot), {
          show: (text) => run.show(`round ${round + 1} of ${ROUNDS}: ${text}`),
        }),
      )
    await operator.stop()
    return found
  })()
  const peer = await peerNumbers(run)
  const seconds = median(rounds.map(({ ms }) => ms)) / 1000
  const floor = median(rounds.map((round) => round.floor.ms)) / 1000
  const objects = rounds[0]!.objects
  const rows: Row[] = [
    {
      what: `${count} SlimeBoots, ${objects} objects`,
      value: seconds,
      unit: 's',
      reference: { name: 'floor', value: floor },
      target: { most: 2 },
    },
  ]
  const bars = [
    { name: 'floor', value: floor },
    { name: 'slimeboot', value: seconds },
  ]
  if (peer !== undefined) {
    const timesFloor = (name: string, { seconds: theirs, floor: theirFloor }: PeerInstall): Row => ({
      what: 'the same, each against the floor on its own cluster',
      value: seconds / floor,
      unit: '× floor',
      reference: { name, value: theirs / theirFloor },
      by: 'times less',
    })
    const against = (what: string, value: number, unit: string, theirs: number): Row => ({
      what,
      value,
      unit,
      reference: { name: 'Helm operator', value: theirs },
      by: 'times less',
    })
    rows.push(
      { ...timesFloor('Helm operator', peer), target: { least: 10 } },
      timesFloor(`Helm operator with ${OUR_WORKERS} workers`, peer.manyWorkers),
      against('seconds, at different times of a shared machine', seconds, 's', peer.seconds),
      against('requests', median(rounds.map((round) => round.requests)), 'requests', peer.requests),
      against('CPU time', median(rounds.map((round) => round.cpuSeconds)), 's', peer.cpuSeconds),
    )
    bars.push({ name: 'Helm operator', value: (peer.seconds / peer.floor) * floor })
  }
  return {
    name: 'many',
    title: `${count} SlimeBoots × ${objects / count} objects, in namespace ${HOME}`,
    rows,
    bars: [{ group: `${count} SlimeBoots × ${objects / count} objects`, unit: 's', bars }],
    notes: [
      `Median of ${ROUNDS} rounds, the floor and the operator in turn. ${peer === undefined ? 'Without the Helm operator.' : 'The Helm operator: one round on a cluster of its own, between two of the floor there.'}`,
    ],
  }
}
