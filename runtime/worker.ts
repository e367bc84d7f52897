/** Workers: take keys from a queue, reconcile, put them back when asked; one key is never in two workers. */
import { guarded } from './callbacks.ts'
import { createTurns } from './turns.ts'
import type { WorkQueue } from './work-queue.ts'

export interface Result {
  /** Come back after this time, milliseconds. */
  readonly requeueAfterMs?: number | undefined
  /** Come back after the key's growing backoff. */
  readonly retry?: boolean | undefined
  /** With `retry`: the backoff grows no further than this, milliseconds. */
  readonly longestRetryMs?: number | undefined
  /** It failed; for metrics. `terminal`: only a change can help. */
  readonly failed?: 'error' | 'terminal' | undefined
}

/** Sees the end of each reconcile, for metrics; `panic`: it threw. */
export interface WorkerObserver {
  finished(result: 'success' | 'requeue' | 'requeue_after' | 'error' | 'terminal' | 'panic', ms: number): void
}

export interface WorkerOptions {
  readonly queue: WorkQueue
  readonly concurrency: number
  /** Must report its own failures; what it throws is a bug and is retried with backoff. */
  readonly reconcile: (key: string) => Promise<Result>
  readonly onPanic: (key: string, error: unknown) => void
  readonly observer?: WorkerObserver | undefined
}

/** Resolves when the queue is closed and every reconcile in progress has ended. */
export async function runWorkers({ queue, concurrency, reconcile, onPanic, observer }: WorkerOptions): Promise<void> {
  const tellPanic = guarded<[string, unknown]>('observer', (key: string) => key, onPanic)
  const tellEnd = guarded('observer', 'workers', (result: Parameters<WorkerObserver['finished']>[0], ms: number) =>
    observer?.finished(result, ms),
  )

  /** Reconciles that find nothing to do wait for nothing: of thousands in a row each would follow the other at once. */
  const turns = createTurns()

  async function work(): Promise<void> {
    for (let key = await queue.next(); key !== undefined; key = await queue.next()) {
      if (turns.isOver()) await turns.next()
      const startedAt = performance.now()
      let result: Result
      let panic = false
      try {
        result = await reconcile(key)
      } catch (error) {
        tellPanic(key, error)
        result = { retry: true }
        panic = true
      }
      tellEnd(panic ? 'panic' : summary(result), performance.now() - startedAt)
      if (result.retry === true) queue.addRateLimited(key, result.longestRetryMs)
      else {
        queue.forget(key)
        if (result.requeueAfterMs !== undefined) queue.addAfter(key, result.requeueAfterMs)
      }
      queue.done(key)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
}

function summary({ failed, retry, requeueAfterMs }: Result): 'success' | 'requeue' | 'requeue_after' | 'error' | 'terminal' {
  if (failed !== undefined) return failed
  if (retry === true) return 'requeue'
  return requeueAfterMs === undefined ? 'success' : 'requeue_after'
}
