/** The objects of the SlimeBoot as they come and go: a tree that is redrawn on a terminal, one line per change elsewhere. */
import { setTimeout as sleep } from 'node:timers/promises'
import { elapsed } from '../../local-cluster/setup/progress.mjs'
import { type Part, partFailure } from '../../local-cluster/supervise.ts'
import { SLIMEBOOT } from '../../operator/api/kinds.ts'
import { listOwned } from '../../operator/cli/read-cluster.ts'
import { treeOf } from '../../operator/cli/text.ts'
import type { Status } from '../../operator/controller/status.ts'
import type { Client } from '../../runtime/client.ts'
import type { KubeObject } from '../../runtime/object.ts'
import type { ObjectRef } from '../../runtime/resource.ts'

export const BOOT: ObjectRef = { type: SLIMEBOOT, namespace: 'mesh-operator', name: 'lazyload' }
const READY_WITHIN_MS = 60_000
const LOOK_EVERY_MS = 150

/** Shows them until the SlimeBoot is Ready. Throws with the operator's last lines when it ends, or takes longer than a minute. */
export async function showUntilReady(client: Client, operator: Part): Promise<void> {
  const from = Date.now()
  let drawn = 0
  let before = new Set<string>()
  for (;;) {
    const [objects, boot] = await Promise.all([listOwned(client), client.get(BOOT)])
    const { ready, summary } = readinessOf(boot)
    const root = `SlimeBoot mesh-operator/lazyload  ${summary}  (${elapsed(Date.now() - from)})`
    const tree = [root, ...treeOf(objects.map((object) => ({ group: object.metadata.namespace ?? '', text: lineOf(object) })))]
    if (process.stdout.isTTY) {
      // A line that wraps would spoil the count of lines to go up.
      const lines = tree.map((line) => line.slice(0, (process.stdout.columns || Infinity) - 1))
      process.stdout.write(`${drawn === 0 ? '' : `\x1b[${drawn}A\x1b[J`}${lines.join('\n')}\n`)
      drawn = lines.length
    } else {
      before = printChanges(objects, before, Date.now() - from)
      if (ready) console.log(`\n${tree.join('\n')}`)
    }
    if (ready) return
    if (operator.ended() !== undefined) throw partFailure(operator, `ended (${operator.ended()})`)
    if (Date.now() - from > READY_WITHIN_MS)
      throw partFailure(operator, `did not make the SlimeBoot Ready in ${READY_WITHIN_MS / 1000} s: ${summary}`)
    await sleep(LOOK_EVERY_MS)
  }
}

/** Until the SlimeBoot is gone; how many objects it had before, and which are left. */
export async function untilGone(client: Client, operator: Part): Promise<{ readonly had: number; readonly left: readonly string[] }> {
  const from = Date.now()
  const { length: had } = await listOwned(client)
  for (;;) {
    const boot = await client.get(BOOT)
    if (boot === undefined) return { had, left: (await listOwned(client)).map(({ kind, metadata }) => `${kind} ${metadata.name}`) }
    if (Date.now() - from > READY_WITHIN_MS) throw partFailure(operator, `did not remove it: ${readinessOf(boot).summary}`)
    await sleep(LOOK_EVERY_MS)
  }
}

function printChanges(objects: readonly KubeObject[], before: ReadonlySet<string>, ms: number): Set<string> {
  const now = new Set(
    objects.map((object) => `${lineOf(object)}${object.metadata.namespace === undefined ? '' : `  (${object.metadata.namespace})`}`),
  )
  for (const line of now) {
    if (!before.has(line)) console.log(`${elapsed(ms).padStart(8)}  ${line}`)
  }
  return now
}

/** `✔ Deployment lazyload  1/1 available` */
function lineOf(object: KubeObject): string {
  const { settled, text } = stateOf(object)
  return `${settled ? '✔' : '…'} ${object.kind} ${object.metadata.name}  ${text}`
}

/** `settled`: nothing is left to wait for. */
function stateOf(object: KubeObject): { settled: boolean; text: string } {
  if (object.metadata.deletionTimestamp !== undefined) return { settled: false, text: 'terminating' }
  if (object.kind !== 'Deployment') return { settled: true, text: 'applied' }
  const { replicas: wanted = 1 } = object['spec'] as { readonly replicas?: number }
  const { availableReplicas: available = 0 } = (object['status'] ?? {}) as { readonly availableReplicas?: number }
  return { settled: available >= wanted, text: `${available}/${wanted} available` }
}

function readinessOf(boot: KubeObject | undefined): { ready: boolean; summary: string } {
  const { observedGeneration, conditions = [] } = (boot?.['status'] ?? {}) as Partial<Status>
  const condition = conditions.find(({ type }) => type === 'Ready')
  if (condition === undefined || observedGeneration !== boot?.metadata.generation)
    return { ready: false, summary: 'not seen by the operator yet' }
  const ready = condition.status === 'True'
  return { ready, summary: ready ? '✔ Ready' : `${condition.reason}: ${condition.message}` }
}
