/**
 * Prune: deletes what is stale in an order that never leaves traffic without a way: first the catch-all, then (after the
 * proxies had time to learn it) the global-sidecar behind it, the rest backwards, its guard when its pods are gone.
 */
import type { Client } from '../../runtime/client.ts'
import { objectId, type KubeObject } from '../../runtime/object.ts'
import { hasCode } from '../../runtime/errors.ts'
import { type ObjectRef, refOf } from '../../runtime/resource.ts'
import { POD, typeOf } from '../api/kinds.ts'
import { OWNER_LABEL } from '../api/slimeboot.ts'
import { catchAllOf, isCatchAll, isGlobalSidecar } from './catch-all.ts'
import { failureOf, ReconcileError } from './failure.ts'
import type { Live } from './live.ts'
import { claimedOwner } from './ownership.ts'
import { unreadyDeployment } from './readiness.ts'
import { rightsInUse } from './rights-in-use.ts'

export interface PruneDependencies {
  readonly client: Client
  readonly live: Pick<Live, 'forget'>
  /** Time that the mesh needs to learn that a catch-all is gone, milliseconds. */
  readonly settleMs: number
  /** An object of ours is gone: what is remembered of it can be forgotten. */
  readonly onRemoved?: (object: KubeObject) => void
  readonly now?: () => number
}

export interface PruneResult {
  /** `Kind/namespace/name` of each. */
  readonly deleted: readonly string[]
  /** What could not be deleted, and why. */
  readonly blocked: readonly Blocked[]
  /** More is to be deleted after this time, milliseconds. */
  readonly waitMs?: number
  /** What is waited for, for the status. */
  readonly waitingFor?: string
}

export interface Blocked {
  readonly object: KubeObject
  readonly error: ReconcileError
}

export interface PruneOptions {
  /** Live global-sidecar Deployments that are not stale, by namespace; there the pods to wait for are those of their previous template. */
  readonly staying?: ReadonlyMap<string, KubeObject>
  /** Live Deployments that are not stale; what they still need to write goes when they have rolled out. */
  readonly modules?: readonly KubeObject[]
  /** Namespaces whose EnvoyFilters reach the whole mesh. */
  readonly roots?: ReadonlySet<string>
  /** Of the stale ones, those whose pods are waited for without a word: no status depends on them. */
  readonly leftBehind?: ReadonlySet<KubeObject>
  /** Those are not waited for at all. */
  readonly hurried?: boolean
  /** What stays behind a catch-all that somebody's finalizer holds goes too: it was waited for long enough. */
  readonly impatient?: boolean
}

/** Label of every global-sidecar pod (spec/behaviour.md 7.1). */
const GLOBAL_SIDECAR_PODS = 'app=qz-ingress'
const POD_POLL_MS = 2000
const PODS_LISTED = 3
const REMOVAL_TRIES = 5
/** Pods that do not end in this time do not hold up the rest for ever. */
const POD_PATIENCE_MS = 120_000
/** Rights that nobody should have any more are not kept for a Deployment that never rolls out. */
const RIGHTS_PATIENCE_MS = 120_000

export type Pruner = ReturnType<typeof createPruner>

/** Times count in this process only: after a restart the mesh is given the whole time again. */
export function createPruner({ client, live, settleMs, onRemoved, now = () => performance.now() }: PruneDependencies) {
  /** Per SlimeBoot and namespace of a global-sidecar: when what stands behind the removed catch-all may go. */
  const settled = new Map<string, Map<string, number>>()
  const patience = new Map<string, number>()
  /** Per SlimeBoot: when rights go although pods may still use them. */
  const rightsPatience = new Map<string, number>()

  async function removeAll(objects: readonly KubeObject[], deleted: string[], blocked: Blocked[]): Promise<void> {
    await Promise.all(
      objects.map(async (object) => {
        if (object.metadata.deletionTimestamp !== undefined) {
          blocked.push({ object, error: survivor(object) })
          return
        }
        try {
          const gone = await remove(object)
          if (gone) deleted.push(objectId(object))
          else blocked.push({ object, error: survivor(object) })
        } catch (error) {
          const failure = failureOf(error, 'delete', object)
          if (failure.reason === 'KindMissing') live.forget(object)
          else blocked.push({ object, error: failure })
        }
      }),
    )
  }

  /** False when the object stays for a finalizer of somebody else. */
  async function remove(object: KubeObject): Promise<boolean> {
    const ref = refOf(typeOf(object), object)
    const { uid } = object.metadata
    const last = await removeAsOurs(ref, object)
    if ((last.metadata.finalizers ?? []).length > 0 && (await client.get(ref))?.metadata.uid === uid) return false
    live.forget(object)
    onRemoved?.(object)
    return true
  }

  /** Whoever writes an object again and again does not keep it: it is looked at anew, and goes while its marks are the same. Returns it as it was then. */
  async function removeAsOurs(ref: ObjectRef, object: KubeObject): Promise<KubeObject> {
    let latest = object
    for (let left = REMOVAL_TRIES; ; left--) {
      const { uid, resourceVersion } = latest.metadata
      try {
        await client.remove(ref, { uid, resourceVersion })
        return latest
      } catch (error) {
        if (!hasCode(error, 409) || left <= 1) throw error
        const found = await client.get(ref)
        if (found === undefined) return latest
        if (found.metadata.uid !== uid || !isMarkedAs(found, object)) throw error
        latest = found
      }
    }
  }

  /** Deletes catch-alls and sees them gone; what stands behind them waits from now on. */
  async function removeCatchAlls(owner: string, catchAlls: readonly KubeObject[], roots: ReadonlySet<string>): Promise<PruneResult> {
    const deleted: string[] = []
    const blocked: Blocked[] = []
    // one that goes already gave the mesh its time before
    for (const object of catchAlls.filter(({ metadata }) => metadata.deletionTimestamp === undefined))
      settles(owner).set(catchAllOf(object, roots).globalSidecarNamespace, now() + settleMs)
    await removeAll(catchAlls, deleted, blocked)
    return { deleted, blocked }
  }

  function settles(owner: string): Map<string, number> {
    const known = settled.get(owner) ?? new Map<string, number>()
    settled.set(owner, known)
    return known
  }

  /**
   * Namespaces whose global-sidecar must stay a little longer, with the time, milliseconds. After a restart nobody knows when the catch-all
   * went: the whole time is waited again.
   */
  function unsettled(owner: string, behind: readonly KubeObject[]): ReadonlyMap<string, number> {
    const times = settles(owner)
    const waits = new Map<string, number>()
    for (const namespace of behind.filter(isGlobalSidecar).map(namespaceOf)) {
      const until = times.get(namespace) ?? now() + settleMs
      times.set(namespace, until)
      if (until > now()) waits.set(namespace, until - now())
      else times.delete(namespace)
    }
    return waits
  }

  return {
    removeCatchAlls,

    /** One step of removing `stale`, all of `owner`'s. Called again while `waitMs` is set. What is blocked in one namespace holds up only that one. */
    async prune(owner: string, stale: readonly KubeObject[], options: PruneOptions = {}): Promise<PruneResult> {
      const {
        staying = new Map(),
        roots = new Set<string>(),
        leftBehind = new Set(),
        hurried = false,
        impatient = false,
        modules = [],
      } = options
      const deleted: string[] = []
      const blocked: Blocked[] = []
      const first = await removeCatchAlls(owner, stale.filter(isCatchAll), roots)
      deleted.push(...first.deleted)
      blocked.push(...first.blocked)
      // traffic still comes to what stands behind a catch-all that stays
      const kept = impatient ? [] : first.blocked
      const needed = new Set(kept.map(({ object }) => catchAllOf(object, roots).globalSidecarNamespace))
      const behind = stale.filter((object) => !isCatchAll(object) && !needed.has(namespaceOf(object)))
      const waitedFor = (objects: readonly KubeObject[]): readonly KubeObject[] =>
        hurried ? objects.filter((object) => !leftBehind.has(object)) : objects
      const settling = unsettled(owner, waitedFor(behind))
      // what is not in the namespace of a global-sidecar serves all of them: it goes when none settles any more
      const told = new Set(behind.filter((object) => !leftBehind.has(object)).map(namespaceOf))
      const isSettling = [...settling.keys()].some((namespace) => told.has(namespace))
      const own = new Set(behind.filter(isGlobalSidecar).map(namespaceOf))
      const free = behind.filter(
        (object) => !settling.has(namespaceOf(object)) && (!isSettling || own.has(namespaceOf(object)) || leftBehind.has(object)),
      )

      const last = free.filter(isAfterPods)
      const rights = rightsInUse(free, modules)
      const atOnce = free.filter((object) => !isAfterPods(object) && !rights.bindings.includes(object))
      for (const group of inRemovalOrder(atOnce)) await removeAll(group, deleted, blocked)
      const ending = await podsLeft(owner, waitedFor(last), staying)
      await removeAll(
        last.filter((object) => !ending.has(namespaceOf(object))),
        deleted,
        blocked,
      )
      if (ending.size === 0) patience.delete(owner)
      const isUsed = rights.bindings.length > 0 && !isOver(rightsPatience, owner, RIGHTS_PATIENCE_MS)
      if (!isUsed) {
        rightsPatience.delete(owner)
        await removeAll(rights.bindings, deleted, blocked)
      }
      if (ending.size === 0 && settling.size === 0) settled.delete(owner)
      return { deleted: deleted.sort(), blocked, ...waitOf(settling, ending, told, isUsed ? rights.by : []) }
    },

    forget(owner: string): void {
      settled.delete(owner)
      patience.delete(owner)
      rightsPatience.delete(owner)
    },
  }

  /** Whether `ms` have passed since this was asked first. */
  function isOver(since: Map<string, number>, owner: string, ms: number): boolean {
    const until = since.get(owner) ?? now() + ms
    since.set(owner, until)
    return now() > until
  }

  /** By namespace what `objects` there have to wait for; without those that may go. */
  async function podsLeft(
    owner: string,
    objects: readonly KubeObject[],
    staying: ReadonlyMap<string, KubeObject>,
  ): Promise<ReadonlyMap<string, string>> {
    const waits = new Map<string, string>()
    const namespaces = [...new Set(objects.map(namespaceOf))].sort()
    const ending: string[] = []
    for (const namespace of namespaces) {
      const deployment = staying.get(namespace)
      if (deployment === undefined) ending.push(namespace)
      else if (unreadyDeployment(deployment) !== undefined) waits.set(namespace, `${objectId(deployment)} to roll out`)
    }
    if (ending.length === 0) return waits
    const until = patience.get(owner) ?? now() + POD_PATIENCE_MS
    patience.set(owner, until)
    if (now() > until) return waits
    for (const namespace of ending) {
      const { items } = await client.list(POD, { namespace, labelSelector: GLOBAL_SIDECAR_PODS, metadataOnly: true, limit: 1 })
      if (items[0] !== undefined) waits.set(namespace, `${objectId(items[0])} to end`)
    }
    return waits
  }
}

function namespaceOf({ metadata }: KubeObject): string {
  return metadata.namespace ?? ''
}

function isMarkedAs(now: KubeObject, before: KubeObject): boolean {
  const owner = claimedOwner(before)
  return owner !== undefined && claimedOwner(now) === owner && now.metadata.labels?.[OWNER_LABEL] === before.metadata.labels?.[OWNER_LABEL]
}

/** When to come back, and what to say: only what is waited for in the namespaces `told`. */
function waitOf(
  settling: ReadonlyMap<string, number>,
  ending: ReadonlyMap<string, string>,
  told: ReadonlySet<string>,
  rolling: readonly string[],
): Pick<PruneResult, 'waitMs' | 'waitingFor'> {
  const times = [...settling.values(), ...(ending.size + rolling.length === 0 ? [] : [POD_POLL_MS])]
  if (times.length === 0) return {}
  const waitsFor = [
    ...([...settling.keys()].some((namespace) => told.has(namespace)) ? ['the proxies to learn that the catch-all is gone'] : []),
    ...[...ending].flatMap(([namespace, what]) => (told.has(namespace) ? [what] : [])).sort(),
    ...(rolling.length === 0 ? [] : [`${rolling.join(', ')} to roll out`]),
  ]
  const waitingFor = waitsFor.slice(0, PODS_LISTED).join(', ')
  return { waitMs: Math.min(...times), ...(waitingFor === '' ? {} : { waitingFor }) }
}

/** What the pods need while they end: the guard against loops, and the Sidecar that holds their listeners. */
function isAfterPods(object: KubeObject): boolean {
  return object.metadata.name === 'global-sidecar-guard' || object.kind === 'Sidecar'
}

/** Groups, each deleted at once, one after the other: Deployments, what serves them, configuration, rights. */
function inRemovalOrder(objects: readonly KubeObject[]): readonly (readonly KubeObject[])[] {
  const rank = (object: KubeObject): number => {
    if (object.kind === 'Deployment') return 0
    if (['ServiceAccount', 'ClusterRoleBinding', 'RoleBinding'].includes(object.kind)) return 2
    return 1
  }
  return [0, 1, 2].map((level) => objects.filter((object) => rank(object) === level)).filter((group) => group.length > 0)
}

function survivor(object: KubeObject): ReconcileError {
  const finalizers = (object.metadata.finalizers ?? []).join(', ')
  return new ReconcileError(
    'DeleteBlocked',
    `${objectId(object)}: deleted, but it stays for finalizer ${finalizers || 'of its namespace or dependents'}. Whoever set it must let go.`,
    'heals',
    { objects: [objectId(object)] },
  )
}
