/** Outcome to Result: when the queue brings a SlimeBoot back. */
import { jittered } from '../../runtime/sleep.ts'
import type { Result } from '../../runtime/worker.ts'
import type { Outcome } from './outcome.ts'

/** What heals by itself is looked at again after this time: a cause that goes is noticed within 30 s. */
const HEALS_MS = 15_000
/** Never sooner: what waits for others is no busy loop. */
const SOONEST_MS = 50

/** `nextLookMs`: when workloads that are not ready are to be looked at again, milliseconds. */
export function requeueOf(outcome: Outcome, nextLookMs: () => number): Result {
  const retries = new Set(outcome.problems.map((problem) => problem.retry))
  const { withdrawalMs } = outcome
  const waits = [outcome.waitMs, withdrawalMs].filter((each) => each !== undefined)
  for (const change of outcome.changes) if (change.contest !== undefined) waits.push(change.contest.retryMs)
  if (outcome.unready.length > 0 || outcome.waiting.length > 0) waits.push(nextLookMs())
  if (retries.has('conflict') || retries.has('backoff')) {
    // an API server that is away comes back for everybody at once: that must not take long to be noticed
    const away = outcome.problems.every((problem) => problem.reason === 'ApiServerUnreachable')
    // one namespace in trouble does not make the others wait longer and longer
    const others = outcome.withheld.length > 0 ? Math.min(HEALS_MS, ...waits) : withdrawalMs
    return { retry: true, longestRetryMs: away ? HEALS_MS : others, failed: retries.has('backoff') ? 'error' : undefined }
  }
  if (retries.has('heals')) return { requeueAfterMs: Math.max(SOONEST_MS, Math.min(jittered(HEALS_MS), ...waits)), failed: 'error' }
  if (retries.has('terminal')) return { failed: 'terminal', ...(withdrawalMs === undefined ? {} : { requeueAfterMs: withdrawalMs }) }
  return waits.length === 0 ? {} : { requeueAfterMs: Math.max(SOONEST_MS, Math.min(...waits)) }
}
