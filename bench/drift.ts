/** Drift: an object deleted or changed by hand → repaired, with 1,000 SlimeBoots and one with 300 namespaces. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent } from '../local-cluster/audit.ts'
import { CONFIG_MAP, DEPLOYMENT, MANAGED_TYPES } from '../operator/api/kinds.ts'
import type { ObjectRef } from '../runtime/resource.ts'
import { HOME } from './harness/boots.ts'
import { largeAndWide } from './harness/large.ts'
import { median } from './harness/numbers.ts'
import { byOperator } from './harness/operator.ts'
import type { Result, Row } from './harness/report.ts'
import { requestsOf } from './harness/requests.ts'
import type { Run } from './harness/run.ts'
import { byBench, type Stage } from './harness/stage.ts'

const TRIES = 15
const PAUSE_MS = 300
const ENVOY_FILTER = MANAGED_TYPES.find(({ kind }) => kind === 'EnvoyFilter')!

export async function drift(run: Run): Promise<Result> {
  const { stage, few, wide } = await largeAndWide(run)
  // another object each time: what is changed again and again becomes contested
  const small = (index: number): string => `served-${index % few}`
  const cases: Readonly<Record<string, (index: number) => Promise<ObjectRef>>> = {
    'ConfigMap deleted': async (index) => await remove(stage, { type: CONFIG_MAP, namespace: HOME, name: small(index) }),
    'Deployment changed': async (index) =>
      await change(stage, { type: DEPLOYMENT, namespace: HOME, name: small(index) }, { spec: { template: { spec: { priority: 1 } } } }),
    [`EnvoyFilter deleted, of the SlimeBoot with ${wide.namespaces.length} namespaces`]: async (index) =>
      await remove(stage, { type: ENVOY_FILTER, namespace: wide.namespaces[index % wide.namespaces.length]!, name: 'to-global-sidecar' }),
  }
  const rows: Row[] = []
  for (const [what, spoil] of Object.entries(cases)) {
    const delays: number[] = []
    for (let index = 0; index < TRIES; index++) {
      run.show(`${what}: ${index + 1} of ${TRIES}`)
      const since = new Date()
      const ref = await spoil(index)
      await sleep(PAUSE_MS)
      delays.push(await delayOf(stage, ref, since))
    }
    rows.push({ what: `${what} → the repairing request sent, median of ${TRIES}`, value: median(delays), unit: 'ms', target: { most: 50 } })
    rows.push({ what: 'the slowest of these', value: Math.max(...delays), unit: 'ms' })
  }
  return {
    name: 'drift',
    title: 'Drift repaired',
    rows,
    bars: [],
    notes: [
      'From the answer to whoever spoiled it to the answer of the repair, less the time that the API server took for the repair itself.',
    ],
  }
}

async function remove(stage: Stage, ref: ObjectRef): Promise<ObjectRef> {
  await stage.client.remove(ref)
  return ref
}

async function change(stage: Stage, ref: ObjectRef, patch: unknown): Promise<ObjectRef> {
  await stage.client.mergePatch(ref, patch, 'bench')
  return ref
}

/** Milliseconds over the repairing call itself. */
async function delayOf(stage: Stage, ref: ObjectRef, since: Date): Promise<number> {
  const isIt = ({ resource, namespace, name, verb, code }: AuditEvent): boolean =>
    resource === ref.type.plural && namespace === ref.namespace && name === ref.name && verb !== 'get' && code < 300
  const spoiled = requestsOf(stage, byBench, since).all.find(isIt)
  const deadline = performance.now() + 10_000
  for (;;) {
    const repaired = requestsOf(stage, byOperator, since).all.find(isIt)
    if (spoiled !== undefined && repaired !== undefined) {
      const callMs = repaired.stageTimestamp.getTime() - repaired.requestReceivedTimestamp.getTime()
      return Math.max(0, repaired.stageTimestamp.getTime() - spoiled.stageTimestamp.getTime() - callMs)
    }
    if (performance.now() > deadline) throw new Error(`${ref.type.kind}/${ref.namespace}/${ref.name} was not repaired in 10 s`)
    await sleep(PAUSE_MS)
  }
}
