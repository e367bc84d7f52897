/** A queue of keys: each at most once, delayed or rate limited; a key that is being worked on waits for its end. */
import { jittered } from './sleep.ts'

export interface WorkQueueOptions {
  /** Backoff of a key that keeps failing, milliseconds. */
  readonly firstBackoffMs?: number
  readonly maxBackoffMs?: number
}

export type WorkQueue = ReturnType<typeof createWorkQueue>

export function createWorkQueue(options: WorkQueueOptions = {}) {
  const { firstBackoffMs = 500, maxBackoffMs = 300_000 } = options
  const ready = new Set<string>()
  const active = new Set<string>()
  const again = new Set<string>()
  const timers = new Map<string, { at: number; timer: NodeJS.Timeout }>()
  const failures = new Map<string, number>()
  const idle: ((key: string | undefined) => void)[] = []
  let closed = false

  function add(key: string): void {
    if (closed) return
    if (active.has(key)) {
      again.add(key)
      return
    }
    const worker = idle.shift()
    if (worker === undefined) ready.add(key)
    else {
      active.add(key)
      worker(key)
    }
  }

  function addAfter(key: string, ms: number): void {
    if (closed) return
    const at = performance.now() + ms
    const known = timers.get(key)
    if (known !== undefined && known.at <= at) return
    clearTimeout(known?.timer)
    const timer = setTimeout(() => {
      timers.delete(key)
      add(key)
    }, ms)
    timers.set(key, { at, timer })
  }

  return {
    add,
    /** Adds the key after `ms`; of several delays the soonest counts. */
    addAfter,
    /** Adds the key after its backoff: doubles with each call until `forget`. Returns the delay in milliseconds. */
    addRateLimited(key: string): number {
      const tries = failures.get(key) ?? 0
      failures.set(key, tries + 1)
      const ms = jittered(Math.min(firstBackoffMs * 2 ** Math.min(tries, 30), maxBackoffMs), 0.1)
      addAfter(key, ms)
      return ms
    },
    forget: (key: string) => void failures.delete(key),
    /** The next key, or undefined once closed. Call `done` with it afterwards. */
    async next(): Promise<string | undefined> {
      if (closed) return undefined
      const [key] = ready
      if (key === undefined) return await new Promise((resolve) => idle.push(resolve))
      ready.delete(key)
      active.add(key)
      return key
    },
    done(key: string): void {
      active.delete(key)
      if (again.delete(key)) add(key)
    },
    depth: () => ready.size,
    close(): void {
      closed = true
      for (const { timer } of timers.values()) clearTimeout(timer)
      timers.clear()
      for (const resolve of idle.splice(0)) resolve(undefined)
    },
  }
}
