/**
 * Memory at rest: V8 collects garbage while it allocates, so a process that comes to rest after a burst keeps what the burst has left.
 * Once nothing is to be done it is collected. Needs `node --expose-gc`, as in the image; without it nothing happens.
 */
import { every, onAbort } from './callbacks.ts'

const LOOK_MS = 5000
/** A collection stops everything for a moment, a tenth of a second and more with a large cache: not for less than this. */
const WORTH_BYTES = 8 * 1024 * 1024

export interface RestOptions {
  /** Grows with the work done; the same number as before means that there is nothing new to collect. */
  readonly worked: () => number
  readonly isBusy: () => boolean
  readonly lookMs?: number
  /** Resident memory. */
  readonly bytes?: () => number
}

/** Looks every five seconds until `signal` aborts: once after the start, then after work that has left something. */
export function collectAtRest(options: RestOptions, signal: AbortSignal): void {
  const { worked, isBusy, lookMs = LOOK_MS, bytes = () => process.memoryUsage.rss() } = options
  const { gc } = globalThis
  if (gc === undefined) return
  // the start leaves something too
  let seen = -1
  let collected = -1
  let bytesThen = 0
  const timer = every(lookMs, 'memory at rest', () => {
    const now = worked()
    // at rest since the last look, and not collected since
    if (now === seen && now !== collected && !isBusy() && bytes() - bytesThen >= WORTH_BYTES) {
      collected = now
      // `last-resort` gives the memory back to the system too
      gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
      bytesThen = bytes()
    }
    seen = now
  })
  timer.unref()
  onAbort(signal, 'memory at rest', () => clearInterval(timer))
}
