/** Which fences this controller serves: those of its Istio revisions (spec 2.9). */
import type { KubeObject } from '../../runtime/object.ts'
import { REVISION_LABEL } from '../kinds.ts'

export interface ScopeOptions {
  /** Empty: fences of all revisions. */
  readonly names: readonly string[]
  /** Leave out those that name no revision. */
  readonly strict: boolean
}

/** Also for VirtualServices: the label may be on any object. */
export function createScope({ names, strict }: ScopeOptions): (object: KubeObject) => boolean {
  return (object) => {
    const revision = object.metadata.labels?.[REVISION_LABEL] ?? ''
    return names.length === 0 || names.includes(revision) || (revision === '' && !strict)
  }
}
