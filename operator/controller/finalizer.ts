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
import type { Blocked, Pruner, PruneResult } from '../apply/prune.ts'
import type { Reach } from '../apply/standing.ts'
import { DEFAULTS } from '../spec/defaults.ts'
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
  /** Where its marks can be true. */
  readonly reachOf: (boot: KubeObject) => Reach
  /** An object of a SlimeBoot is gone with it: what is remembered of it can be forgotten. */
  readonly onRemoved: (object: KubeObject) => void
}

/** What was deleted is looked for again after this time. */
const LOOK_MS = 1000
/** Finalizers of others, or objects that somebody makes anew, hold up the deletion for so long: whoever may write in a namespace could do it for ever. */
const HELD_MS = 30_000
/** However somebody goes on making objects anew: from then on nothing is waited for. */
const LONGEST_MS = 300_000

export function createFinalizer({ client, boots, live, pruner, rendered, reachOf, lettingGo, events, onRemoved }: FinalizerDependencies) {
  const remains = createRemains({ client, live, rendered, reachOf })
  /** By key since when others hold up a deletion, milliseconds. */
  const held = new Map<string, number>()
  /** By key when the removal began, milliseconds. */
  const begun = new Map<string, number>()
  /** By key the uid of a SlimeBoot whose left-behind objects were looked for once more. */
  const swept = new Map<string, string | undefined>()
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

  /** `impatient`: others have held it up for long enough. */
  async function removeAll(boot: KubeObject, impatient: boolean): Promise<PruneResult> {
    const { ours, leftBehind } = await remains.known(boot)
    const { roots } = reachOf(boot)
    const objects = [...ours, ...leftBehind]
    const going = goingWith(boot, objects, lettingGo.serviceOf(boot), roots)
    const isAwaited = ({ object }: Blocked): boolean => !leftBehind.includes(object)
    if (isOrphaning(boot)) {
      await tellOrphans(boot, going, objects.length)
      return { deleted: [], blocked: (await letGo({ client, live }, boot, objects)).filter(isAwaited) }
    }
    // while the catch-all still serves their pods
    const fences = await lettingGo.step(boot, going)
    if (fences.blocked.length > 0 || fences.waitMs !== undefined)
      return { ...fences, blocked: fences.blocked.map((error) => ({ object: boot, error })) }
    const unawaited = isEndless(keyOf(boot)) ? objects : leftBehind
    const pruned = await pruner.prune(ownerOf(boot).key, objects, { roots, leftBehind: new Set(unawaited), hurried: true, impatient })
    return { ...pruned, deleted: [...fences.deleted, ...pruned.deleted], blocked: pruned.blocked.filter(isAwaited) }
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

  /** Whether others have held up this deletion for long enough; counts from the first time that it is asked. */
  function isHeldTooLong(key: string): boolean {
    const since = held.get(key) ?? performance.now()
    held.set(key, since)
    return performance.now() - since > HELD_MS || isEndless(key)
  }

  /** Whether the removal takes longer than anything that is waited for could; counts from the first time that it is asked. */
  function isEndless(key: string): boolean {
    const since = begun.get(key) ?? performance.now()
    begun.set(key, since)
    return performance.now() - since > LONGEST_MS
  }

  return {
    /** Its deletion waits for us: for our finalizer, or for the earlier operator's that nobody else takes away. */
    isAwaited: (boot: KubeObject): boolean => isSet(boot) || (isServedByHelm(boot) && !isReleased(boot)),
    /** The SlimeBoot of this key is gone. */
    forget(key: string): void {
      for (const memory of [released, held, begun, swept]) memory.delete(key)
    },

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
      const home = homeOf(boot)
      const isHeld = ({ metadata }: KubeObject): boolean => metadata.namespace !== undefined && metadata.namespace !== home
      const { deleted, blocked, waitMs, waitingFor } = await removeAll(boot, held.has(key) && isHeldTooLong(key))
      const refused = blocked.filter(({ object, error }) => error.cause !== undefined || !isHeld(object))
      if (refused.length > 0 || (blocked.length > 0 && !isHeldTooLong(key)))
        return { ...base, deleted, problems: blocked.map(({ error }) => asBlocked(error)), ...(waitMs === undefined ? {} : { waitMs }) }
      if (waitMs !== undefined) {
        if (blocked.length === 0) held.delete(key)
        return { ...base, deleted, waiting: [waitingFor ?? 'what was left behind'], waitMs }
      }
      const { found, leftBehind, blocked: unseen } = await remains.survivors(boot)
      if (unseen.length > 0) return { ...base, deleted, problems: unseen }
      const isUnswept = leftBehind.length > 0 && swept.get(key) !== boot.metadata.uid
      if (isUnswept) swept.set(key, boot.metadata.uid)
      if (isUnswept || (found.length > 0 && !(found.every(isHeld) && isHeldTooLong(key)))) {
        const still = [...found, ...(isUnswept ? leftBehind : [])]
        for (const object of still) live.record(object)
        return { ...base, deleted, waiting: still.map((object) => `${objectId(object)} to go`).sort(), waitMs: LOOK_MS }
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
      return { ...base, deleted, left: [...found, ...leftBehind].map(objectId).sort() }
    },
  }
}

/** Namespace of its modules. */
function homeOf(boot: KubeObject): string {
  const { namespace } = (boot['spec'] ?? {}) as { readonly namespace?: unknown }
  return typeof namespace === 'string' && namespace !== '' ? namespace : (DEFAULTS['namespace'] as string)
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
