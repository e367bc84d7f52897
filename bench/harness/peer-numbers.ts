/** The Helm operator at the same work: 50 SlimeBoots at once, then idle. Measured once in a run, on a cluster of its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { names, smallBoot, objectsOf } from './boots.ts'
import { byPeer, peerProblem, startPeer } from './peer.ts'
import { lastAnswer, requestsOf, untilWritten } from './requests.ts'
import type { Run } from './run.ts'
import { setStage } from './stage.ts'
import { cpuSeconds, residentMiB, restingMiB } from './usage.ts'

export interface PeerNumbers {
  readonly boots: number
  /** From the moment at which it could see the SlimeBoots to the last object written. */
  readonly seconds: number
  readonly requests: number
  readonly cpuSeconds: number
  readonly startMiB: number
  readonly mib: number
  /** Idle with these, per second. */
  readonly idleRequests: number
  /** Share of a core. */
  readonly idleCpu: number
}

/** As many workers as our operator has by default. */
const WORKERS = 8

/** Undefined where it cannot be built. */
export async function peerNumbers(run: Run): Promise<PeerNumbers | undefined> {
  return await run.once('peer', async () => (run.withPeer && peerProblem() === undefined ? await measure(run) : undefined))
}

async function measure(run: Run): Promise<PeerNumbers> {
  run.show('the Helm operator starts')
  await using stage = await setStage('peer')
  const peer = await startPeer(stage, WORKERS)
  const startMiB = await restingMiB(peer.pid, 3000)
  const boots = names('served', run.size(50)).map(smallBoot)
  const count = boots.flatMap(objectsOf).length
  const before = cpuSeconds(peer.pid)
  process.kill(peer.pid, 'SIGSTOP')
  await stage.createBoots(boots)
  process.kill(peer.pid, 'SIGCONT')
  const since = new Date()
  const { work, objects } = await untilWritten(stage, byPeer, since, count, 240_000, (written) =>
    run.show(`the Helm operator: ${written} objects`),
  )
  const created = objects.filter(({ verb }) => verb === 'create')
  const end = lastAnswer(created)
  const numbers = {
    boots: boots.length,
    seconds: (end - since.getTime()) / 1000,
    requests: work.filter(({ requestReceivedTimestamp }) => requestReceivedTimestamp.getTime() <= end).length,
    cpuSeconds: cpuSeconds(peer.pid) - before,
    startMiB,
  }
  run.show('the Helm operator comes to rest')
  await sleep(20_000)
  const idleSince = new Date()
  const idleFrom = cpuSeconds(peer.pid)
  run.show(`the Helm operator, idle for ${run.idleSeconds} s`)
  await sleep(run.idleSeconds * 1000)
  const idle = requestsOf(stage, byPeer, idleSince)
  return {
    ...numbers,
    mib: residentMiB(peer.pid),
    idleRequests: idle.work.length / run.idleSeconds,
    idleCpu: (cpuSeconds(peer.pid) - idleFrom) / run.idleSeconds,
  }
}
