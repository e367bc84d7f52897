/** Claiming: what another SlimeBoot has already, known from the claims table and from what lives in the cluster, before any write. */
import { identityOf, keyOf, type KubeObject } from '../../runtime/object.ts'
import { catchAllOf, isCatchAll } from '../apply/catch-all.ts'
import { type Claim, claimantOf, type Claims } from '../apply/claims.ts'
import { ReconcileError } from '../apply/failure.ts'
import type { Live } from '../apply/live.ts'
import { type Reach, standingOf } from '../apply/standing.ts'
import { listed } from '../listed.ts'
import type { Compiled } from './compile.ts'
import type { createForeignCatchAlls } from './foreign-catch-alls.ts'

export interface ClaimingDependencies {
  readonly claims: Claims
  readonly live: Pick<Live, 'catchAlls' | 'labelled'>
  readonly foreignCatchAlls: ReturnType<typeof createForeignCatchAlls>
  /** Whether this operator serves a SlimeBoot of this key. */
  readonly isServed: (key: string) => boolean
}

const HOLDERS_LISTED = 3
const SUBJECTS_LISTED = 10

/**
 * Registers what `boot` renders. Throws ReconcileError `Conflict` where another SlimeBoot has some of it. A live catch-all counts also
 * when its SlimeBoot was not reconciled yet, as after a restart, or is served by another operator. Returns those that are in the way of
 * one for the whole mesh and claim nothing, in words.
 */
export async function claimAll(
  { claims, live, foreignCatchAlls, isServed }: ClaimingDependencies,
  boot: KubeObject,
  { claim, owner }: Compiled,
  reach: Reach,
): Promise<readonly string[]> {
  const holding = remembered(() =>
    holdingOf(
      live.labelled(owner.label).filter((object) => standingOf(object, owner, reach) === 'ours'),
      reach,
    ),
  )
  const conflicts = [...claims.claim(claimantOf(boot), claim, holding)]
  const wanted = { key: keyOf(boot), catchAlls: claim.catchAlls, holding: () => holding().catchAlls, roots: reach.roots }
  const foreign = await foreignCatchAlls.look(live.catchAlls(), wanted)
  conflicts.push(...foreign.conflicts)
  if (conflicts.length === 0) return claim.catchAlls.some(({ scope }) => scope === '*') ? foreign.unclaimed : []
  for (const { holder } of conflicts) claims.await(holder, owner.key)
  const holders = [...Map.groupBy(conflicts, ({ holder }) => holder)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([holder, subjects]) => {
      const named = [...new Set(subjects.map(({ subject }) => nameOf(subject)))].sort(portsFirst)
      return `SlimeBoot ${holder} has ${listed(named, SUBJECTS_LISTED)}${isServed(holder) ? '' : ' (where it is gone, "slimeboot prune-orphans" removes what it left)'}`
    })
  const message = `${listed(holders, HOLDERS_LISTED, '; ')}, and came first. Change one of the two; nothing was applied.`
  throw new ReconcileError('Conflict', message, 'heals')
}

/** Computed when it is asked for, once: thousands of objects, and mostly nobody else wants them. */
function remembered<Value>(compute: () => Value): () => Value {
  let known: { readonly value: Value } | undefined
  return () => (known ??= { value: compute() }).value
}

function holdingOf(objects: readonly KubeObject[], { roots }: Reach): Claim {
  return {
    objects: new Set(objects.map(identityOf)),
    catchAlls: objects.filter(isCatchAll).map((object) => catchAllOf(object, roots)),
  }
}

/** `port 9080 of namespace default` as it is, an identity as `Kind/namespace/name`. */
function nameOf(subject: string): string {
  return isPort(subject) ? subject : subject.split('/').slice(1).filter(Boolean).join('/')
}

function portsFirst(a: string, b: string): number {
  return Number(isPort(b)) - Number(isPort(a)) || (a < b ? -1 : 1)
}

function isPort(subject: string): boolean {
  return subject.startsWith('port ')
}
