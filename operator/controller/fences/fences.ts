/** Fences and their Sidecars as the operator sees them: read anew each time it has to let go of some, never watched. */
import type { Client } from '../../../runtime/client.ts'
import { ApiError } from '../../../runtime/errors.ts'
import { groupOf, keyOf, type KubeObject } from '../../../runtime/object.ts'
import { refOf, type ResourceType } from '../../../runtime/resource.ts'
import { SERVICE_FENCE, SIDECAR } from '../../api/kinds.ts'
import { FIELD_MANAGER } from '../../api/slimeboot.ts'
import { failureOf } from '../../apply/failure.ts'
import { type FencePlace, REVISION_LABEL } from './served.ts'

/** Who writes the Sidecars of fences. */
const LAZYLOAD_MANAGER = 'slime-lazyload'
/** The fence has nobody who serves it (lazyload/fence/reasons.ts). */
const NOT_SERVED = 'NotServed'

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
  readonly lastTransitionTime?: string
}

export interface FenceSidecar {
  readonly place: FencePlace
  /** Key of the fence: `namespace/name`. */
  readonly fence: string
  /** Enough to delete just this one. */
  readonly object: KubeObject
}

export interface Fence {
  readonly place: FencePlace
  /** The module that serves it, `namespace/name`, where it says so. */
  readonly servedBy: string | undefined
  /** What its condition Ready says, if it has one: reason and message. */
  readonly ready: Pick<Condition, 'reason' | 'message'> | undefined
  readonly object: KubeObject
}

/** Sidecars that a fence owns and lazyload wrote; none where there is no such kind. Throws ReconcileError. */
export async function listFenceSidecars(client: Pick<Client, 'list'>): Promise<readonly FenceSidecar[]> {
  const items = await listAll(client, SIDECAR, ({ apiVersion, kind, metadata }) => {
    const { name, namespace = '', uid = '', resourceVersion = '', labels, ownerReferences, managedFields } = metadata
    const owner = ownerReferences?.find(({ controller }) => controller === true)
    const isOfFence = owner?.kind === SERVICE_FENCE.kind && groupOf(owner.apiVersion) === groupOf(SERVICE_FENCE.apiVersion)
    const isLazyloads = managedFields?.some(({ manager }) => manager === LAZYLOAD_MANAGER) === true
    const kept = { name, namespace, uid, resourceVersion }
    return { apiVersion, kind, metadata: kept, fence: isOfFence && isLazyloads ? owner.name : '', revision: labels?.[REVISION_LABEL] ?? '' }
  })
  return items
    .filter(({ fence }) => fence !== '')
    .map(({ apiVersion, kind, metadata, fence, revision }) => ({
      place: { namespace: metadata.namespace ?? '', revision: revision as string },
      fence: `${metadata.namespace ?? ''}/${fence as string}`,
      object: { apiVersion, kind, metadata },
    }))
}

/** All ServiceFences by key; none where there is no such kind. Throws ReconcileError. */
export async function listFences(client: Pick<Client, 'list'>): Promise<ReadonlyMap<string, Fence>> {
  const items = await listAll(client, SERVICE_FENCE, ({ apiVersion, kind, metadata, status }) => {
    const { name, namespace = '', uid = '', resourceVersion = '', generation = 0, labels } = metadata
    const { conditions, servedBy } = (status ?? {}) as { readonly conditions?: unknown; readonly servedBy?: unknown }
    const revision = labels?.[REVISION_LABEL] ?? ''
    return { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion, generation }, conditions, servedBy, revision }
  })
  return new Map(
    items.map((object) => [
      keyOf(object),
      {
        place: { namespace: object.metadata.namespace ?? '', revision: object['revision'] as string },
        servedBy: typeof object['servedBy'] === 'string' ? object['servedBy'] : undefined,
        ready: conditionsOf(object).find(({ type }) => type === 'Ready'),
        object,
      },
    ]),
  )
}

/** Lets the conditions of a fence say that nobody serves it, and why. Refused with 409 where it has changed since it was listed. */
export async function sayNotServed(client: Pick<Client, 'mergePatch'>, { object }: Fence, why: string, now: Date): Promise<void> {
  const before = conditionsOf(object)
  const conditions = before.map((condition) => {
    if (condition.type !== 'Ready' && condition.type !== 'Learning') return condition
    const lastTransitionTime =
      condition.status === 'False' && condition.lastTransitionTime !== undefined
        ? condition.lastTransitionTime
        : now.toISOString().replace(/\.\d+Z$/, 'Z')
    const message = `${TOLD} ${why}. It has no Sidecar, so its pods see the whole mesh; what was learned is kept, and it goes on when a SlimeBoot serves it again.`
    return {
      ...condition,
      status: 'False',
      reason: NOT_SERVED,
      message,
      observedGeneration: object.metadata.generation,
      lastTransitionTime,
    }
  })
  const patch = { metadata: { resourceVersion: object.metadata.resourceVersion }, status: { conditions, servedBy: null } }
  await client.mergePatch(refOf(SERVICE_FENCE, object), patch, FIELD_MANAGER, 'status')
}

/** Whether a fence is still to say that nobody serves it; one that never said anything has nothing to take back. */
export function isUntold({ ready }: Fence): boolean {
  // not the whole text: two SlimeBoots that go at once would each correct the other
  return ready !== undefined && (ready.reason !== NOT_SERVED || !ready.message.startsWith(TOLD))
}

const TOLD = 'No lazyload module serves this fence any more:'

/** Whatever an older, looser CRD let in. */
function conditionsOf(fence: KubeObject): readonly Condition[] {
  const conditions: unknown = fence['conditions']
  return Array.isArray(conditions) ? (conditions as readonly (Condition | null)[]).filter((each) => each !== null) : []
}

async function listAll(
  client: Pick<Client, 'list'>,
  type: ResourceType,
  map: (object: KubeObject) => KubeObject,
): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(type, { map })).items
  } catch (error) {
    if (error instanceof ApiError && error.unknownKind) return []
    throw failureOf(error, 'list', { apiVersion: type.apiVersion, kind: type.kind, metadata: { name: '' } })
  }
}
