/**
 * Revisions of Istio's control plane, and the tags that stand for them. Pods and namespaces may name a tag in label `istio.io/rev`;
 * on a Sidecar istiod compares that label with its own revision only, so a tag there means that nobody reads it.
 * https://github.com/istio/istio/blob/86c9f01fd735fb01d8192f5bcaf0d424afb7f14c/pkg/config/model.go#L110
 * A tag is a MutatingWebhookConfiguration, in newer versions a Service of istiod too, with labels `istio.io/tag` and `istio.io/rev`.
 * https://github.com/istio/istio/blob/86c9f01fd735fb01d8192f5bcaf0d424afb7f14c/pkg/revisions/tag_watcher.go
 */
import { identityOf, type KubeObject } from '../../runtime/object.ts'
import { REVISION_LABEL } from '../kinds.ts'

export const TAG_LABEL = 'istio.io/tag'

/** `unknown`: no webhook and no Service of istiod says what it is. */
export interface ResolvedRevision {
  readonly name: string
  readonly is: 'revision' | 'tag' | 'unknown'
}

export interface Revisions {
  /** Takes in a change of an object that may name a revision or a tag; true where names may mean something else now. */
  readonly change: (previous: KubeObject | undefined, current: KubeObject | undefined) => boolean
  /** The revision that `name` stands for: `name` itself, but for a tag. */
  readonly resolve: (name: string) => ResolvedRevision
}

export function createRevisions(): Revisions {
  /** By object, what it says. */
  const said = new Map<string, { readonly revision: string; readonly tag: string | undefined }>()
  const revisions = new Set<string>()
  const tags = new Map<string, ReadonlySet<string>>()

  function count(): void {
    revisions.clear()
    tags.clear()
    for (const { revision, tag } of said.values()) {
      revisions.add(revision)
      if (tag !== undefined) tags.set(tag, new Set([...(tags.get(tag) ?? []), revision]))
    }
  }

  return {
    change(previous, current) {
      const key = identityOf((current ?? previous)!)
      const [before, after] = [said.get(key), current === undefined ? undefined : sayingOf(current)]
      if (before?.revision === after?.revision && before?.tag === after?.tag) return false
      if (after === undefined) said.delete(key)
      else said.set(key, after)
      count()
      return true
    },
    resolve(name) {
      if (revisions.has(name)) return { name, is: 'revision' }
      const [revision, ...others] = tags.get(name) ?? []
      // two meshes of one cluster may give one name to two revisions
      return revision === undefined || others.length > 0 ? { name, is: 'unknown' } : { name: revision, is: 'tag' }
    },
  }
}

function sayingOf({ metadata: { labels = {} } }: KubeObject): { readonly revision: string; readonly tag: string | undefined } | undefined {
  const [revision, tag] = [labels[REVISION_LABEL], labels[TAG_LABEL]]
  if (revision === undefined || revision === '') return undefined
  return { revision, tag: tag === '' || tag === revision ? undefined : tag }
}

/** For the cache: labels. */
export function slimWebhook(object: KubeObject): KubeObject {
  const { name, uid = '', resourceVersion = '', labels } = object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: { name, uid, resourceVersion, ...(labels === undefined ? {} : { labels }) },
  }
}
