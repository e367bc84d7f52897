/** Waiting that ends with its signal. */
import { setTimeout as delay } from 'node:timers/promises'

/** Resolves after `ms` milliseconds, or at once when `signal` aborts; never rejects. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
  } catch {
    // aborted: the caller looks at its signal
  }
}

/** `ms` plus or minus `share` of it, so that many clients do not act in step. */
export function jittered(ms: number, share = 0.1): number {
  return ms * (1 - share + 2 * share * Math.random())
}
