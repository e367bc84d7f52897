/** Claiming: what another SlimeBoot has already, known from the claims table and from what lives in the cluster, before any write. */
import { identityOf, keyOf, type KubeObject } from '../../runtime/object.ts'
import type { Claim, ClaimConflict, Claims } from '../apply/claims.ts'
import { claimantOf, sharedPorts } from '../apply/claims.ts'
import { ReconcileError } from '../apply/failure.ts'
import type { Live } from '../apply/live.ts'
import { claimedOwner, ownershipOf } from '../apply/ownership.ts'
import { catchAllOf, isCatchAll } from '../apply/catch-all.ts'
import { listed } from '../listed.ts'
import type { Compiled } from './compile.ts'

export interface ClaimingDependencies {
  readonly claims: Claims
  readonly live: Pick<Live, 'catchAlls' | 'labelled'>
  /** Whether this operator serves a SlimeBoot of this key. */
  readonly isServed: (key: string) => boolean
}

const HOLDERS_LISTED = 3
const SUBJECTS_LISTED = 10

/**
 * Registers what `boot` renders. Throws ReconcileError `Conflict` where another SlimeBoot has some of it. A live catch-all counts also
 * when its SlimeBoot was not reconciled yet, as after a restart, or is served by another operator.
 */
export function claimAll({ claims, live, isServed }: ClaimingDependencies, boot: KubeObject, { claim, owner }: Compiled): void {
  const holding = remembered(() => holdingOf(live.labelled(owner.label).filter((object) => ownershipOf(object, owner) === 'ours')))
  const conflicts = [...claims.claim(claimantOf(boot), claim, holding), ...liveConflicts(live.catchAlls(), keyOf(boot), claim, holding)]
  if (conflicts.length === 0) return
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

function holdingOf(objects: readonly KubeObject[]): Claim {
  return { objects: new Set(objects.map(identityOf)), catchAlls: objects.filter(isCatchAll).map(catchAllOf) }
}

/** Ports of ours on which a catch-all of another SlimeBoot lives, but none of ours yet. */
function liveConflicts(
  live: readonly KubeObject[],
  key: string,
  { catchAlls: wanted }: Claim,
  holding: () => Claim,
): readonly ClaimConflict[] {
  if (wanted.length === 0) return []
  return live.flatMap((object) => {
    const holder = claimedOwner(object)
    if (holder === undefined || holder === key) return []
    const theirs = catchAllOf(object)
    const held = new Set(holding().catchAlls.flatMap((ours) => sharedPorts(theirs, ours)))
    const subjects = wanted.flatMap((ours) => sharedPorts(theirs, ours)).filter((subject) => !held.has(subject))
    return subjects.map((subject) => ({ holder, subject }))
  })
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
