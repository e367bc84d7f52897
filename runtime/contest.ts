/** Contests: a field that somebody flips back, or an object that somebody deletes, again and again is not fought over in a loop. */

/** Repairs of one field within the window that make it contested. */
const FLIPS = 3
/** The same for an object that is made anew: people delete one more often in good faith. */
export const DELETIONS = 10
const WINDOW_MS = 5 * 60_000
/** A contested field is tried again after this time. */
const RETRY_MS = 10 * 60_000
/** A contest ends when nobody touched the field for this time. */
const QUIET_MS = 30 * 60_000

interface Contest {
  readonly hash: string
  repairs: number[]
  contested: boolean
}

export type Contests = ReturnType<typeof createContests>

/** `now` in milliseconds, monotonic. */
export function createContests(now: () => number = () => performance.now()) {
  const table = new Map<string, Contest>()

  return {
    /**
     * Asks whether `subject` (an object and its drifted fields) may be repaired now; `hash` is of the desired object, a new
     * one starts anew. Returns 0 for yes, else the milliseconds to wait. Call `repaired` after the write.
     */
    waitMs(subject: string, hash: string): number {
      const contest = table.get(subject)
      if (contest === undefined || contest.hash !== hash) return 0
      const last = contest.repairs.at(-1) ?? -Infinity
      if (now() - last > QUIET_MS) {
        table.delete(subject)
        return 0
      }
      return contest.contested ? Math.max(0, last + RETRY_MS - now()) : 0
    },

    /** `limit`: so many within five minutes are a contest. */
    repaired(subject: string, hash: string, limit = FLIPS): void {
      const known = table.get(subject)
      const contest = known?.hash === hash ? known : { hash, repairs: [], contested: false }
      contest.repairs = [...contest.repairs.filter((time) => now() - time < WINDOW_MS), now()]
      if (contest.repairs.length >= limit) contest.contested = true
      table.set(subject, contest)
    },

    /** Forgets all subjects of the object with this identity: it was pruned. */
    forget(identity: string): void {
      for (const subject of table.keys()) if (subject.startsWith(`${identity} `)) table.delete(subject)
    },

    /** Drops what has been quiet long enough; call now and then. */
    sweep(): void {
      for (const [subject, contest] of table) if (now() - (contest.repairs.at(-1) ?? 0) > QUIET_MS) table.delete(subject)
    },
  }
}
