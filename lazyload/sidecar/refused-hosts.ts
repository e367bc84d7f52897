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
  /** Those of the Sidecar as it is; empty where there is none. */
  readonly accepted: readonly string[]
  /** Those that every Sidecar has. */
  readonly constant: readonly string[]
}

export interface Written<Outcome> {
  readonly outcome: Outcome
  /** Left out, in the order in which they were given. */
  readonly refused: readonly string[]
  /** What the API server said of them; empty when there are none. */
  readonly failure: string
}

interface Refusal {
  /** Empty where nobody knows which they are. */
  readonly hosts: ReadonlySet<string>
  readonly failure: string
  readonly until: number
}

/** Questions to the API server for one Sidecar: enough for some ten refused hosts among 500. */
const MAX_QUESTIONS = 120
/** What refuses may be changed: so long a refused host is left out without asking, milliseconds. */
export const REFUSED_FOR_MS = 10 * 60_000
const MAX_FENCES = 10_000

export function createRefusedHosts(now: () => number = Date.now) {
  const refusals = new Map<string, Refusal>()

  function known(key: string, hosts: readonly string[]): Refusal | undefined {
    const refusal = refusals.get(key)
    if (refusal === undefined) return undefined
    if (now() < refusal.until && (refusal.hosts.size === 0 || hosts.some((host) => refusal.hosts.has(host)))) return refusal
    refusals.delete(key)
    return undefined
  }

  function remember(key: string, refusal: Refusal): void {
    if (refusals.size >= MAX_FENCES) refusals.clear()
    refusals.set(key, refusal)
  }

  return {
    /** Writes the Sidecar of fence `key` with `hosts`, or without those that are refused. Throws what `write` throws where no host is to blame. */
    async write<Outcome>(
      key: string,
      hosts: readonly string[],
      { write, accepts, accepted, constant }: RefusedHostsOptions<Outcome>,
    ): Promise<Written<Outcome>> {
      const before = known(key, hosts)
      const wanted = hosts.filter((host) => before?.hosts.has(host) !== true)
      try {
        const outcome = await write(wanted)
        if (before?.hosts.size === 0) refusals.delete(key)
        return { outcome, refused: hosts.filter((host) => before?.hosts.has(host) === true), failure: before?.failure ?? '' }
      } catch (error) {
        if (!isRefusal(error) || before?.hosts.size === 0) throw error
        const refused = await findRefused(wanted, new Set([...accepted, ...constant]), accepts, accepted.length > 0)
        if (refused === undefined) {
          remember(key, { hosts: new Set(), failure: '', until: now() + REFUSED_FOR_MS })
          throw error
        }
        const all = new Set([...refused, ...(before?.hosts ?? [])])
        const outcome = await write(hosts.filter((host) => !all.has(host)))
        const failure = messageOf(error).slice(0, 500)
        remember(key, { hosts: all, failure, until: now() + REFUSED_FOR_MS })
        return { outcome, refused: hosts.filter((host) => all.has(host)), failure }
      }
    },
  }
}

/** How Istio's webhook (400), policies and schemas (422) refuse what an object says. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 400 || error.code === 422)
}

/**
 * Those of `hosts` that are refused, by halves; undefined when those `beyondDoubt` are refused too, so that no host is to blame. Where the
 * questions do not do for all, the rest counts as refused if `mayLeaveOut`, since a Sidecar stays as it was without it; a new Sidecar
 * that lacks good hosts would cut its pods off from them, so then it is undefined too.
 */
async function findRefused(
  hosts: readonly string[],
  beyondDoubt: ReadonlySet<string>,
  accepts: (hosts: readonly string[]) => Promise<boolean>,
  mayLeaveOut: boolean,
): Promise<readonly string[] | undefined> {
  const good = hosts.filter((host) => beyondDoubt.has(host))
  const suspects = hosts.filter((host) => !beyondDoubt.has(host))
  if (suspects.length === 0 || !(await accepts(good))) return undefined
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
  return questions >= MAX_QUESTIONS && !mayLeaveOut ? undefined : refused
}
