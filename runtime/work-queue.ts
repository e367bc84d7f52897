/** A queue of keys: each at most once, delayed or rate limited; a key that is being worked on waits for its end. */
import { after, guarded } from './callbacks.ts'
import { jittered } from './sleep.ts'

export interface WorkQueueOptions {
  /** Backoff of a key that keeps failing, milliseconds. */
  readonly firstBackoffMs?: number
  readonly maxBackoffMs?: number
  readonly observer?: WorkQueueObserver
}

/** Sees what happens to keys, for metrics. */
export interface WorkQueueObserver {
  /** A key came into the queue; not when it was there already. */
  added(): void
  /** A worker took a key that had waited so long, milliseconds. */
  taken(waitedMs: number): void
  finished(workedMs: number): void
  /** A key was put back with its backoff. */
  retried(): void
}

export type WorkQueue = ReturnType<typeof createWorkQueue>

export function createWorkQueue(options: WorkQueueOptions = {}) {
  const { firstBackoffMs = 500, maxBackoffMs = 300_000 } = options
  const observer = options.observer === undefined ? undefined : guardedObserver(options.observer)
  /** Waiting keys, and those that changed while they were worked on: since when. */
  const ready = new Map<string, number>()
  const again = new Map<string, number>()
  /** Keys that are worked on: since when. */
  const active = new Map<string, number>()
  const timers = new Map<string, { at: number; timer: NodeJS.Timeout }>()
  const failures = new Map<string, number>()
  const idle: ((key: string | undefined) => void)[] = []
  let closed = false

  function add(key: string): void {
    if (closed) return
    const waiting = active.has(key) ? again : ready
    if (waiting.has(key)) return
    observer?.added()
    enqueue(key, performance.now())
  }

  function enqueue(key: string, since: number): void {
    if (active.has(key)) {
      again.set(key, since)
      return
    }
    const worker = idle.shift()
    if (worker === undefined) ready.set(key, since)
    else {
      take(key, since)
      worker(key)
    }
  }

  function take(key: string, since: number): void {
    const now = performance.now()
    active.set(key, now)
    observer?.taken(now - since)
  }

  function addAfter(key: string, ms: number): void {
    if (closed) return
    const at = performance.now() + ms
    const known = timers.get(key)
    if (known !== undefined && known.at <= at) return
    clearTimeout(known?.timer)
    const timer = after(ms, key, () => {
      timers.delete(key)
      add(key)
    })
    timers.set(key, { at, timer })
  }

  return {
    add,
    /** Adds the key after `ms`; of several delays the soonest counts. */
    addAfter,
    /** Adds the key after its backoff: doubles with each call until `forget`, up to `longestMs`. Returns the delay in milliseconds. */
    addRateLimited(key: string, longestMs: number = maxBackoffMs): number {
      const tries = failures.get(key) ?? 0
      failures.set(key, tries + 1)
      const ms = jittered(Math.min(firstBackoffMs * 2 ** Math.min(tries, 30), longestMs), 0.1)
      addAfter(key, ms)
      observer?.retried()
      return ms
    },
    forget: (key: string) => void failures.delete(key),
    /** The next key, or undefined once closed. Call `done` with it afterwards. */
    async next(): Promise<string | undefined> {
      if (closed) return undefined
      const [first] = ready
      if (first === undefined) return await new Promise((resolve) => idle.push(resolve))
      const [key, since] = first
      ready.delete(key)
      take(key, since)
      return key
    },
    done(key: string): void {
      const now = performance.now()
      observer?.finished(now - (active.get(key) ?? now))
      active.delete(key)
      const since = again.get(key)
      again.delete(key)
      if (since !== undefined && !closed) enqueue(key, since)
    },
    depth: () => ready.size,
    /** How long each key that is worked on has been, milliseconds. */
    running: (): readonly number[] => [...active.values()].map((since) => performance.now() - since),
    close(): void {
      closed = true
      for (const { timer } of timers.values()) clearTimeout(timer)
      timers.clear()
      for (const resolve of idle.splice(0)) resolve(undefined)
    },
  }
}

/** Who only looks on stops nobody. */
function guardedObserver(observer: WorkQueueObserver): WorkQueueObserver {
  return {
    added: guarded('observer', 'queue', () => observer.added()),
    taken: guarded('observer', 'queue', (ms: number) => observer.taken(ms)),
    finished: guarded('observer', 'queue', (ms: number) => observer.finished(ms)),
    retried: guarded('observer', 'queue', () => observer.retried()),
  }
}
