/** Finalizer: set before anything is created; on deletion everything of ours goes first, and is seen gone. */
import type { Client } from '../../runtime/client.ts'
import { ApiError, hasCode } from '../../runtime/errors.ts'
import type { Informer } from '../../runtime/informer.ts'
import { keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { refOf, resourceName } from '../../runtime/resource.ts'
import { MANAGED_TYPES, SLIMEBOOT, typeOf } from '../api/kinds.ts'
import { DELETION_POLICY_ANNOTATION, FIELD_MANAGER, FINALIZER, OWNER_LABEL } from '../api/slimeboot.ts'
import { failureOf, ReconcileError } from '../apply/failure.ts'
import { earlierOperatorProblem, HELM_FINALIZERS, isServedByHelm, readHelmRelease } from '../apply/helm-release.ts'
import type { Live } from '../apply/live.ts'
import { marksOff, ownerOf, ownershipOf } from '../apply/ownership.ts'
import type { Pruner, PruneResult } from '../apply/prune.ts'
import { readObjects } from '../apply/read.ts'
import { NOTHING, type Outcome } from './outcome.ts'

export interface FinalizerDependencies {
  readonly client: Client
  readonly boots: Pick<Informer, 'record'>
  readonly live: Live
  readonly pruner: Pruner
  /** What the SlimeBoot renders as it is now; nothing where its spec is invalid. */
  readonly rendered: (boot: KubeObject) => readonly KubeObject[]
}

export function createFinalizer({ client, boots, live, pruner, rendered }: FinalizerDependencies) {
  /** By key the uid of a SlimeBoot that was let go: it is in the cache until the watch tells that it is gone. */
  const released = new Map<string, string | undefined>()
  const isReleased = (boot: KubeObject): boolean => released.has(keyOf(boot)) && released.get(keyOf(boot)) === boot.metadata.uid
  const isSet = (boot: KubeObject): boolean => (boot.metadata.finalizers?.includes(FINALIZER) ?? false) && !isReleased(boot)

  /** Lists every kind anew: the cache may be behind, or lack what lost its label meanwhile. */
  async function survivors(boot: KubeObject): Promise<{ found: readonly KubeObject[]; blocked: readonly ReconcileError[] }> {
    const owner = ownerOf(boot)
    const found: KubeObject[] = []
    const blocked: ReconcileError[] = []
    await Promise.all(
      MANAGED_TYPES.map(async (type) => {
        try {
          const { items } = await client.list(type, { labelSelector: `${OWNER_LABEL}=${owner.label}` })
          found.push(...items.filter((item) => ownershipOf(item, owner) === 'ours'))
        } catch (error) {
          if (error instanceof ApiError && error.unknownKind) return
          if (!hasCode(error, 403)) throw failureOf(error, 'get', { apiVersion: type.apiVersion, kind: type.kind, metadata: { name: '' } })
          blocked.push(
            new ReconcileError(
              'DeleteBlocked',
              `Cannot see whether ${resourceName(type)} are gone: ${error.message}. Grant "list ${resourceName(type)}" to the operator.`,
              'heals',
              { cause: error },
            ),
          )
        }
      }),
    )
    return { found: [...found, ...(await unlabelled(boot)), ...(await releaseOf(boot))], blocked }
  }

  /** Objects of ours without the label, which no list and no watch shows: looked for by their names. */
  async function unlabelled(boot: KubeObject): Promise<readonly KubeObject[]> {
    const owner = ownerOf(boot)
    const found = await readObjects(client, rendered(boot))
    return [...found.values()].filter(
      (object) => object.metadata.labels?.[OWNER_LABEL] !== owner.label && ownershipOf(object, owner) === 'ours',
    )
  }

  /** What the earlier operator installed and was not taken over: it goes as if it were ours, or stays as it is. */
  async function releaseOf(boot: KubeObject): Promise<readonly KubeObject[]> {
    return isOrphaning(boot) ? [] : await readHelmRelease(client, boot, ownerOf(boot))
  }

  /** Takes our finalizer off and adds `kept`; those of the earlier operator go as well, since nobody serves them any more. */
  async function setFinalizers(boot: KubeObject, kept: readonly string[]): Promise<KubeObject> {
    const { uid, resourceVersion, finalizers = [] } = boot.metadata
    return await client.jsonPatch(
      refOf(SLIMEBOOT, boot),
      [
        { op: 'test', path: '/metadata/uid', value: uid },
        { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
        {
          op: 'add',
          path: '/metadata/finalizers',
          value: [...finalizers.filter((name) => name !== FINALIZER && !HELM_FINALIZERS.includes(name)), ...kept],
        },
      ],
      FIELD_MANAGER,
    )
  }

  /** For `deletion-policy: orphan`: nothing looks like ours afterwards. */
  async function takeMarksOff(object: KubeObject, boot: KubeObject): Promise<void> {
    const { ownerReferences = [] } = object.metadata
    try {
      await client.jsonPatch(
        refOf(typeOf(object), object),
        [
          ...marksOff(object),
          // the earlier operator's reference would make the garbage collector delete it
          ...(ownerReferences.some(({ uid }) => uid === boot.metadata.uid)
            ? [
                {
                  op: 'add' as const,
                  path: '/metadata/ownerReferences',
                  value: ownerReferences.filter(({ uid }) => uid !== boot.metadata.uid),
                },
              ]
            : []),
        ],
        FIELD_MANAGER,
      )
      live.forget(object)
    } catch (error) {
      if (!hasCode(error, 404)) throw failureOf(error, 'apply', object)
    }
  }

  async function letGo(objects: readonly KubeObject[], boot: KubeObject): Promise<PruneResult> {
    await Promise.all(objects.map((object) => takeMarksOff(object, boot)))
    return { deleted: [], blocked: [] }
  }

  return {
    /** Its deletion waits for us: for our finalizer, or for the earlier operator's that nobody else takes away. */
    isAwaited: (boot: KubeObject): boolean => isSet(boot) || (isServedByHelm(boot) && !isReleased(boot)),
    /** The SlimeBoot of this key is gone. */
    forget: (key: string): void => void released.delete(key),

    async ensure(boot: KubeObject): Promise<void> {
      if (isSet(boot)) return
      const { uid, resourceVersion, finalizers } = boot.metadata
      const add =
        finalizers === undefined || finalizers.length === 0
          ? { op: 'add' as const, path: '/metadata/finalizers', value: [FINALIZER] }
          : { op: 'add' as const, path: '/metadata/finalizers/-', value: FINALIZER }
      try {
        boots.record(
          await client.jsonPatch(
            refOf(SLIMEBOOT, boot),
            [
              { op: 'test', path: '/metadata/uid', value: uid },
              { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
              add,
            ],
            FIELD_MANAGER,
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
      const owner = ownerOf(boot)
      const base: Outcome = { ...NOTHING, phase: 'delete' }
      const earlier = isServedByHelm(boot) ? await earlierOperatorProblem(client, boot) : undefined
      if (earlier !== undefined) return { ...base, problems: [earlier] }
      const labelled = live.labelled(owner.label).filter((object) => ownershipOf(object, owner) === 'ours')
      const ours = [...(labelled.length > 0 ? labelled : await unlabelled(boot)), ...(await releaseOf(boot))]
      const { deleted, blocked, waitMs, waitingFor } = isOrphaning(boot) ? await letGo(ours, boot) : await pruner.prune(owner.key, ours)
      if (blocked.length > 0) return { ...base, deleted, problems: blocked.map(asBlocked) }
      if (waitMs !== undefined) return { ...base, deleted, waiting: [waitingFor ?? ''], waitMs }
      const { found, blocked: unseen } = await survivors(boot)
      if (unseen.length > 0) return { ...base, deleted, problems: unseen }
      if (found.length > 0) {
        for (const object of found) live.record(object)
        return { ...base, deleted, waiting: found.map((object) => `${objectId(object)} to go`).sort(), waitMs: 1000 }
      }
      try {
        await setFinalizers(boot, [])
      } catch (error) {
        if (!hasCode(error, 404)) throw conflictOr(error, boot)
      }
      released.set(owner.key, boot.metadata.uid)
      pruner.forget(owner.key)
      return { ...base, deleted }
    },
  }
}

function isOrphaning(boot: KubeObject): boolean {
  return boot.metadata.annotations?.[DELETION_POLICY_ANNOTATION] === 'orphan'
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
