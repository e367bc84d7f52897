/** The claims table: which SlimeBoot may render which object and take over which ports, decided before any write. */
import type { CatchAll } from '../render/manifest.ts'

export interface Claim {
  /** Identities of the rendered objects (`group/kind/namespace/name`). */
  readonly objects: ReadonlySet<string>
  readonly catchAlls: readonly CatchAll[]
}

export interface Claimant {
  readonly key: string
  /** `metadata.creationTimestamp`: the older SlimeBoot wins, at the same second the lesser key. */
  readonly createdAt: string
}

export interface ClaimConflict {
  /** Key of the SlimeBoot that has it. */
  readonly holder: string
  /** Identity of the object, or `port 9080 of namespace default`. */
  readonly subject: string
}

interface Entry extends Claim {
  readonly claimant: Claimant
}

export type Claims = ReturnType<typeof createClaims>

export function createClaims() {
  const entries = new Map<string, Entry>()
  /** Keys that lost against a holder, to be looked at again when it changes. */
  const losers = new Map<string, Set<string>>()

  return {
    /**
     * Registers what a SlimeBoot renders and returns what an older one has already. The claim stands even then, so that
     * the next younger one sees it. Younger SlimeBoots that lose by it are returned to be reconciled again.
     */
    claim(claimant: Claimant, claim: Claim): { readonly conflicts: readonly ClaimConflict[]; readonly losers: readonly string[] } {
      const conflicts: ClaimConflict[] = []
      const lost = new Set<string>()
      for (const entry of entries.values()) {
        if (entry.claimant.key === claimant.key) continue
        const subjects = overlap(entry, claim)
        if (subjects.length === 0) continue
        if (isOlder(entry.claimant, claimant)) {
          conflicts.push(...subjects.map((subject) => ({ holder: entry.claimant.key, subject })))
          const waiting = losers.get(entry.claimant.key) ?? new Set()
          losers.set(entry.claimant.key, waiting.add(claimant.key))
        } else lost.add(entry.claimant.key)
      }
      entries.set(claimant.key, { claimant, ...claim })
      return { conflicts, losers: [...lost] }
    },

    /** Lets go of a SlimeBoot's claim (or shrinks it to `rest`); returns the SlimeBoots that had lost against it. */
    release(key: string, rest?: Claim): readonly string[] {
      const entry = entries.get(key)
      if (entry === undefined) return []
      if (rest === undefined) entries.delete(key)
      else entries.set(key, { claimant: entry.claimant, ...rest })
      const waiting = [...(losers.get(key) ?? [])]
      losers.delete(key)
      return waiting
    },

    get: (key: string): Claim | undefined => entries.get(key),
  }
}

function isOlder(a: Claimant, b: Claimant): boolean {
  return a.createdAt < b.createdAt || (a.createdAt === b.createdAt && a.key < b.key)
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

function sharedPorts(a: CatchAll, b: CatchAll): readonly string[] {
  if (!scopesMeet(a, b)) return []
  const scope = a.scope === '*' ? b.scope : a.scope
  return a.ports
    .filter((port) => b.ports.includes(port))
    .map((port) => `port ${port} of ${scope === '*' ? 'the whole mesh' : `namespace ${scope}`}`)
}
