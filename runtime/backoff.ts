/** Exponential backoff with a cap and jitter. */
import { jittered } from './sleep.ts'

export interface Backoff {
  /** Milliseconds to wait before the next try; each call doubles the one after it. */
  next(): number
  reset(): void
}

/** Waits `firstMs`, then twice as long each time up to `maxMs`; each give or take 20 %. */
export function createBackoff(firstMs: number, maxMs: number): Backoff {
  let tries = 0
  return {
    next: () => jittered(Math.min(firstMs * 2 ** Math.min(tries++, 30), maxMs), 0.2),
    reset: () => {
      tries = 0
    },
  }
}
