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
import { isOrphaning } from './deletion-policy.ts'

export interface RemainsDependencies {
  readonly client: Client
  readonly live: Pick<Live, 'labelled'>
  /** What the SlimeBoot renders as it is now; nothing where its spec is invalid. */
  readonly rendered: (boot: KubeObject) => Promise<readonly KubeObject[]>
}

export interface Survivors {
  readonly found: readonly KubeObject[]
  /** Kinds that may not be listed: whether they are gone cannot be seen. */
  readonly blocked: readonly ReconcileError[]
}

export function createRemains({ client, live, rendered }: RemainsDependencies) {
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
    async known(boot: KubeObject): Promise<readonly KubeObject[]> {
      const owner = ownerOf(boot)
      const labelled = live.labelled(owner.label).filter((object) => ownershipOf(object, owner) === 'ours')
      return [...(labelled.length > 0 ? labelled : await unlabelled(boot)), ...(await releaseOf(boot))]
    },

    /** Lists every kind anew: the cache may be behind, or lack what lost its label meanwhile. Throws ReconcileError. */
    async survivors(boot: KubeObject): Promise<Survivors> {
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
      return { found: [...found, ...(await unlabelled(boot)), ...(await releaseOf(boot))], blocked }
    },
  }
}
