/**
 * A Sidecar is refused as a whole when Istio's webhook, or a policy, does not like one of its hosts. Here it is found out which,
 * so that the others reach it.
 */
import { ApiError, messageOf } from '../../runtime/errors.ts'

export interface RefusedHostsOptions<Outcome> {
  /** Writes the Sidecar with these hosts. Throws ApiError or ConnectionError. */
  readonly write: (hosts: readonly string[]) => Promise<Outcome>
  /** True when a Sidecar with these hosts would be taken; asks the API server and changes nothing. */
  readonly accepts: (hosts: readonly string[]) => Promise<boolean>
  /** Those of the Sidecar as it is. */
  readonly accepted: readonly string[]
}

export interface Written<Outcome> {
  readonly outcome: Outcome
  /** Left out, in the order in which they were given. */
  readonly refused: readonly string[]
  /** What the API server said of them; empty when there are none. */
  readonly failure: string
}

interface Refusal {
  readonly hosts: ReadonlySet<string>
  readonly failure: string
  readonly until: number
}

/** Questions to the API server for one Sidecar: enough for some refused hosts among 500. What is not sorted then is left out. */
const MAX_QUESTIONS = 40
/** What refuses may be changed: so long a refused host is left out without asking, milliseconds. */
export const REFUSED_FOR_MS = 10 * 60_000
const MAX_FENCES = 10_000

export function createRefusedHosts(now: () => number = Date.now) {
  const refusals = new Map<string, Refusal>()

  function known(key: string, hosts: readonly string[]): Refusal | undefined {
    const refusal = refusals.get(key)
    if (refusal === undefined || (now() < refusal.until && hosts.some((host) => refusal.hosts.has(host)))) return refusal
    refusals.delete(key)
    return undefined
  }

  return {
    /** Writes the Sidecar of fence `key` with `hosts`, or without those that are refused. Throws what `write` throws where no host is to blame. */
    async write<Outcome>(
      key: string,
      hosts: readonly string[],
      { write, accepts, accepted }: RefusedHostsOptions<Outcome>,
    ): Promise<Written<Outcome>> {
      const before = known(key, hosts)
      const wanted = hosts.filter((host) => before?.hosts.has(host) !== true)
      try {
        const outcome = await write(wanted)
        return { outcome, refused: hosts.filter((host) => before?.hosts.has(host) === true), failure: before?.failure ?? '' }
      } catch (error) {
        if (!isRefusal(error)) throw error
        const refused = await findRefused(wanted, new Set(accepted), accepts)
        if (refused === undefined) throw error
        const all = new Set([...refused, ...(before?.hosts ?? [])])
        const outcome = await write(hosts.filter((host) => !all.has(host)))
        const failure = messageOf(error).slice(0, 500)
        if (refusals.size >= MAX_FENCES) refusals.clear()
        refusals.set(key, { hosts: all, failure, until: now() + REFUSED_FOR_MS })
        return { outcome, refused: hosts.filter((host) => all.has(host)), failure }
      }
    },
  }
}

/** How Istio's webhook (400), policies and schemas (422) refuse what an object says. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 400 || error.code === 422)
}

/** Those of `hosts` that are refused, by halves; undefined when the ones that were taken before are refused too. */
async function findRefused(
  hosts: readonly string[],
  accepted: ReadonlySet<string>,
  accepts: (hosts: readonly string[]) => Promise<boolean>,
): Promise<readonly string[] | undefined> {
  const good = hosts.filter((host) => accepted.has(host))
  const suspects = hosts.filter((host) => !accepted.has(host))
  if (suspects.length === 0 || (good.length > 0 && !(await accepts(good)))) return undefined
  const refused: string[] = []
  let questions = 0

  async function sift(group: readonly string[], isKnownBad = false): Promise<void> {
    if (questions >= MAX_QUESTIONS) return void refused.push(...group)
    if (!isKnownBad) {
      questions++
      if (await accepts([...good, ...group])) return void good.push(...group)
    }
    if (group.length === 1) return void refused.push(...group)
    const middle = Math.ceil(group.length / 2)
    const before = refused.length
    await sift(group.slice(0, middle))
    // where the first half is good it is the second
    await sift(group.slice(middle), refused.length === before)
  }

  await sift(suspects, true)
  return good.length === 0 ? undefined : refused
}
