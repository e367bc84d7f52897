/** Finalizer: set before anything is created; on deletion everything of ours goes first, and is seen gone. */
import type { Client, JsonPatchOperation } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import type { EventRecorder } from '../../runtime/events.ts'
import type { Informer } from '../../runtime/informer.ts'
import { keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import { FIELD_MANAGER, FINALIZER } from '../api/slimeboot.ts'
import { failureOf, ReconcileError } from '../apply/failure.ts'
import { earlierOperatorProblem } from '../apply/helm/earlier-operator.ts'
import { HELM_FINALIZERS, isServedByHelm } from '../apply/helm/release.ts'
import type { Live } from '../apply/live.ts'
import { ownerOf } from '../apply/ownership.ts'
import type { Pruner, PruneResult } from '../apply/prune.ts'
import { isOrphaning, letGo } from './deletion-policy.ts'
import { goingWith } from './fences/going.ts'
import type { Going, LettingGo } from './fences/letting-go.ts'
import { NOTHING, type Outcome } from './outcome.ts'
import { createRemains } from './remains.ts'

export interface FinalizerDependencies {
  readonly client: Client
  readonly boots: Pick<Informer, 'record'>
  readonly live: Live
  readonly pruner: Pruner
  /** What the SlimeBoot renders as it is now; nothing where its spec is invalid. */
  readonly rendered: (boot: KubeObject) => Promise<readonly KubeObject[]>
  readonly lettingGo: LettingGo
  readonly events: Pick<EventRecorder, 'record'>
  /** An object of a SlimeBoot is gone with it: what is remembered of it can be forgotten. */
  readonly onRemoved: (object: KubeObject) => void
}

/** What was deleted is looked for again after this time. */
const LOOK_MS = 1000

export function createFinalizer({ client, boots, live, pruner, rendered, lettingGo, events, onRemoved }: FinalizerDependencies) {
  const remains = createRemains({ client, live, rendered })
  /** By key the uid of a SlimeBoot that was let go: it is in the cache until the watch tells that it is gone. */
  const released = new Map<string, string | undefined>()
  const isReleased = (boot: KubeObject): boolean => released.has(keyOf(boot)) && released.get(keyOf(boot)) === boot.metadata.uid
  const isSet = (boot: KubeObject): boolean => (boot.metadata.finalizers?.includes(FINALIZER) ?? false) && !isReleased(boot)

  /** Refused when the SlimeBoot has changed since it was read. */
  async function patch(boot: KubeObject, operation: JsonPatchOperation): Promise<KubeObject> {
    const { uid, resourceVersion } = boot.metadata
    return await client.jsonPatch(
      refOf(SLIMEBOOT, boot),
      [
        { op: 'test', path: '/metadata/uid', value: uid },
        { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
        operation,
      ],
      FIELD_MANAGER,
    )
  }

  /** `ours`: our own finalizer or none. Those of the earlier operator go as well, since nobody serves them any more. */
  async function setFinalizers(boot: KubeObject, ours: readonly string[]): Promise<KubeObject> {
    const { finalizers = [] } = boot.metadata
    const others = finalizers.filter((name) => name !== FINALIZER && !HELM_FINALIZERS.includes(name))
    return await patch(boot, { op: 'add', path: '/metadata/finalizers', value: [...others, ...ours] })
  }

  async function removeAll(boot: KubeObject): Promise<PruneResult> {
    const objects = await remains.known(boot)
    const going = goingWith(boot, objects, lettingGo.serviceOf(boot))
    if (isOrphaning(boot)) {
      await tellOrphans(boot, going, objects.length)
      await letGo({ client, live }, boot, objects)
      return { deleted: [], blocked: [] }
    }
    // while the catch-all still serves their pods
    const fences = await lettingGo.step(boot, going)
    if (fences.blocked.length > 0 || fences.waitMs !== undefined) return fences
    const pruned = await pruner.prune(ownerOf(boot).key, objects)
    return { ...pruned, deleted: [...fences.deleted, ...pruned.deleted] }
  }

  /** What it means that everything stays; once. */
  async function tellOrphans(boot: KubeObject, going: Going, objects: number): Promise<void> {
    if (objects === 0) return
    const sidecars = await lettingGo.countOf(boot, going)
    events.record(
      boot,
      'Warning',
      'LeftBehind',
      `deletion-policy is orphan: ${objects} objects stay as they are, and lazyload and the catch-all go on without anybody who repairs, updates or withdraws them.${
        sidecars === 0
          ? ''
          : ` So do ${sidecars} Sidecars of fences: their pods reach what these lack only through the catch-all, so delete the fences, or their Sidecars, before it.`
      }`,
    )
  }

  return {
    /** Its deletion waits for us: for our finalizer, or for the earlier operator's that nobody else takes away. */
    isAwaited: (boot: KubeObject): boolean => isSet(boot) || (isServedByHelm(boot) && !isReleased(boot)),
    /** The SlimeBoot of this key is gone. */
    forget: (key: string): void => void released.delete(key),

    /** Sets our finalizer where it is not. Throws ReconcileError. */
    async ensure(boot: KubeObject): Promise<void> {
      if (isSet(boot)) return
      const { finalizers = [] } = boot.metadata
      try {
        boots.record(
          await patch(
            boot,
            finalizers.length === 0
              ? { op: 'add', path: '/metadata/finalizers', value: [FINALIZER] }
              : { op: 'add', path: '/metadata/finalizers/-', value: FINALIZER },
          ),
        )
      } catch (error) {
        throw conflictOr(error, boot)
      }
    },

    /** Everything of the Helm release is ours now: the finalizers of the earlier operator go, and with them the last trace that it was one. */
    async takeOver(boot: KubeObject): Promise<void> {
      try {
        boots.record(await setFinalizers(boot, [FINALIZER]))
      } catch (error) {
        throw conflictOr(error, boot)
      }
    },

    /** One step of the deletion; done when `outcome.waiting` and `problems` are empty: then the SlimeBoot is gone. */
    async finalize(boot: KubeObject): Promise<Outcome> {
      const { key } = ownerOf(boot)
      const base: Outcome = { ...NOTHING, phase: 'delete' }
      const earlier = isServedByHelm(boot) ? await earlierOperatorProblem(client, boot) : undefined
      if (earlier !== undefined) return { ...base, problems: [earlier] }
      const { deleted, blocked, waitMs, waitingFor } = await removeAll(boot)
      if (blocked.length > 0) return { ...base, deleted, problems: blocked.map(asBlocked) }
      if (waitMs !== undefined) return { ...base, deleted, waiting: [waitingFor ?? ''], waitMs }
      const { found, blocked: unseen } = await remains.survivors(boot)
      if (unseen.length > 0) return { ...base, deleted, problems: unseen }
      if (found.length > 0) {
        for (const object of found) live.record(object)
        return { ...base, deleted, waiting: found.map((object) => `${objectId(object)} to go`).sort(), waitMs: LOOK_MS }
      }
      try {
        await setFinalizers(boot, [])
      } catch (error) {
        if (!hasCode(error, 404)) throw conflictOr(error, boot)
      }
      released.set(key, boot.metadata.uid)
      pruner.forget(key)
      lettingGo.forget(key)
      // also of what was not there to be deleted
      for (const object of await rendered(boot)) onRemoved(object)
      return { ...base, deleted }
    },
  }
}

function asBlocked(error: ReconcileError): ReconcileError {
  return error.retry === 'heals'
    ? new ReconcileError('DeleteBlocked', error.message, 'heals', { cause: error, objects: error.objects })
    : error
}

/** A failed `test` of a JSON patch comes as 422 or 409: the SlimeBoot changed meanwhile, look again. */
function conflictOr(error: unknown, boot: KubeObject): ReconcileError {
  if (hasCode(error, 422) || hasCode(error, 409) || hasCode(error, 404))
    return new ReconcileError('Conflict', `${objectId(boot)} changed meanwhile`, 'conflict', { cause: error })
  return failureOf(error, 'apply', boot)
}
