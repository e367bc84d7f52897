/** Live objects of ours: one label-selected informer per kind behind one lookup by identity and by owner. */
import type { Client } from '../../runtime/client.ts'
import { type ChangeSource, createInformer, type Informer, type InformerOptions } from '../../runtime/informer.ts'
import { identityOf, type KubeObject, keyOf, type ManagedFieldsEntry } from '../../runtime/object.ts'
import { typeKey } from '../../runtime/resource.ts'
import { MANAGED_TYPES } from '../api/kinds.ts'
import { FIELD_MANAGER, OWNER_LABEL } from '../api/slimeboot.ts'
import { isCatchAll } from './catch-all.ts'
import { claimedOwner, OUR_ANNOTATIONS } from './ownership.ts'
import { isStranger } from './strangers.ts'

export interface LiveOptions {
  readonly client: Client
  /** An object of ours changed otherwise than by our own write. */
  readonly onChange: (previous: KubeObject | undefined, current: KubeObject | undefined) => void
  /** A kind that was missing or forbidden can be watched. */
  readonly onRegained?: () => void
  readonly onProblem?: InformerOptions['onProblem']
}

export type Live = ReturnType<typeof createLive>

export function createLive({ client, onChange, onRegained, onProblem }: LiveOptions) {
  const byOwner = new Map<string, Map<string, KubeObject>>()
  const catchAlls = new Map<string, KubeObject>()

  function index(previous: KubeObject | undefined, current: KubeObject | undefined, source: ChangeSource): void {
    const label = previous?.metadata.labels?.[OWNER_LABEL]
    if (previous !== undefined && label !== undefined) {
      const owned = byOwner.get(label)
      owned?.delete(identityOf(previous))
      if (owned?.size === 0) byOwner.delete(label)
    }
    const now = current?.metadata.labels?.[OWNER_LABEL]
    if (current !== undefined && now !== undefined) {
      const owned = byOwner.get(now) ?? new Map<string, KubeObject>()
      byOwner.set(now, owned.set(identityOf(current), current))
    }
    if (previous !== undefined && isCatchAll(previous)) catchAlls.delete(identityOf(previous))
    if (current !== undefined && now !== undefined && isCatchAll(current)) catchAlls.set(identityOf(current), current)
    if (source === 'watch') onChange(previous, current)
  }

  const informers = new Map<string, Informer>(
    MANAGED_TYPES.map((type) => [
      typeKey(type),
      createInformer({
        client,
        type,
        labelSelector: OWNER_LABEL,
        transform: slim,
        onChange: index,
        ...(onRegained === undefined ? {} : { onRegained }),
        ...(onProblem === undefined ? {} : { onProblem }),
      }),
    ]),
  )
  const informerOf = (object: Pick<KubeObject, 'apiVersion' | 'kind'>): Informer | undefined => informers.get(typeKey(object))

  return {
    informers: [...informers.values()],
    /** The live object of this identity, if its label is ours. */
    get: (object: KubeObject): KubeObject | undefined => informerOf(object)?.get(keyOf(object)),
    /** Objects with the owner's label. Judge each by `ownershipOf` before anything is done to it. */
    labelled: (label: string): readonly KubeObject[] => [...(byOwner.get(label)?.values() ?? [])],
    all: (): readonly KubeObject[] => [...byOwner.values()].flatMap((owned) => [...owned.values()]),
    /** Every live catch-all, of whichever SlimeBoot. */
    catchAlls: (): readonly KubeObject[] => [...catchAlls.values()],
    record: (object: KubeObject) => informerOf(object)?.record(object),
    forget: (object: KubeObject) => informerOf(object)?.forget(object),
    /** The operator may not list or watch this kind: what lives of it is unknown. */
    forbidden: (object: Pick<KubeObject, 'apiVersion' | 'kind'>): boolean => informerOf(object)?.forbidden() ?? false,
    /** The API server does not know this kind. */
    kindMissing: (object: Pick<KubeObject, 'apiVersion' | 'kind'>): boolean => informerOf(object)?.kindMissing() ?? false,
  }
}

/** Drops what no decision needs: our own and the status' managed fields are most of an object's size, and only a Deployment's status is read. */
export function slim({ status, ...object }: KubeObject): KubeObject {
  const { managedFields, ...metadata } = object.metadata
  const entries = (managedFields ?? []).flatMap((entry): readonly ManagedFieldsEntry[] => {
    if (entry.manager === FIELD_MANAGER && entry.operation === 'Apply' && (entry.subresource ?? '') === '')
      return [{ manager: FIELD_MANAGER, operation: 'Apply' as const }]
    return isStranger(entry) ? [entry] : []
  })
  if (claimedOwner(object) === undefined && !entries.some(({ manager }) => manager === FIELD_MANAGER) && !BINDINGS.has(object.kind))
    return withoutContent(object, entries)
  const kept: KubeObject = { ...object, metadata: { ...metadata, managedFields: entries } }
  return object.kind === 'Deployment' ? { ...kept, status } : kept
}

/** Small, and what they bind decides whether they may be adopted. */
const BINDINGS: ReadonlySet<string> = new Set(['ClusterRoleBinding', 'RoleBinding'])

/** A stranger's object that carries our label: that it is there and whose it is; how much it holds is not the operator's to remember. */
function withoutContent({ apiVersion, kind, metadata }: KubeObject, entries: readonly ManagedFieldsEntry[]): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels, annotations } = metadata
  const ours = Object.entries(annotations ?? {}).filter(([annotation]) => OUR_ANNOTATIONS.includes(annotation))
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      labels: { [OWNER_LABEL]: labels?.[OWNER_LABEL] ?? '' },
      annotations: Object.fromEntries(ours.map(([annotation, value]) => [annotation, value.slice(0, LONGEST_MARK)])),
      managedFields: entries.map(({ manager = '', operation }) => ({ manager, ...(operation === undefined ? {} : { operation }) })),
    },
  }
}

/** Ours name two objects. */
const LONGEST_MARK = 1000
