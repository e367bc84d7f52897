/** Waiting for a state instead of sleeping. */
import { setTimeout as sleep } from 'node:timers/promises'

export interface EventuallyOptions {
  /** Milliseconds (default 15,000). */
  readonly timeout?: number
  /** Milliseconds between two tries (default 50). */
  readonly interval?: number
}

/** Calls `check` until it does not throw, and returns what it returned. At the timeout its last error comes out, with the time waited. */
export async function eventually<Result>(
  check: () => Result | Promise<Result>,
  { timeout = 15_000, interval = 50 }: EventuallyOptions = {},
): Promise<Result> {
  const deadline = performance.now() + timeout
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > deadline) throw withTime(error, timeout)
    }
    await sleep(interval)
  }
}

/** Still the same error (an assertion keeps its diff), its message says that it is the last of many tries. */
function withTime(error: unknown, timeout: number): unknown {
  if (error instanceof Error) error.message = `still so after ${timeout / 1000} s: ${error.message}`
  return error
}
