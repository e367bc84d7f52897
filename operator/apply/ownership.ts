/** Ownership: which live objects belong to a SlimeBoot, so that what leaves the render can be pruned and nothing else is. */
import { createHash } from 'node:crypto'
import { identityOf, type KubeObject, keyOf } from '../../runtime/object.ts'
import type { JsonPatchOperation } from '../../runtime/client.ts'
import {
  APPLIED_ANNOTATION,
  CATCH_ALL_ANNOTATION,
  FIELD_MANAGER,
  KEPT_TEMPLATE_ANNOTATION,
  LEAVING_ANNOTATION,
  OWNED_ANNOTATION,
  OWNER_LABEL,
} from '../api/slimeboot.ts'
import { isManaged } from '../api/kinds.ts'
import { escapePointer } from './pointer.ts'

export type Ownership = 'ours' | 'another-slimeboot' | 'copy' | 'foreign'

/** A SlimeBoot as owner: its key `namespace/name` and the value of the label on its objects. */
export interface Owner {
  readonly key: string
  readonly label: string
}

export const OUR_ANNOTATIONS: readonly string[] = [
  OWNED_ANNOTATION,
  APPLIED_ANNOTATION,
  CATCH_ALL_ANNOTATION,
  KEPT_TEMPLATE_ANNOTATION,
  LEAVING_ANNOTATION,
]
const LABEL_LIMIT = 63
/** `<SlimeBoot namespace/name>=<group/kind/namespace/name>` */
const CLAIM = /^([a-z0-9][-a-z0-9]{0,62}\/[a-z0-9][-.a-z0-9]{0,252})=([^/]*\/[^/]+\/[^/]*\/[^/]+)$/

/** A SlimeBoot as owner of what it renders. */
export function ownerOf(boot: Pick<KubeObject, 'metadata'>): Owner {
  return ownerOfKey(keyOf(boot))
}

/** The same by key. The label is `namespace.name`, cut and ended with a hash where that is longer than 63 characters. */
export function ownerOfKey(key: string): Owner {
  const text = key.replace('/', '.')
  if (text.length <= LABEL_LIMIT) return { key, label: text }
  const hash = createHash('sha256').update(key).digest('hex').slice(0, 10)
  return { key, label: `${text.slice(0, LABEL_LIMIT - 11)}-${hash}` }
}

/** `object` marked as owned: label for selecting, annotation that names the owner and the object itself, hash of its content. */
export function markOwned(object: KubeObject, owner: Owner): KubeObject {
  const { labels, annotations, ...metadata } = object.metadata
  const applied = createHash('sha256').update(JSON.stringify(object)).digest('hex').slice(0, 16)
  return {
    ...object,
    metadata: {
      ...metadata,
      labels: { ...labels, [OWNER_LABEL]: owner.label },
      annotations: { ...annotations, [OWNED_ANNOTATION]: `${owner.key}=${identityOf(object)}`, [APPLIED_ANNOTATION]: applied },
    },
  }
}

/** Hash of the content that an object was applied with: equal for equal renders. */
export function appliedHash(object: KubeObject): string {
  return object.metadata.annotations?.[APPLIED_ANNOTATION] ?? ''
}

/** Key of the SlimeBoot that the annotation names, if it has exactly our form, names this very object, and we render objects of its kind. */
export function claimedOwner(object: KubeObject): string | undefined {
  const claim = parseClaim(object)
  return claim?.object === identityOf(object) && isManaged(object) ? claim.owner : undefined
}

/**
 * Judges `object` for `owner`. The annotation of another object makes a copy. Where only the annotation was
 * removed by hand, our managedFields entry and the label still tell.
 */
export function ownershipOf(object: KubeObject, owner: Owner): Ownership {
  const claim = parseClaim(object)
  if (claim === undefined) return isDefaced(object) || !isLabelled(object, owner) || !appliedByUs(object) ? 'foreign' : 'ours'
  if (claim.object !== identityOf(object)) return 'copy'
  return claim.owner === owner.key ? 'ours' : 'another-slimeboot'
}

/**
 * Whether a field manager of our name applied it. Anybody can take that name where he may write at all, so this alone proves nothing: it
 * only tells what an operator left in a namespace that its SlimeBoot does not render into any more.
 */
export function appliedByUs(object: KubeObject): boolean {
  return (object.metadata.managedFields ?? []).some(
    ({ manager, operation, subresource = '' }) => manager === FIELD_MANAGER && operation === 'Apply' && subresource === '',
  )
}

/** Carries our annotation, but with a text that no operator writes. */
export function isDefaced(object: KubeObject): boolean {
  return object.metadata.annotations?.[OWNED_ANNOTATION] !== undefined && parseClaim(object) === undefined
}

/** Patch that takes our marks off an object and leaves all else; refused when it is another object of that name. */
export function marksOff(object: KubeObject): readonly JsonPatchOperation[] {
  const { labels = {}, annotations = {}, uid } = object.metadata
  const paths = [
    ...[OWNER_LABEL].filter((name) => labels[name] !== undefined).map((name) => `/metadata/labels/${escapePointer(name)}`),
    ...OUR_ANNOTATIONS.filter((name) => annotations[name] !== undefined).map((name) => `/metadata/annotations/${escapePointer(name)}`),
  ]
  return [{ op: 'test', path: '/metadata/uid', value: uid }, ...paths.map((path) => ({ op: 'remove' as const, path }))]
}

/** The managers that wrote more than status, for messages: `helm, kubectl-edit`; without `except`. */
export function managersOf(object: KubeObject, except?: string): string {
  const names = (object.metadata.managedFields ?? [])
    .filter((entry) => (entry.subresource ?? '') === '' && entry.manager !== except)
    .map((entry) => entry.manager ?? 'unknown')
  return [...new Set(names)].sort().join(', ') || 'an unknown manager'
}

function isLabelled(object: KubeObject, owner: Owner): boolean {
  return object.metadata.labels?.[OWNER_LABEL] === owner.label
}

/** Undefined for any text that the operator would not write: such an annotation is nobody's. */
function parseClaim(object: KubeObject): { owner: string; object: string } | undefined {
  const [, owner, named] = CLAIM.exec(object.metadata.annotations?.[OWNED_ANNOTATION] ?? '') ?? []
  return owner === undefined || named === undefined ? undefined : { owner, object: named }
}
