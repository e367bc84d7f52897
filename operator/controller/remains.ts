/** What is still there of a SlimeBoot that is going. */
import type { Client } from '../../runtime/client.ts'
import { ApiError, hasCode } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { resourceName } from '../../runtime/resource.ts'
import { MANAGED_TYPES } from '../api/kinds.ts'
import { OWNER_LABEL } from '../api/slimeboot.ts'
import { failureOf, ReconcileError } from '../apply/failure.ts'
import { readHelmRelease } from '../apply/helm/release.ts'
import type { Live } from '../apply/live.ts'
import { ownerOf, ownershipOf } from '../apply/ownership.ts'
import { readObjects } from '../apply/read.ts'
import { type Reach, type Standing, standingOf } from '../apply/standing.ts'
import { isOrphaning } from './deletion-policy.ts'

export interface RemainsDependencies {
  readonly client: Client
  readonly live: Pick<Live, 'labelled'>
  /** What the SlimeBoot renders as it is now; nothing where its spec is invalid. */
  readonly rendered: (boot: KubeObject) => Promise<readonly KubeObject[]>
  /** Where its marks can be true. */
  readonly reachOf: (boot: KubeObject) => Reach
}

/** Objects of a SlimeBoot. */
export interface Remains {
  readonly ours: readonly KubeObject[]
  /** In namespaces that it does not render into: they are removed as well, but nobody waits for them. */
  readonly leftBehind: readonly KubeObject[]
}

export interface Survivors {
  readonly found: readonly KubeObject[]
  /** Not on their way out yet. */
  readonly leftBehind: readonly KubeObject[]
  /** Kinds that may not be listed: whether they are gone cannot be seen. */
  readonly blocked: readonly ReconcileError[]
}

export function createRemains({ client, live, rendered, reachOf }: RemainsDependencies) {
  /** Objects of ours without the label, which no list and no watch shows: looked for by their names. */
  async function unlabelled(boot: KubeObject): Promise<readonly KubeObject[]> {
    const owner = ownerOf(boot)
    const found = await readObjects(client, await rendered(boot))
    return [...found.values()].filter(
      (object) => object.metadata.labels?.[OWNER_LABEL] !== owner.label && ownershipOf(object, owner) === 'ours',
    )
  }

  /** What the earlier operator installed and was not taken over: it goes as if it were ours, or stays as it is. */
  async function releaseOf(boot: KubeObject): Promise<readonly KubeObject[]> {
    return isOrphaning(boot) ? [] : await readHelmRelease(client, boot, ownerOf(boot))
  }

  return {
    /** What is known to be there, for the most part from the cache. Throws ReconcileError. */
    async known(boot: KubeObject): Promise<Remains> {
      const reach = reachOf(boot)
      const labelled = byStanding(live.labelled(ownerOf(boot).label), boot, reach)
      const release = await releaseOf(boot)
      const isNear = ({ metadata }: KubeObject): boolean => metadata.namespace === undefined || reach.namespaces.has(metadata.namespace)
      // what carries the label may be somebody's forgery: as long as something real is there the rest is looked for later
      const isUnderWay = labelled.ours.some(({ metadata }) => metadata.deletionTimestamp === undefined)
      return {
        ours: [...labelled.ours, ...(isUnderWay ? [] : await unlabelled(boot)), ...release.filter(isNear)],
        leftBehind: [...labelled.leftBehind, ...release.filter((object) => !isNear(object))],
      }
    },

    /** Lists every kind anew: the cache may be behind, or lack what lost its label meanwhile. Throws ReconcileError. */
    async survivors(boot: KubeObject): Promise<Survivors> {
      const owner = ownerOf(boot)
      const reach = reachOf(boot)
      const listed: KubeObject[] = []
      const blocked: ReconcileError[] = []
      await Promise.all(
        MANAGED_TYPES.map(async (type) => {
          try {
            listed.push(...(await client.list(type, { labelSelector: `${OWNER_LABEL}=${owner.label}` })).items)
          } catch (error) {
            if (error instanceof ApiError && error.unknownKind) return
            if (!hasCode(error, 403))
              throw failureOf(error, 'get', { apiVersion: type.apiVersion, kind: type.kind, metadata: { name: '' } })
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
      const { ours, leftBehind } = byStanding(listed, boot, reach)
      const release = (await releaseOf(boot)).filter(({ metadata }) => reach.namespaces.has(metadata.namespace ?? ''))
      return {
        found: [...ours, ...(await unlabelled(boot)), ...release],
        leftBehind: leftBehind.filter(({ metadata }) => metadata.deletionTimestamp === undefined),
        blocked,
      }
    },
  }
}

function byStanding(objects: readonly KubeObject[], boot: KubeObject, reach: Reach): Remains {
  const owner = ownerOf(boot)
  const standings = objects.map((object) => ({ object, standing: standingOf(object, owner, reach) }))
  const those = (wanted: Standing): readonly KubeObject[] =>
    standings.filter(({ standing }) => standing === wanted).map(({ object }) => object)
  return { ours: those('ours'), leftBehind: those('left-behind') }
}
