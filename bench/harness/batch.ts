/** Installing a number of SlimeBoots at once: the floor first, then the operator, on the same cluster. */
import type { KubeObject } from '../../runtime/object.ts'
import { CATCH_ALL_ANNOTATION } from '../../operator/api/slimeboot.ts'
import { objectsOf, served } from './boots.ts'
import { type Floor, runFloor } from './floor.ts'
import { type Operator, byOperator } from './operator.ts'
import { lastAnswer, requestsOf, untilWritten } from './requests.ts'
import type { Stage } from './stage.ts'
import { cpuSeconds } from './usage.ts'

export interface Batch {
  readonly floor: Floor
  /** From the moment at which the operator could see the SlimeBoots to the last object written. */
  readonly ms: number
  /** Until Deployments become available. */
  readonly requests: number
  readonly cpuSeconds: number
  readonly objects: number
}

export interface BatchOptions {
  /** Objects that wait for a Deployment. */
  readonly gated?: (object: KubeObject) => boolean
  readonly limitMs?: number
  readonly show: (text: string) => void
}

/** `floorBoots` are like `boots`, but the operator does not serve them. */
export async function installBatch(
  stage: Stage,
  operator: Operator,
  floorBoots: readonly KubeObject[],
  boots: readonly KubeObject[],
  { gated = () => false, limitMs = 600_000, show }: BatchOptions,
): Promise<Batch> {
  show('the floor')
  const floor = await runFloor(stage, await stage.createBoots(floorBoots), gated)
  const count = boots.flatMap((boot) => objectsOf(boot).filter((object) => !gated(object))).length
  show('the operator')
  const before = cpuSeconds(operator.pid)
  const since = await operator.hold(async () => void (await stage.createBoots(boots.map(served))))
  const { work, objects } = await untilWritten(stage, byOperator, since, count, limitMs, (written) =>
    show(`the operator: ${written} of ${count} objects`),
  )
  return {
    floor,
    ms: lastAnswer(objects) - since.getTime(),
    requests: work.length,
    cpuSeconds: cpuSeconds(operator.pid) - before,
    objects: count,
  }
}

/** Batches one after the other as one. */
export function sumOf(batches: readonly Batch[]): Batch {
  const sum = (of: (batch: Batch) => number): number => batches.reduce((total, batch) => total + of(batch), 0)
  return {
    floor: { ms: sum(({ floor }) => floor.ms), requests: sum(({ floor }) => floor.requests) },
    ms: sum(({ ms }) => ms),
    requests: sum(({ requests }) => requests),
    cpuSeconds: sum((batch) => batch.cpuSeconds),
    objects: sum(({ objects }) => objects),
  }
}

/** Makes these Deployments available and waits until the operator has nothing left to say. */
export async function settle(
  stage: Stage,
  deployments: readonly (readonly [namespace: string, name: string])[],
  restMs: number,
): Promise<void> {
  await Promise.all(deployments.map(async ([namespace, name]) => await stage.makeAvailable(namespace, name)))
  for (let quiet = 0; quiet < restMs;) {
    const since = new Date()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    quiet = requestsOf(stage, byOperator, since).work.length === 0 ? quiet + 1000 : 0
  }
}

/** A catch-all: written when its global-sidecar is available. */
export function isGated(object: KubeObject): boolean {
  return object.metadata.annotations?.[CATCH_ALL_ANNOTATION] !== undefined
}
