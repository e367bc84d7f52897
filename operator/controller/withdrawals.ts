/**
 * Withdrawal: a catch-all whose global-sidecar has had no available replica for 15 s is taken away, so that calls to unknown hosts pass
 * through as without lazyload instead of failing. It comes back behind its gate, as at the first install. Judged by what lives, whatever
 * else is wrong with the SlimeBoot; a process that starts anew counts the time from its start.
 */
import type { Client } from '../../runtime/client.ts'
import { objectId, type KubeObject } from '../../runtime/object.ts'
import { DEPLOYMENT } from '../api/kinds.ts'
import type { Change } from '../apply/apply.ts'
import { catchAllOf, isCatchAll } from '../apply/catch-all.ts'
import { failureOf, type ReconcileError } from '../apply/failure.ts'
import type { Live } from '../apply/live.ts'
import { ownerOf } from '../apply/ownership.ts'
import type { Pruner } from '../apply/prune.ts'
import { countOfAvailable } from '../apply/readiness.ts'
import { type Reach, standingOf } from '../apply/standing.ts'
import type { Compiled } from './compile.ts'
import type { Outcome } from './outcome.ts'

/** Longer than a pod takes to be replaced or a node to answer again, shorter than what users take for an outage. */
export const WITHDRAWN_AFTER_MS = 15_000
/** A global-sidecar that was lost twice in this time comes and goes: */
const MEMORY_MS = 10 * 60_000
/** its catch-all comes back only when it has been available for so long without a break. */
const STEADY_MS = 60_000

export interface WithdrawalDependencies {
  readonly client: Pick<Client, 'get'>
  readonly live: Pick<Live, 'get' | 'labelled' | 'forbidden'>
  readonly pruner: Pick<Pruner, 'removeCatchAlls'>
  /** Where marks of a SlimeBoot can be true. */
  readonly reachOf: (boot: KubeObject) => Reach
  readonly now?: () => number
}

export interface Withdrawal {
  readonly changes: readonly Change[]
  readonly problems: readonly ReconcileError[]
  /** Look again after this time, milliseconds. */
  readonly waitMs?: number
}

/** What this process knows of one global-sidecar; times are monotonic milliseconds. */
interface Watched {
  /** Since when no replica is available; undefined: one is. */
  goneSince: number | undefined
  availableSince: number | undefined
  /** When its catch-all was withdrawn, as far back as is remembered. */
  withdrawnAt: readonly number[]
}

export type Withdrawals = ReturnType<typeof createWithdrawals>

export function createWithdrawals({ client, live, pruner, reachOf, now = () => performance.now() }: WithdrawalDependencies) {
  /** By SlimeBoot, then by namespace of the global-sidecar. */
  const boots = new Map<string, Map<string, Watched>>()

  function look(key: string, namespace: string): Watched {
    const all = boots.get(key) ?? new Map<string, Watched>()
    boots.set(key, all)
    const seen = all.get(namespace) ?? { goneSince: undefined, availableSince: undefined, withdrawnAt: [] }
    all.set(namespace, seen)
    if (countOfAvailable(live.get(deploymentOf(namespace))) > 0) {
      seen.availableSince ??= now()
      seen.goneSince = undefined
    } else {
      seen.availableSince = undefined
      seen.goneSince ??= now()
    }
    return seen
  }

  /** Looks also at those that are withdrawn now, so that a replica that comes back ends the time without one; forgets what has no catch-all any more. */
  function lookAround(key: string, namespaces: readonly string[]): void {
    for (const [namespace, seen] of boots.get(key) ?? []) {
      seen.withdrawnAt = seen.withdrawnAt.filter((at) => now() - at < MEMORY_MS)
      if (seen.withdrawnAt.length === 0 && !namespaces.includes(namespace)) boots.get(key)?.delete(namespace)
      else look(key, namespace)
    }
  }

  /** Asked of the API server itself: the cache shows only what has our label, and may be behind. */
  async function isGone(namespace: string): Promise<boolean> {
    const object = deploymentOf(namespace)
    try {
      return countOfAvailable(await client.get({ type: DEPLOYMENT, namespace, name: object.metadata.name })) === 0
    } catch (error) {
      throw failureOf(error, 'get', object)
    }
  }

  return {
    /** One step for a SlimeBoot that is served. Throws ReconcileError. */
    async step(boot: KubeObject): Promise<Withdrawal> {
      const owner = ownerOf(boot)
      const reach = reachOf(boot)
      const catchAlls = live
        .labelled(owner.label)
        .filter(
          (object) => isCatchAll(object) && standingOf(object, owner, reach) === 'ours' && object.metadata.deletionTimestamp === undefined,
        )
      const globalSidecarNamespaceOf = (object: KubeObject): string => catchAllOf(object, reach.roots).globalSidecarNamespace
      const changes: Change[] = []
      const problems: ReconcileError[] = []
      const waits: number[] = []
      if (live.forbidden(DEPLOYMENT)) return { changes, problems }
      lookAround(owner.key, catchAlls.map(globalSidecarNamespaceOf))
      for (const catchAll of catchAlls) {
        const namespace = globalSidecarNamespaceOf(catchAll)
        const seen = look(owner.key, namespace)
        if (seen.goneSince === undefined) continue
        const waitMs = seen.goneSince + WITHDRAWN_AFTER_MS - now()
        if (waitMs > 0 || !(await isGone(namespace))) {
          waits.push(Math.max(waitMs, 1000))
          continue
        }
        const { deleted, blocked } = await pruner.removeCatchAlls(owner.key, [catchAll], reach.roots)
        problems.push(...blocked.map(({ error }) => error))
        if (deleted.length === 0) continue
        seen.withdrawnAt = [...seen.withdrawnAt, now()]
        changes.push({ object: objectId(catchAll), action: 'withdrawn', fields: [], mutated: [] })
      }
      return { changes, problems, ...(waits.length === 0 ? {} : { waitMs: Math.min(...waits) }) }
    },

    /** For how many milliseconds more the catch-all of this global-sidecar is held back though a replica is available; mostly 0. */
    heldBackMs(key: string, namespace: string): number {
      if ((boots.get(key)?.get(namespace)?.withdrawnAt.length ?? 0) < 2) return 0
      const { availableSince } = look(key, namespace)
      return availableSince === undefined ? STEADY_MS : Math.max(0, availableSince + STEADY_MS - now())
    },

    /**
     * Namespaces of global-sidecars whose catch-all is withdrawn and not back yet, sorted. A process that starts anew knows it from the
     * status that the one before wrote: that one decides about words only, never about a write.
     */
    withdrawn(boot: KubeObject, { owner, desired }: Pick<Compiled, 'owner' | 'desired'>): readonly string[] {
      const told = (boot['status'] as { readonly withdrawn?: unknown } | undefined)?.withdrawn
      const watched = [...(boots.get(owner.key) ?? [])].filter(([, { withdrawnAt }]) => withdrawnAt.length > 0)
      const known = [...(Array.isArray(told) ? (told as readonly unknown[]) : []), ...watched.map(([namespace]) => namespace)]
      const absent = desired.filter(({ manifest, object }) => manifest.catchAll !== undefined && live.get(object) === undefined)
      const namespaces = absent.map(({ manifest }) => manifest.catchAll!.globalSidecarNamespace)
      return [...new Set(namespaces.filter((namespace) => known.includes(namespace)))].sort()
    },

    /** The SlimeBoot of this key is gone. */
    forget: (key: string): void => void boots.delete(key),
  }
}

/** The outcome of the reconcile that followed, with what was withdrawn before it. */
export function withWithdrawal(outcome: Outcome, { changes, problems, waitMs }: Withdrawal): Outcome {
  return {
    ...outcome,
    changes: [...changes, ...outcome.changes],
    problems: [...outcome.problems, ...problems],
    ...(waitMs === undefined ? {} : { withdrawalMs: waitMs }),
  }
}

function deploymentOf(namespace: string): KubeObject {
  return { apiVersion: DEPLOYMENT.apiVersion, kind: DEPLOYMENT.kind, metadata: { namespace, name: 'global-sidecar' } }
}
