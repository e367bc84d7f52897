/** The claims table: which SlimeBoot may render which object and take over which ports, decided before any write. */
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import type { CatchAll } from '../render/manifest.ts'

export interface Claim {
  /** Identities of the rendered objects (`group/kind/namespace/name`). */
  readonly objects: ReadonlySet<string>
  readonly catchAlls: readonly CatchAll[]
}

export interface Claimant {
  readonly key: string
  /** `metadata.creationTimestamp`; at the same second the lesser key counts as older. */
  readonly createdAt: string
}

export interface ClaimConflict {
  /** Key of the SlimeBoot that has it. */
  readonly holder: string
  /** Identity of the object, or `port 9080 of namespace default`. */
  readonly subject: string
}

interface Entry {
  readonly claimant: Claimant
  /** What it may render: nobody else gets it until it lets go. */
  readonly granted: Claim
  /** What it renders; more than granted while it has lost against somebody. */
  readonly wanted: Claim
  /** The state of the whole table in which nobody else had or wanted any of it. */
  readonly undisputedAt: number | undefined
}

const NO_CLAIM: Claim = { objects: new Set(), catchAlls: [] }

export type Claims = ReturnType<typeof createClaims>

/** Empty at the start: every SlimeBoot claims again when it is reconciled first. */
export function createClaims() {
  const entries = new Map<string, Entry>()
  /** Keys of the entries that have something at a place: an object, or the ports of a scope. */
  const places = new Map<string, Set<string>>()
  /** Keys that lost against a holder, to be looked at again when it changes. */
  const losers = new Map<string, Set<string>>()
  /** Counts changes of what is granted or wanted. */
  let state = 0

  function put(claimant: Claimant, granted: Claim, wanted: Claim, undisputed: boolean): void {
    const before = entries.get(claimant.key)
    if (before?.granted !== granted || before.wanted !== wanted) {
      remove(claimant.key)
      state++
      for (const place of [...placesOf(granted), ...placesOf(wanted)]) places.set(place, (places.get(place) ?? new Set()).add(claimant.key))
    }
    entries.set(claimant.key, { claimant, granted, wanted, undisputedAt: undisputed ? state : undefined })
  }

  function remove(key: string): void {
    const before = entries.get(key)
    entries.delete(key)
    state++
    if (before !== undefined)
      for (const place of [...placesOf(before.granted), ...placesOf(before.wanted)]) {
        const there = places.get(place)
        there?.delete(key)
        if (there?.size === 0) places.delete(place)
      }
  }

  /** The others that may have something of `wanted`: a thousand SlimeBoots that share nothing do not look at each other. */
  function neighbours(key: string, wanted: Claim): readonly Entry[] {
    const everywhere = wanted.catchAlls.some(({ scope }) => scope === '*')
      ? [...places.keys()].filter((place) => place.startsWith(PORTS))
      : []
    const near = new Set([...placesOf(wanted), ...everywhere, `${PORTS}*`].flatMap((place) => [...(places.get(place) ?? [])]))
    near.delete(key)
    return [...near].map((other) => entries.get(other)!)
  }

  return {
    /**
     * Registers what a SlimeBoot renders and returns what others have already: whoever was granted it first, and where it
     * is granted to nobody yet the older SlimeBoot. What is granted grows until `release`. `holding` is what lives of this
     * SlimeBoot: nobody takes it away.
     */
    claim(claimant: Claimant, wanted: Claim, holding: () => Claim = () => NO_CLAIM): readonly ClaimConflict[] {
      const before = entries.get(claimant.key)
      if (before?.undisputedAt === state && before.wanted === wanted) return []
      const conflicts: ClaimConflict[] = []
      const granted = before?.granted ?? NO_CLAIM
      const living = new Set(overlap(holding(), wanted))
      const safe = living.union(new Set(overlap(granted, wanted)))
      let undisputed = true
      for (const entry of neighbours(claimant.key, wanted)) {
        const { key } = entry.claimant
        const [theirs, theyWant] = [overlap(entry.granted, wanted), overlap(entry.wanted, wanted)]
        if (theirs.length > 0 || theyWant.length > 0) undisputed = false
        const taken = theirs.filter((subject) => !living.has(subject))
        const older = isOlder(entry.claimant, claimant) ? theyWant.filter((subject) => !safe.has(subject)) : []
        const subjects = [...new Set([...taken, ...older])]
        if (subjects.length === 0) continue
        conflicts.push(...subjects.map((subject) => ({ holder: key, subject })))
        this.await(key, claimant.key)
      }
      put(claimant, conflicts.length > 0 ? granted : union(granted, wanted), wanted, undisputed)
      return conflicts
    },

    /** Whether an object of this identity was granted to a SlimeBoot, or is wanted by it. */
    has(key: string, identity: string): boolean {
      const entry = entries.get(key)
      return entry !== undefined && (entry.granted.objects.has(identity) || entry.wanted.objects.has(identity))
    },

    /** Namespaces of the objects that a SlimeBoot was granted and has not let go of. */
    namespacesOf(key: string): ReadonlySet<string> {
      const { objects } = entries.get(key)?.granted ?? NO_CLAIM
      return new Set([...objects].map((identity) => identity.split('/')[2] ?? ''))
    },

    /** `loser` is to be looked at again when `holder` lets go of something. */
    await(holder: string, loser: string): void {
      losers.set(holder, (losers.get(holder) ?? new Set()).add(loser))
    },

    /** Lets go of a SlimeBoot's claim (or shrinks it to `rest`); returns the SlimeBoots that had lost against it. */
    release(key: string, rest?: Claim): readonly string[] {
      const entry = entries.get(key)
      if (rest === undefined) remove(key)
      else if (entry !== undefined) put(entry.claimant, rest, rest, entry.undisputedAt === state && entry.wanted === rest)
      const waiting = [...(losers.get(key) ?? [])]
      losers.delete(key)
      return waiting
    },
  }
}

const PORTS = 'ports of '

function placesOf({ objects, catchAlls }: Claim): readonly string[] {
  return [...objects, ...catchAlls.map(({ scope }) => `${PORTS}${scope}`)]
}

/** Compares SlimeBoots by the age that counts for claims, for `sort`. */
export function oldestFirst(a: KubeObject, b: KubeObject): number {
  return isOlder(claimantOf(a), claimantOf(b)) ? -1 : 1
}

export function claimantOf(boot: KubeObject): Claimant {
  return { key: keyOf(boot), createdAt: boot.metadata.creationTimestamp ?? '' }
}

export function isOlder(a: Claimant, b: Claimant): boolean {
  return a.createdAt < b.createdAt || (a.createdAt === b.createdAt && a.key < b.key)
}

function union(a: Claim, b: Claim): Claim {
  if (a === b) return a
  return { objects: a.objects.union(b.objects), catchAlls: [...new Set([...a.catchAlls, ...b.catchAlls])] }
}

function overlap(a: Claim, b: Claim): readonly string[] {
  const objects = [...b.objects].filter((identity) => a.objects.has(identity))
  const ports = b.catchAlls.flatMap((mine) => a.catchAlls.flatMap((other) => sharedPorts(mine, other)))
  return [...new Set([...objects, ...ports])]
}

/** `*` is every namespace: two catch-alls on one route config make Envoy reject all of it. */
export function scopesMeet(a: Pick<CatchAll, 'scope'>, b: Pick<CatchAll, 'scope'>): boolean {
  return a.scope === b.scope || a.scope === '*' || b.scope === '*'
}

/** The ports that both take over, as `port 9080 of namespace default`. */
export function sharedPorts(a: Pick<CatchAll, 'scope' | 'ports'>, b: Pick<CatchAll, 'scope' | 'ports'>): readonly string[] {
  if (!scopesMeet(a, b)) return []
  const scope = a.scope === '*' ? b.scope : a.scope
  return a.ports
    .filter((port) => b.ports.includes(port))
    .map((port) => `port ${port} of ${scope === '*' ? 'the whole mesh' : `namespace ${scope}`}`)
}
