/**
 * Prune: deletes what is stale in an order that never leaves traffic without a way: first the catch-all, then (after the
 * proxies had time to learn it) the global-sidecar behind it, the rest backwards, its guard when its pods are gone.
 */
import type { Client } from '../../runtime/client.ts'
import { objectId, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { POD, typeOf } from '../api/kinds.ts'
import { isCatchAll, isGlobalSidecar } from './catch-all.ts'
import { failureOf, ReconcileError } from './failure.ts'
import type { Live } from './live.ts'
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
  readonly blocked: readonly ReconcileError[]
  /** More is to be deleted after this time, milliseconds. */
  readonly waitMs?: number
  /** What is waited for, for the status. */
  readonly waitingFor?: string
}

/** Label of every global-sidecar pod (spec/behaviour.md 7.1). */
const GLOBAL_SIDECAR_PODS = 'app=qz-ingress'
const POD_POLL_MS = 2000
/** Pods that do not end in this time do not hold up the rest for ever. */
const POD_PATIENCE_MS = 120_000
/** Rights that nobody should have any more are not kept for a Deployment that never rolls out. */
const RIGHTS_PATIENCE_MS = 120_000

export type Pruner = ReturnType<typeof createPruner>

/** Times count in this process only: after a restart the mesh is given the whole time again. */
export function createPruner({ client, live, settleMs, onRemoved, now = () => performance.now() }: PruneDependencies) {
  /** Per SlimeBoot: when what stands behind its removed catch-alls may go. */
  const settled = new Map<string, number>()
  const patience = new Map<string, number>()
  /** Per SlimeBoot: when rights go although pods may still use them. */
  const rightsPatience = new Map<string, number>()

  async function removeAll(objects: readonly KubeObject[], deleted: string[], blocked: ReconcileError[]): Promise<void> {
    await Promise.all(
      objects.map(async (object) => {
        if (object.metadata.deletionTimestamp !== undefined) {
          blocked.push(survivor(object))
          return
        }
        try {
          const gone = await remove(object)
          if (gone) deleted.push(objectId(object))
          else blocked.push(survivor(object))
        } catch (error) {
          const failure = failureOf(error, 'delete', object)
          if (failure.reason === 'KindMissing') live.forget(object)
          else blocked.push(failure)
        }
      }),
    )
  }

  /** False when the object stays for a finalizer of somebody else. */
  async function remove(object: KubeObject): Promise<boolean> {
    const ref = refOf(typeOf(object), object)
    await client.remove(ref, { uid: object.metadata.uid, resourceVersion: object.metadata.resourceVersion })
    if ((object.metadata.finalizers ?? []).length > 0 && (await client.get(ref))?.metadata.uid === object.metadata.uid) return false
    live.forget(object)
    onRemoved?.(object)
    return true
  }

  /** Deletes catch-alls and sees them gone; what stands behind them waits from now on. */
  async function removeCatchAlls(owner: string, catchAlls: readonly KubeObject[]): Promise<PruneResult> {
    const deleted: string[] = []
    const blocked: ReconcileError[] = []
    if (catchAlls.length > 0) settled.set(owner, now() + settleMs)
    await removeAll(catchAlls, deleted, blocked)
    return { deleted, blocked }
  }

  return {
    removeCatchAlls,

    /**
     * One step of removing `stale`, all of `owner`'s. Called again while `waitMs` is set. `staying`: live global-sidecar
     * Deployments by namespace that are not stale; there the pods to wait for are those of their previous template. `modules`: live
     * Deployments that are not stale; what they still need to write goes when they have rolled out.
     */
    async prune(
      owner: string,
      stale: readonly KubeObject[],
      staying: ReadonlyMap<string, KubeObject> = new Map(),
      modules: readonly KubeObject[] = [],
    ): Promise<PruneResult> {
      const deleted: string[] = []
      const blocked: ReconcileError[] = []
      const first = await removeCatchAlls(owner, stale.filter(isCatchAll))
      deleted.push(...first.deleted)
      blocked.push(...first.blocked)
      if (blocked.length > 0) return { deleted, blocked }

      const behind = stale.filter((object) => !isCatchAll(object))
      if (behind.some(isGlobalSidecar)) {
        // after a restart nobody knows when the catch-all went: the whole time is waited again
        if (!settled.has(owner)) settled.set(owner, now() + settleMs)
        const waitMs = (settled.get(owner) ?? 0) - now()
        if (waitMs > 0) return { deleted: deleted.sort(), blocked, waitMs, waitingFor: 'the proxies to learn that the catch-all is gone' }
      }
      settled.delete(owner)

      const last = behind.filter(isAfterPods)
      const rights = rightsInUse(behind, modules)
      const free = behind.filter((object) => !isAfterPods(object) && !rights.bindings.includes(object))
      for (const group of inRemovalOrder(free)) await removeAll(group, deleted, blocked)
      const waiting = await podsLeft(owner, [...new Set(last.map((object) => object.metadata.namespace ?? ''))].sort(), staying)
      if (waiting !== undefined) return { deleted: deleted.sort(), blocked, waitMs: POD_POLL_MS, waitingFor: waiting }
      await removeAll(last, deleted, blocked)
      patience.delete(owner)
      if (rights.bindings.length > 0 && !isOver(rightsPatience, owner, RIGHTS_PATIENCE_MS))
        return { deleted: deleted.sort(), blocked, waitMs: POD_POLL_MS, waitingFor: `${rights.by.join(', ')} to roll out` }
      rightsPatience.delete(owner)
      await removeAll(rights.bindings, deleted, blocked)
      return { deleted: deleted.sort(), blocked }
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

  async function podsLeft(
    owner: string,
    namespaces: readonly string[],
    staying: ReadonlyMap<string, KubeObject>,
  ): Promise<string | undefined> {
    const rolling = namespaces
      .map((namespace) => staying.get(namespace))
      .find((deployment) => deployment !== undefined && unreadyDeployment(deployment) !== undefined)
    if (rolling !== undefined) return `${objectId(rolling)} to roll out`
    const until = patience.get(owner) ?? now() + POD_PATIENCE_MS
    patience.set(owner, until)
    if (now() > until) return undefined
    for (const namespace of namespaces.filter((each) => !staying.has(each))) {
      const { items } = await client.list(POD, { namespace, labelSelector: GLOBAL_SIDECAR_PODS, metadataOnly: true, limit: 1 })
      if (items[0] !== undefined) return `${objectId(items[0])} to end`
    }
    return undefined
  }
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
