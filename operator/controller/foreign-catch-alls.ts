/**
 * Catch-alls of others on ports that a SlimeBoot wants. An annotation alone is no claim: it counts where the SlimeBoot that it names exists
 * and renders that very object, and in the mesh's root namespace, where nobody but its administrator can write.
 */
import type { Client } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import { identityOf, keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import { catchAllOf } from '../apply/catch-all.ts'
import { type ClaimConflict, sharedPorts } from '../apply/claims.ts'
import { failureOf } from '../apply/failure.ts'
import { claimedOwner } from '../apply/ownership.ts'
import type { CatchAll } from '../render/manifest.ts'

export interface ForeignCatchAllsDependencies {
  readonly client: Pick<Client, 'list'>
  /** A SlimeBoot that this operator serves. */
  readonly served: (key: string) => KubeObject | undefined
  /** What a SlimeBoot renders; nothing where its spec is invalid. */
  readonly rendered: (boot: KubeObject) => Promise<readonly KubeObject[]>
}

export interface ForeignCatchAlls {
  readonly conflicts: readonly ClaimConflict[]
  /** In words: catch-alls that are in the way but claim nothing. */
  readonly unclaimed: readonly string[]
}

export interface Wanted {
  readonly key: string
  readonly catchAlls: readonly CatchAll[]
  /** Those of its own that live: nobody takes their ports away. */
  readonly holding: () => readonly CatchAll[]
  readonly roots: ReadonlySet<string>
}

/** SlimeBoots of other operators are listed at most so often. */
const FRESH_MS = 10_000

export function createForeignCatchAlls({ client, served, rendered }: ForeignCatchAllsDependencies) {
  let latest: { readonly until: number; readonly boots: Promise<ReadonlyMap<string, KubeObject> | undefined> } | undefined

  /** Every SlimeBoot of the cluster by key; undefined where they may not be listed. */
  async function allBoots(): Promise<ReadonlyMap<string, KubeObject> | undefined> {
    if (latest === undefined || latest.until < performance.now()) {
      const boots = listBoots()
      boots.catch(() => (latest = undefined))
      latest = { until: performance.now() + FRESH_MS, boots }
    }
    return await latest.boots
  }

  async function listBoots(): Promise<ReadonlyMap<string, KubeObject> | undefined> {
    try {
      const { items } = await client.list(SLIMEBOOT)
      return new Map(items.map((boot) => [keyOf(boot), boot]))
    } catch (error) {
      if (hasCode(error, 403)) return undefined
      throw failureOf(error, 'get', { apiVersion: SLIMEBOOT.apiVersion, kind: SLIMEBOOT.kind, metadata: { name: '' } })
    }
  }

  /** Identities of what the SlimeBoot of this key renders; undefined where that cannot be seen. */
  async function rendersOf(holder: string): Promise<ReadonlySet<string> | undefined> {
    const known = served(holder)
    const boots = known === undefined ? await allBoots() : undefined
    if (known === undefined && boots === undefined) return undefined
    const boot = known ?? boots?.get(holder)
    return new Set(boot === undefined ? [] : (await rendered(boot)).map(identityOf))
  }

  return {
    /** Looks through `live`, the catch-alls that carry our label. Throws ReconcileError. */
    async look(live: readonly KubeObject[], { key, catchAlls, holding, roots }: Wanted): Promise<ForeignCatchAlls> {
      const conflicts: ClaimConflict[] = []
      const unclaimed: string[] = []
      const renders = new Map<string, ReadonlySet<string> | undefined>()
      for (const object of catchAlls.length === 0 ? [] : live) {
        const holder = claimedOwner(object)
        if (holder === undefined || holder === key) continue
        const theirs = catchAllOf(object, roots)
        const shared = catchAlls.flatMap((ours) => sharedPorts(theirs, ours))
        if (shared.length === 0) continue
        const held = new Set(holding().flatMap((ours) => sharedPorts(theirs, ours)))
        const subjects = shared.filter((subject) => !held.has(subject))
        if (theirs.scope !== '*' && !renders.has(holder)) renders.set(holder, await rendersOf(holder))
        // where it cannot be seen, the annotation is believed
        const isClaim = theirs.scope === '*' || (renders.get(holder)?.has(identityOf(object)) ?? true)
        if (isClaim) conflicts.push(...subjects.map((subject) => ({ holder, subject })))
        else unclaimed.push(`${objectId(object)} (marked as of SlimeBoot ${holder})`)
      }
      return { conflicts, unclaimed: unclaimed.sort() }
    },
  }
}
