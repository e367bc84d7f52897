/** Are the watches fresh? A cache that hears nothing is worse than none: it looks right. */
import type { Check } from './health-server.ts'
import type { Informer } from './informer.ts'
import { resourceName } from './resource.ts'

export type WatchState = Pick<Informer, 'type' | 'synced' | 'forbidden' | 'silentMs'>

/** The API server sends a bookmark about once a minute, and a silent watch is opened anew after 150 s; one that is silent for longer than this gets no answer. */
export const STALE_MS = 4 * 60_000

/** One check per resource: listed once, and heard of within `staleMs`. */
export function watchChecks(informers: readonly WatchState[], staleMs = STALE_MS): readonly Check[] {
  const byName = Map.groupBy(informers, ({ type }) => resourceName(type))
  return [...byName].map(([name, watches]) => ({
    name: `watch ${name}`,
    problem: watches.map((watch) => problemOf(watch, staleMs)).find((problem) => problem !== undefined),
  }))
}

function problemOf(watch: WatchState, staleMs: number): string | undefined {
  if (!watch.synced()) return 'not listed yet; the log says what the API server answers'
  if (watch.forbidden()) return 'may not be listed or watched: grant "list" and "watch" on it'
  const silentMs = watch.silentMs()
  return silentMs > staleMs ? `nothing heard from the API server for ${Math.round(silentMs / 1000)} s: changes go unseen` : undefined
}
