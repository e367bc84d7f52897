/**
 * Soak: changes and faults against one operator for a while. From time to time it is left in peace; then everything must be as the
 * SlimeBoots say, nothing of those that are gone may be left, and memory, sockets and timers must not grow from rest to rest. A write
 * that changes nothing counts as needless unless an answer was lost before.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { MANAGED_TYPES } from '../../operator/api/kinds.ts'
import { claimedOwner } from '../../operator/apply/ownership.ts'
import { render } from '../../operator/render/render.ts'
import { buildValues } from '../../operator/spec/build-values.ts'
import { objectId } from '../../runtime/object.ts'
import { isWatch, startFaultProxy } from '../helpers/fault-proxy.ts'
import type { Chooser } from '../helpers/seed.ts'
import { isReady, readBoot, setStage, type Stage } from '../helpers/stage.ts'
import { type Churn, createChurn } from './churn.ts'
import { watchWrites } from './writes.ts'

export interface SoakOptions {
  readonly chooser: Chooser
  readonly ms: number
  /** SlimeBoots at most. */
  readonly boots: number
  /** The longest time between two things that happen. */
  readonly pauseMs: number
  /** Time between two rests. */
  readonly restEveryMs: number
  /** Of each rest the time in which no request may be sent. */
  readonly quietMs: number
  readonly onProgress?: (text: string) => void
}

/** What the operator is like at rest. */
export interface Sample {
  readonly minute: number
  readonly rssMiB: number
  readonly heapMiB: number
  readonly sockets: number
  readonly timers: number
  readonly slimeboots: number
  /** Requests in the quiet time, watches apart. */
  readonly idleRequests: number
}

export interface SoakResult {
  readonly samples: readonly Sample[]
  /** How often each thing was done. */
  readonly actions: Readonly<Record<string, number>>
  readonly writes: Readonly<Record<string, number>>
  /** What is wrong; empty when nothing is. */
  readonly problems: readonly string[]
}

const PATIENT = { timeout: 240_000, interval: 500 }

export async function soak(cluster: ClusterAccess, options: SoakOptions): Promise<SoakResult> {
  const { chooser, ms, boots, pauseMs, restEveryMs, quietMs, onProgress = () => {} } = options
  await using proxy = await startFaultProxy(cluster)
  await using stage = await setStage(cluster, 'soak', { through: proxy })
  const { pid } = stage.operator()
  const writes = watchWrites(proxy)
  const churn = await createChurn(stage, proxy, chooser, boots)
  const samples: Sample[] = []
  const startedAt = performance.now()
  let restAt = startedAt + restEveryMs
  for (let actions = 1; performance.now() < startedAt + ms; actions++) {
    const what = await churn.act().catch((error: unknown) => `refused: ${String(error)}`)
    onProgress(`${actions} actions, last: ${what}`)
    await sleep(chooser.random() * pauseMs)
    if (performance.now() < Math.min(restAt, startedAt + ms)) continue
    onProgress(`${actions} actions, at rest`)
    samples.push(await rest())
    restAt = performance.now() + restEveryMs
  }
  return {
    samples,
    actions: Object.fromEntries(churn.counts),
    writes: writes.summary(),
    problems: [...growth(samples), ...writes.needless().map((write) => `needless: ${write}`)],
  }

  async function rest(): Promise<Sample> {
    churn.heal()
    await allIsRight(stage, churn)
    await sleep(quietMs)
    const from = proxy.exchanges.length
    await sleep(quietMs)
    const sent = proxy.exchanges.slice(from).filter((exchange) => !isWatch(exchange))
    assert.equal(stage.operator().pid, pid)
    const metrics = await (await fetch(`${await stage.operator().healthServer()}/metrics`)).text()
    const valueOf = (series: string): number => Number(new RegExp(`^${series} (\\S+)$`, 'm').exec(metrics)?.[1])
    return {
      minute: Math.round((performance.now() - startedAt) / 6000) / 10,
      rssMiB: Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 102.4) / 10,
      heapMiB: Math.round(valueOf('nodejs_heap_size_used_bytes') / 104_857.6) / 10,
      sockets: openSockets(pid),
      timers: valueOf('nodejs_active_timers'),
      slimeboots: churn.names().length,
      idleRequests: sent.length,
    }
  }
}

/** Waits until every SlimeBoot is Ready, has just the objects that it renders, and nothing of the others is there. */
async function allIsRight(stage: Stage, churn: Churn): Promise<void> {
  for (const name of churn.names()) await isReady(stage, name, PATIENT)
  const expected = await Promise.all(
    churn.names().map(async (name) => {
      const rendered = render(buildValues(await readBoot(stage, name))).map(({ object }) => `${name}: ${objectId(object)}`)
      return rendered
    }),
  )
  await stage.eventually(async () => {
    const lists = await Promise.all(MANAGED_TYPES.map(async (type) => (await stage.client.list(type)).items))
    const owned = lists.flat().flatMap((object) => {
      const [namespace, name] = claimedOwner(object)?.split('/') ?? []
      return namespace === stage.namespace ? [`${name}: ${objectId(object)}`] : []
    })
    assert.deepEqual(owned.sort(), expected.flat().sort())
  }, PATIENT)
}

function openSockets(pid: number): number {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).filter((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

/** What grew from the first half of the rests to the second; the very first is a warm-up. */
function growth(all: readonly Sample[]): readonly string[] {
  const [, ...rests] = all
  const half = Math.ceil(rests.length / 2)
  const most = (items: readonly Sample[], of: (sample: Sample) => number): number => Math.max(...items.map(of))
  const grown = (of: (sample: Sample) => number): number =>
    rests.length < 2 ? 0 : most(rests.slice(half), of) - most(rests.slice(0, half), of)
  const problems: readonly (readonly [boolean, string])[] = [
    [grown(({ rssMiB }) => rssMiB) > 20, 'resident memory grew by more than 20 MiB from the first half to the second'],
    [grown(({ sockets }) => sockets) > 4, 'sockets grew'],
    [grown(({ timers }) => timers) > 10, 'timers grew'],
    [all.length === 0, 'it never came to rest'],
    [all.some(({ idleRequests }) => idleRequests > 0), 'at rest requests were sent'],
  ]
  return problems.flatMap(([is, text]) => (is ? [text] : []))
}
