/** Fences that this module would serve by its namespaces and revisions, but that it leaves to another module, which came first. */
import type { ServedElsewhere } from '../../module/served-elsewhere.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { REVISION_LABEL } from '../kinds.ts'

/** Whether another module serves a fence. */
export function createServedElsewhere(entries: readonly ServedElsewhere[]): (fence: KubeObject) => boolean {
  const sets = entries.map(({ namespaces, revisions }) => ({
    namespaces: namespaces === undefined ? undefined : new Set(namespaces),
    revisions: revisions === undefined ? undefined : new Set(revisions),
  }))
  return ({ metadata: { namespace = '', labels } }) =>
    sets.some(
      ({ namespaces, revisions }) => namespaces?.has(namespace) !== false && revisions?.has(labels?.[REVISION_LABEL] ?? '') !== false,
    )
}
