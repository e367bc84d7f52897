/** How long a host of `spec.host` stays (spec 1): stable before deadline before auto; a strategy that says nothing means for ever. */
import type { RecyclingStrategy, Timestamp } from './fence.ts'

export interface Lifetime {
  readonly expired: boolean
  /** When that changes, milliseconds since 1970; undefined: never. */
  readonly expiresAt: number | undefined
}

const FOREVER: Lifetime = { expired: false, expiresAt: undefined }

/** Expired strictly after its last second, as the upstream controller compares whole seconds. */
export function lifetimeOf(strategy: RecyclingStrategy | null | undefined, now: number): Lifetime {
  const { stable, deadline, auto, RecentlyCalled: called } = strategy ?? {}
  if (stable !== undefined && stable !== null) return FOREVER
  if (deadline !== undefined && deadline !== null) return until(secondsOf(deadline.expire), now)
  if (auto === undefined || auto === null) return FOREVER
  const [duration, since] = [secondsOf(auto.duration), secondsOf(called)]
  return until(duration === undefined || since === undefined ? undefined : since + duration, now)
}

function until(lastSecond: number | undefined, now: number): Lifetime {
  if (lastSecond === undefined) return FOREVER
  const expiresAt = (lastSecond + 1) * 1000
  return now >= expiresAt ? { expired: true, expiresAt: undefined } : { expired: false, expiresAt }
}

function secondsOf(timestamp: Timestamp | null | undefined): number | undefined {
  const seconds = timestamp?.seconds
  if (seconds === undefined || seconds === null || seconds === '') return undefined
  const value = Math.floor(Number(seconds))
  return Number.isFinite(value) ? value : undefined
}
