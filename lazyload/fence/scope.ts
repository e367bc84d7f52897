/** Which fences this controller serves: those of its Istio revisions (spec 2.9). */
import type { KubeObject } from '../../runtime/object.ts'
import { REVISION_LABEL } from '../kinds.ts'
import type { Revisions } from '../mesh/revisions.ts'

export interface ScopeOptions {
  /** Revisions, or tags that stand for them. Empty: fences of all revisions. */
  readonly names: readonly string[]
  /** Leave out those that name no revision. */
  readonly strict: boolean
}

/** Also for VirtualServices: the label may be on any object. A tag and the revision that it stands for are the same. */
export function createScope({ names, strict }: ScopeOptions, { resolve }: Pick<Revisions, 'resolve'>): (object: KubeObject) => boolean {
  return (object) => {
    const revision = labelledRevision(object)
    if (names.length === 0 || names.includes(revision)) return true
    if (revision === '') return !strict
    const { name } = resolve(revision)
    return names.some((served) => resolve(served).name === name)
  }
}

/** As it stands in the label: a revision, a tag, or nothing. */
export function labelledRevision({ metadata }: KubeObject): string {
  return metadata.labels?.[REVISION_LABEL] ?? ''
}
