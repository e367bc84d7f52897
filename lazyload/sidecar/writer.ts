/** Makes the live Sidecar what it should be: writes only what differs, never touches what is somebody else's. */
import { isDeepStrictEqual } from 'node:util'
import type { Client, JsonPatchOperation } from '../../runtime/client.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { FIELD_MANAGER, REVISION_LABEL, SERVICE_FENCE, SIDECAR } from '../kinds.ts'
import { ownershipOf } from './sidecar.ts'

export type SidecarOutcome = 'created' | 'changed' | 'unchanged' | 'removed' | 'absent' | 'foreign'

export interface SidecarCache {
  readonly get: (key: string) => KubeObject | undefined
  readonly record: (object: KubeObject) => void
  readonly forget: (object: KubeObject) => void
}

export type SidecarWriter = ReturnType<typeof createSidecarWriter>

export function createSidecarWriter(client: Pick<Client, 'get' | 'apply' | 'jsonPatch' | 'remove'>, cache: SidecarCache) {
  async function removeLive(live: KubeObject): Promise<void> {
    const { uid, resourceVersion } = live.metadata
    await client.remove(refOf(SIDECAR, live), { uid, resourceVersion })
    cache.forget(live)
  }

  return {
    /** Applies `desired`, the Sidecar of `fence`. Throws ApiError or ConnectionError. */
    async ensure(fence: KubeObject, desired: KubeObject): Promise<SidecarOutcome> {
      const live = cache.get(keyOf(desired))
      if (live !== undefined) {
        const ownership = ownershipOf(live, fence)
        if (ownership === 'foreign') return 'foreign'
        if (ownership === 'stale') await removeLive(live)
        else if (differences(live, desired).length === 0) return 'unchanged'
      }
      let stored = await client.apply(SIDECAR, desired, { fieldManager: FIELD_MANAGER })
      // server-side apply leaves alone what another manager added; in a Sidecar every field counts
      const rest = differences(stored, desired)
      if (rest.length > 0) stored = await client.jsonPatch(refOf(SIDECAR, stored), [...sameObject(stored), ...rest], FIELD_MANAGER)
      cache.record(stored)
      return live === undefined ? 'created' : 'changed'
    },

    /**
     * Removes the Sidecar of a fence that is gone, as the garbage collector does later (up to half a minute later while the CRD is
     * young). A fence that was deleted with `--cascade=orphan` has let go of its Sidecar before. Throws ApiError or ConnectionError.
     */
    async removeLeft(key: string): Promise<SidecarOutcome> {
      const live = cache.get(key)
      const owner = live?.metadata.ownerReferences?.find(({ controller }) => controller === true)
      if (live === undefined || owner?.kind !== SERVICE_FENCE.kind) return 'absent'
      const { namespace } = live.metadata
      const fence = await client.get({ type: SERVICE_FENCE, namespace, name: owner.name })
      if (fence?.metadata.uid === owner.uid) return 'unchanged'
      await removeLive(live)
      return 'removed'
    },

    /** Removes the Sidecar of `fence` if it is ours. Throws ApiError or ConnectionError. */
    async remove(fence: KubeObject): Promise<SidecarOutcome> {
      const live = cache.get(keyOf(fence))
      if (live === undefined) return 'absent'
      if (ownershipOf(live, fence) === 'foreign') return 'foreign'
      await removeLive(live)
      return 'removed'
    },
  }
}

/** What must be replaced in `live`; other labels and annotations, and other owners, are none of our business. */
function differences(live: KubeObject, desired: KubeObject): readonly JsonPatchOperation[] {
  const operations: JsonPatchOperation[] = []
  if (!isDeepStrictEqual(live['spec'], desired['spec'])) operations.push({ op: 'add', path: '/spec', value: desired['spec'] })
  const revision = desired.metadata.labels?.[REVISION_LABEL]
  const found = live.metadata.labels?.[REVISION_LABEL]
  if (found !== revision) {
    const path = `/metadata/labels/${REVISION_LABEL.replace('/', '~1')}`
    operations.push(revision === undefined ? { op: 'remove', path } : { op: 'add', path, value: revision })
  }
  const [owner] = desired.metadata.ownerReferences ?? []
  const controllers = live.metadata.ownerReferences?.filter(({ controller }) => controller === true) ?? []
  if (!isDeepStrictEqual(controllers, [owner])) operations.push({ op: 'add', path: '/metadata/ownerReferences', value: [owner] })
  return operations
}

function sameObject({ metadata }: KubeObject): readonly JsonPatchOperation[] {
  return [
    { op: 'test', path: '/metadata/uid', value: metadata.uid },
    { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
  ]
}

/** For the cache: what is compared and judged. */
export function slimSidecar(object: KubeObject): KubeObject {
  const { name, namespace, labels, uid, resourceVersion, ownerReferences, managedFields } = object.metadata
  const ours = (managedFields ?? []).filter(({ manager, operation }) => manager === FIELD_MANAGER && operation === 'Apply')
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
      managedFields: ours.map(() => ({ manager: FIELD_MANAGER, operation: 'Apply' as const })),
    },
    spec: object['spec'],
  }
}
