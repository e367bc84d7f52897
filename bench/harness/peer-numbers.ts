/** The Helm operator at the same work: 50 SlimeBoots at once, then idle. Measured once in a run, on clusters of its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { names, objectsOf, served, smallBoot } from './boots.ts'
import { runFloor } from './floor.ts'
import { byPeer, peerProblem, startPeer } from './peer.ts'
import { lastAnswer, requestsOf, untilWritten } from './requests.ts'
import type { Run } from './run.ts'
import { setStage, type Stage } from './stage.ts'
import { cpuSeconds, residentMiB } from './usage.ts'

export interface PeerInstall {
  /** From the moment at which it could see the SlimeBoots to the last object written. */
  readonly seconds: number
  /** The floor on the same cluster, the mean of before and after, seconds. */
  readonly floor: number
  readonly requests: number
  readonly cpuSeconds: number
}

export interface PeerNumbers extends PeerInstall {
  readonly boots: number
  /** The same with as many workers as our operator has. */
  readonly manyWorkers: PeerInstall
  /** Resident memory with these SlimeBoots. */
  readonly mib: number
  /** Idle with these, per second. */
  readonly idleRequests: number
  /** Share of a core. */
  readonly idleCpu: number
}

export const OUR_WORKERS = 8

/** Undefined where it is not wanted or cannot be built. */
export async function peerNumbers(run: Run): Promise<PeerNumbers | undefined> {
  return await run.once('peer', async () => (run.withPeer && peerProblem() === undefined ? await measure(run) : undefined))
}

async function measure(run: Run): Promise<PeerNumbers> {
  const boots = run.size(50)
  const manyWorkers = await withManyWorkers(run, boots)
  await using stage = await setStage('peer')
  const { pid } = await startPeer(stage)
  const install = await installBoots(run, stage, pid, boots)
  run.show('the Helm operator comes to rest')
  await sleep(20_000)
  const [since, before] = [new Date(), cpuSeconds(pid)]
  run.show(`the Helm operator, idle for ${run.idleSeconds} s`)
  await sleep(run.idleSeconds * 1000)
  const { work } = requestsOf(stage, byPeer, since)
  return {
    ...install,
    boots,
    manyWorkers,
    mib: residentMiB(pid),
    idleRequests: work.length / run.idleSeconds,
    idleCpu: (cpuSeconds(pid) - before) / run.idleSeconds,
  }
}

async function withManyWorkers(run: Run, boots: number): Promise<PeerInstall> {
  await using stage = await setStage('peer')
  const { pid } = await startPeer(stage, OUR_WORKERS)
  return await installBoots(run, stage, pid, boots)
}

async function installBoots(run: Run, stage: Stage, pid: number, count: number): Promise<PeerInstall> {
  const floor = async (prefix: string): Promise<number> => {
    run.show('the floor beside the Helm operator')
    return (await runFloor(stage, await stage.createBoots(names(prefix, count).map(smallBoot)))).ms
  }
  const boots = names('served', count).map(smallBoot)
  const objects = boots.flatMap(objectsOf).length
  const floorBefore = await floor('before')
  const before = cpuSeconds(pid)
  process.kill(pid, 'SIGSTOP')
  await stage.createBoots(boots.map(served))
  process.kill(pid, 'SIGCONT')
  const since = new Date()
  const found = await untilWritten(stage, byPeer, since, objects, 240_000, (written) =>
    run.show(`the Helm operator: ${written} of ${objects} objects`),
  )
  // it goes on to patch what it has made; that is not counted
  const end = lastAnswer(found.objects.filter(({ verb }) => verb === 'create'))
  const used = cpuSeconds(pid) - before
  return {
    seconds: (end - since.getTime()) / 1000,
    floor: (floorBefore + (await floor('after'))) / 2000,
    requests: found.work.filter(({ requestReceivedTimestamp }) => requestReceivedTimestamp.getTime() <= end).length,
    cpuSeconds: used,
  }
}
