/**
 * Writes newly learned hosts into the status of their fences, where they are safe: by JSON merge patch with only the new keys, so
 * that any replica may do it, in any order, twice. Hosts wait in memory until they are written; their number is bounded by what
 * the fences may still learn.
 */
import type { Client } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { sleep } from '../../runtime/sleep.ts'
import { createWorkQueue } from '../../runtime/work-queue.ts'
import { type Result, runWorkers } from '../../runtime/worker.ts'
import { isEnabled, statusOf } from '../fence/fence.ts'
import { isTooLarge } from '../fence/limits.ts'
import { FIELD_MANAGER, SERVICE_FENCE } from '../kinds.ts'
import { decimalText, keyOfHost, learnedHosts } from './metric-key.ts'

/** Hosts that a fence may learn. A Sidecar with more narrows nothing; it shows that something calls at random. */
export const MAX_LEARNED = 500

export interface FenceCache {
  readonly get: (key: string) => KubeObject | undefined
  readonly record: (object: KubeObject) => void
}

export interface LearnerOptions {
  readonly client: Pick<Client, 'mergePatch'>
  readonly fences: FenceCache
  readonly inScope: (fence: KubeObject) => boolean
  readonly isExternal: (host: string) => boolean
  /** Further fields of the status of a fence that has just learned something, to be stored with it. */
  readonly alsoStored?: (fence: KubeObject) => Readonly<Record<string, unknown>>
  readonly onLearned?: (fence: string, hosts: readonly string[]) => void
  readonly onProblem?: (fence: string, error: unknown) => void
  /** A fence could not take another host; told once. */
  readonly onFull?: (fence: string) => void
  readonly concurrency?: number
}

export type Learner = ReturnType<typeof createLearner>

/** What comes in one piece becomes one write; what comes while it is sent becomes the next. */
const BATCH_MS = 1
const MAX_BACKOFF_MS = 10_000
/** How the API server refuses a status that is too large (also as etcd's "request is too large", 500), or that its schema does not allow. */
const DOES_NOT_FIT: ReadonlySet<number> = new Set([413, 422, 500])

export function createLearner(options: LearnerOptions) {
  const { client, fences, inScope, isExternal, alsoStored = () => ({}), onLearned, onProblem, onFull, concurrency = 8 } = options
  const pending = new Map<string, Map<string, number>>()
  const queue = createWorkQueue({ firstBackoffMs: 200, maxBackoffMs: MAX_BACKOFF_MS })
  const full = new Set<string>()
  let closing = false
  let written = 0

  function learn(key: string, hosts: ReadonlyMap<string, number>): void {
    const fence = fences.get(key)
    if (fence === undefined || !isEnabled(fence) || fence.metadata.deletionTimestamp !== undefined || !inScope(fence) || isTooLarge(fence))
      return
    const waiting = pending.get(key)
    const stored = statusOf(fence).metricStatus ?? {}
    const unknown = [...hosts].filter(([host]) => waiting?.has(host) !== true && stored[keyOfHost(host)] === undefined)
    // what is logged is mostly known
    if (unknown.length === 0) return
    let room = MAX_LEARNED - Object.keys(stored).length - (waiting?.size ?? 0)
    // it was reset
    if (room > 0) full.delete(key)
    // under another key: an older controller wrote short names
    const knownOtherwise = learnedHosts(stored, fence.metadata.namespace ?? '', isExternal)
    const fresh = new Map<string, number>()
    for (const [host, count] of unknown) {
      if (room <= 0) {
        if (!full.has(key)) onFull?.(key)
        full.add(key)
        break
      }
      if (knownOtherwise.has(host)) continue
      fresh.set(host, count)
      room--
    }
    if (fresh.size === 0) return
    pending.set(key, new Map([...(waiting ?? []), ...fresh]))
    queue.addAfter(key, BATCH_MS)
  }

  /** Whether `learn` would take one of these hosts. */
  function isNew(key: string, hosts: readonly string[]): boolean {
    const fence = fences.get(key)
    if (fence === undefined || full.has(key)) return false
    const waiting = pending.get(key)
    const stored = statusOf(fence).metricStatus ?? {}
    return hosts.some((host) => waiting?.has(host) !== true && stored[keyOfHost(host)] === undefined)
  }

  async function write(key: string): Promise<Result> {
    const fence = fences.get(key)
    const hosts = pending.get(key)
    if (fence === undefined || hosts === undefined) {
      pending.delete(key)
      return {}
    }
    const metricStatus = Object.fromEntries([...hosts].map(([host, count]) => [keyOfHost(host), decimalText(count)]))
    const status = statusOf(fence)
    const wiser = { ...fence, status: { ...status, metricStatus: { ...status.metricStatus, ...metricStatus } } }
    const store = async (rest: Readonly<Record<string, unknown>>): Promise<void> =>
      fences.record(await client.mergePatch(refOf(SERVICE_FENCE, fence), { status: { ...rest, metricStatus } }, FIELD_MANAGER, 'status'))
    try {
      const rest = alsoStored(wiser)
      // what follows from it can be written later; what is learned must not wait for it
      await store(rest).catch(async (error: unknown) => {
        if (Object.keys(rest).length === 0 || !(error instanceof ApiError) || !DOES_NOT_FIT.has(error.code)) throw error
        onProblem?.(key, error)
        await store({})
      })
    } catch (error) {
      onProblem?.(key, error)
      if (error instanceof ApiError && (error.code === 404 || error.code === 422)) pending.delete(key)
      // while the process ends, `close` decides how long it tries
      else return { retry: true, failed: 'error' }
      return {}
    }
    written++
    settle(key, hosts)
    onLearned?.(key, [...hosts.keys()])
    return {}
  }

  /** Takes away what is written; more may have come meanwhile. */
  function settle(key: string, stored: ReadonlyMap<string, number>): void {
    const left = [...(pending.get(key) ?? [])].filter(([host]) => !stored.has(host))
    if (left.length === 0) pending.delete(key)
    else {
      pending.set(key, new Map(left))
      queue.add(key)
    }
  }

  return {
    /** Takes in hosts that the fence `namespace/name` was seen to call, with how often. Never throws, never waits. */
    learn,
    isNew,
    /** Hosts that wait to be written. */
    pending: () => pending.values().reduce((sum, hosts) => sum + hosts.size, 0),
    /** Writes so far. */
    written: () => written,
    /** Writes until `close`. */
    async run(): Promise<void> {
      await runWorkers({ queue, concurrency, reconcile: write, onPanic: (key, error) => onProblem?.(key, error) })
    },
    /** Gives what waits `ms` milliseconds to be written, then ends `run`. */
    async close(ms: number): Promise<void> {
      if (closing) return
      closing = true
      const deadline = performance.now() + ms
      while (pending.size > 0 && performance.now() < deadline) await sleep(20)
      queue.close()
      if (pending.size > 0) onProblem?.('', new Error(`hosts of ${pending.size} fences were not written; the next call teaches them again`))
    },
  }
}
