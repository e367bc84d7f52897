/**
 * The large cluster, made once in a run: an operator that starts with nothing, then has 50, then 1,000 SlimeBoots of six objects,
 * then one more with 300 namespaces. What it took on the way is kept.
 */
import { type Batch, installBatch, isGated, settle, sumOf } from './batch.ts'
import { HOME, names, smallBoot, wideBoot } from './boots.ts'
import { runFloor } from './floor.ts'
import { type Operator, byOperator, startOperator } from './operator.ts'
import { lastAnswer, untilWritten } from './requests.ts'
import type { Run } from './run.ts'
import { setStage, type Stage } from './stage.ts'
import { cpuSeconds, restingMiB } from './usage.ts'

export interface Large {
  readonly stage: Stage
  readonly operator: () => Operator
  /** Ends the operator and starts another. */
  readonly restart: () => Promise<Operator>
  readonly few: number
  readonly all: number
  readonly batch: Batch
  /** Resident memory after the start, with `few` and with `all` SlimeBoots, MiB. */
  readonly mib: { readonly start: number; readonly few: number; readonly all: number }
}

export interface Wide {
  readonly name: string
  readonly namespaces: readonly string[]
  readonly batch: Batch
  /** All global-sidecars become available: the first → the last catch-all written, CPU time of the operator. */
  readonly gates: { readonly seconds: number; readonly cpuSeconds: number }
}

const REST_MS = 15_000
/** In so many parts the 1,000 are installed. */
const PARTS = 5
/** Deployments made available at a time. */
const CHUNK = 100

/** The operator with 1,000 SlimeBoots, all Ready. */
export async function large(run: Run): Promise<Large> {
  return await run.once('large', async () => {
    const stage = run.keep(await setStage('large'))
    let operator = await startOperator(stage)
    await operator.watchingAt()
    run.show('memory after the start')
    const start = await restingMiB(operator.pid, REST_MS)
    const [few, all] = [run.size(50), run.size(1000)]
    // the floor and the operator in turn: what else the machine does falls on both
    const add = async (from: number, to: number, parts: number): Promise<Batch> => {
      const batches: Batch[] = []
      for (let part = 0; part < parts; part++) {
        const [first, count] = share(from, to, part, parts)
        const show = (text: string): void => run.show(`part ${part + 1} of ${parts}: ${text}`)
        const boots = { floor: names('floor', count, first).map(smallBoot), served: names('served', count, first).map(smallBoot) }
        batches.push(await installBatch(stage, operator, boots.floor, boots.served, { show }))
        await settleAll(
          stage,
          boots.served.map(({ metadata }) => [HOME, metadata.name] as const),
          run,
        )
      }
      return sumOf(batches)
    }
    await add(0, few, 1)
    run.show(`memory with ${few} SlimeBoots`)
    const fewMiB = await restingMiB(operator.pid, REST_MS)
    const batch = await add(few, all, PARTS)
    run.show(`memory with ${all} SlimeBoots`)
    const mib = { start, few: fewMiB, all: await restingMiB(operator.pid, REST_MS) }
    const restart = async (): Promise<Operator> => {
      await operator.stop()
      operator = await startOperator(stage)
      return operator
    }
    return { stage, operator: () => operator, restart, few, all, batch, mib }
  })
}

/** One SlimeBoot with 300 namespaces on top of these. */
export async function largeAndWide(run: Run): Promise<Large & { readonly wide: Wide }> {
  const scene = await large(run)
  const wide = await run.once('wide', async () => {
    const { stage, operator } = scene
    const count = run.size(300)
    const [floorNamespaces, laterNamespaces, namespaces] = [names('floor-app', count), names('later-app', count), names('app', count)]
    run.show('namespaces')
    await stage.createNamespaces([...floorNamespaces, ...laterNamespaces, ...namespaces])
    const name = 'served-wide'
    const first = await installBatch(stage, operator(), [wideBoot('floor-wide', floorNamespaces)], [wideBoot(name, namespaces)], {
      gated: isGated,
      show: run.show,
    })
    run.show('the floor again')
    const again = await runFloor(stage, await stage.createBoots([wideBoot('later-wide', laterNamespaces)]), isGated)
    const batch = { ...first, floor: { ...first.floor, ms: (first.floor.ms + again.ms) / 2 } }
    await settleAll(stage, [[HOME, name]], run)
    const gates = await openGates(stage, operator(), namespaces, run)
    await settle(stage, [], 3000)
    return { name, namespaces, batch, gates }
  })
  return { ...scene, wide }
}

/** First number and count of one of `parts` shares of `from` to `to`. */
function share(from: number, to: number, part: number, parts: number): readonly [first: number, count: number] {
  const at = (index: number): number => from + Math.floor(((to - from) * index) / parts)
  return [at(part), at(part + 1) - at(part)]
}

async function openGates(stage: Stage, operator: Operator, namespaces: readonly string[], run: Run): Promise<Wide['gates']> {
  run.show('global-sidecars become available')
  const since = new Date()
  const before = cpuSeconds(operator.pid)
  const available = settle(
    stage,
    namespaces.map((namespace) => [namespace, 'global-sidecar'] as const),
    0,
  )
  const { objects } = await untilWritten(stage, byOperator, since, namespaces.length, 600_000, (written) =>
    run.show(`${written} of ${namespaces.length} catch-alls`),
  )
  await available
  return { seconds: (lastAnswer(objects) - since.getTime()) / 1000, cpuSeconds: cpuSeconds(operator.pid) - before }
}

async function settleAll(stage: Stage, deployments: readonly (readonly [string, string])[], run: Run): Promise<void> {
  for (let from = 0; from < deployments.length; from += CHUNK) {
    run.show(`making Deployments available: ${from} of ${deployments.length}`)
    await settle(stage, deployments.slice(from, from + CHUNK), 0)
  }
  run.show('coming to rest')
  await settle(stage, [], 3000)
}
