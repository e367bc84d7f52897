/** Makes the live Sidecar what it should be: writes only what differs, never touches what is somebody else's. */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Client, JsonPatchOperation } from '../../runtime/client.ts'
import { type Contests, createContests, DELETIONS } from '../../runtime/contest.ts'
import { hasCode } from '../../runtime/errors.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { remember } from '../../runtime/remember.ts'
import { refOf } from '../../runtime/resource.ts'
import { FIELD_MANAGER, REVISION_LABEL, SERVICE_FENCE, SIDECAR } from '../kinds.ts'
import { ownershipOf } from './sidecar.ts'

/** Writes of the same Sidecar within five minutes that make it contested. */
const REPAIRS = DELETIONS
/** Writes after which what is long quiet is forgotten. */
const SWEEP_EVERY = 1000

export type SidecarOutcome = 'created' | 'changed' | 'unchanged' | 'removed' | 'absent' | 'foreign' | 'contested'

/** Somebody else writes it again and again: who, as far as managedFields tell, and when it is tried again. */
export interface SidecarContest {
  readonly manager: string | undefined
  readonly retryMs: number
}

export interface SidecarCache {
  readonly get: (key: string) => KubeObject | undefined
  readonly record: (object: KubeObject) => void
  readonly forget: (object: KubeObject) => void
}

export type SidecarWriter = ReturnType<typeof createSidecarWriter>

export interface SidecarWriterOptions {
  readonly client: Pick<Client, 'get' | 'list' | 'create' | 'apply' | 'jsonPatch' | 'remove'>
  readonly cache: SidecarCache
  readonly contests?: Contests
}

export function createSidecarWriter({ client, cache, contests = createContests() }: SidecarWriterOptions) {
  /** Contested Sidecars: milliseconds until the next try. */
  const waits = new Map<string, number>()
  let writes = 0

  function mustWait(key: string, hash: string): boolean {
    const ms = contests.waitMs(key, hash)
    if (ms > 0) waits.set(key, ms)
    return ms > 0
  }

  function written(key: string, hash: string): void {
    waits.delete(key)
    contests.repaired(key, hash, REPAIRS)
    if (++writes % SWEEP_EVERY === 0) contests.sweep()
  }

  async function removeLive(live: KubeObject): Promise<void> {
    const { uid, resourceVersion } = live.metadata
    await client.remove(refOf(SIDECAR, live), { uid, resourceVersion })
    cache.forget(live)
  }

  /** Makes it, or returns the one that somebody has made and the cache does not show. */
  async function create(fence: KubeObject, desired: KubeObject): Promise<{ readonly object: KubeObject; readonly isNew: boolean }> {
    try {
      return { object: await client.create(SIDECAR, desired, FIELD_MANAGER), isNew: true }
    } catch (error) {
      if (!hasCode(error, 409)) throw error
      // a list, which needs no right that the watch does not need
      const { namespace, name } = desired.metadata
      const { items } = await client.list(SIDECAR, { namespace, fieldSelector: `metadata.name=${name}` })
      const live = items[0]
      if (live === undefined || ownershipOf(live, fence) === 'stale') throw error
      cache.record(live)
      return { object: live, isNew: false }
    }
  }

  /** Changes the object that was judged and no other: one that has changed since answers 409. */
  async function change(desired: KubeObject, { metadata: { uid, resourceVersion } }: KubeObject): Promise<KubeObject> {
    const body = {
      ...desired,
      metadata: {
        ...desired.metadata,
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
    }
    const stored = await client.apply(SIDECAR, body, { fieldManager: FIELD_MANAGER })
    // server-side apply leaves alone what another manager added; in a Sidecar every field counts
    const rest = differences(stored, desired)
    if (rest.length === 0) return stored
    return await client.jsonPatch(refOf(SIDECAR, stored), [...sameObject(stored), ...rest], FIELD_MANAGER)
  }

  return {
    /** Makes the Sidecar of `fence` `desired`. Throws ApiError, 409 where the cache is behind, or ConnectionError. */
    async ensure(fence: KubeObject, desired: KubeObject): Promise<SidecarOutcome> {
      const key = keyOf(desired)
      const hash = hashOf(desired)
      let live = cache.get(key)
      if (live !== undefined && ownershipOf(live, fence) === 'stale') {
        await removeLive(live)
        live = undefined
      }
      if (live === undefined) {
        if (mustWait(key, hash)) return 'contested'
        const { object, isNew } = await create(fence, desired)
        if (isNew) {
          cache.record(object)
          written(key, hash)
          return 'created'
        }
        live = object
      }
      if (ownershipOf(live, fence) === 'foreign') return 'foreign'
      if (differences(live, desired).length === 0) return 'unchanged'
      if (mustWait(key, hash)) return 'contested'
      cache.record(await change(desired, live))
      written(key, hash)
      return 'changed'
    },

    /** What is known of the Sidecar of a fence whose `ensure` said `contested`. */
    contestOf(fence: KubeObject): SidecarContest {
      const key = keyOf(fence)
      return { manager: otherManager(cache.get(key)), retryMs: waits.get(key) ?? 0 }
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

function hashOf(desired: KubeObject): string {
  return createHash('sha256')
    .update(JSON.stringify([desired.metadata, desired['spec']]))
    .digest('base64')
}

/** Who but us wrote it last. */
function otherManager(live: KubeObject | undefined): string | undefined {
  const others = (live?.metadata.managedFields ?? []).filter(({ manager }) => manager !== FIELD_MANAGER)
  return others.sort((a, b) => ((a.time ?? '') < (b.time ?? '') ? 1 : -1))[0]?.manager
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
  const { name, namespace, labels, uid, resourceVersion, creationTimestamp, ownerReferences, managedFields } = object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
      managedFields: (managedFields ?? []).map(({ manager = '', time = '' }) => ({ manager, time })),
    },
    spec: internHosts(object['spec']),
  }
}

/** Sidecars list the same few thousand hosts again and again: each text is in memory once. */
const sameText = remember((text) => text)

function internHosts(spec: unknown): unknown {
  const { egress } = (spec ?? {}) as { readonly egress?: readonly ({ readonly hosts?: readonly string[] } | null)[] | null }
  if (!Array.isArray(egress)) return spec
  const listeners = egress as readonly ({ readonly hosts?: readonly string[] } | null)[]
  return {
    ...(spec as object),
    egress: listeners.map((each) => (Array.isArray(each?.hosts) ? { ...each, hosts: each.hosts.map(sameText) } : each)),
  }
}
