/** Whether a Sidecar that is as it should be has an effect: are there pods, does their control plane read it, and take it before others? */
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import type { ResolvedRevision } from '../mesh/revisions.ts'
import { isSubset, type Labels } from '../mesh/label-index.ts'
import { PER_POD, type SelectedPod, type SelectedPods } from '../mesh/selected-pods.ts'
import { type SelectingSidecar, takenBy } from '../sidecar/precedence.ts'

export type Effect =
  | { readonly kind: 'effective'; /** Of pods that do not take it. */ readonly otherRevisions: readonly string[] }
  /** `pods`: which of the fence's pods take the other Sidecar. */
  | { readonly kind: 'shadowed'; readonly by: SelectingSidecar; readonly pods: 'all' | 'some' }
  /** `service`: the Service of the fence's name, where its pods are others than those of the fence. */
  | { readonly kind: 'no-pods'; readonly labels: Labels; readonly service: { readonly podLabels: Labels } | undefined }
  /** `perhaps`: a Sidecar that takes the pods which it selects too, if there are any. */
  | { readonly kind: 'pods-unseen'; readonly forbidden: boolean; readonly perhaps: SelectingSidecar | undefined }
  /** No control plane of its pods reads it; `all`: every pod was looked at. */
  | { readonly kind: 'other-revision'; readonly revision: ResolvedRevision; readonly ofPods: readonly string[]; readonly all: boolean }
  /** Whether this names a revision or a tag cannot be seen. */
  | { readonly kind: 'unknown-revision'; readonly name: string }

export interface EffectOptions {
  readonly pods: SelectedPods
  /** The Sidecars that may take pods from Sidecar `key`, first the one that Istio asks first. */
  readonly before: (key: string) => readonly SelectingSidecar[]
  readonly serviceSelector: (key: string) => Labels | undefined
  /** What a label `istio.io/rev` of this fence means to istiod; undefined: the fence has none. */
  readonly revisionOf: (fence: KubeObject) => ResolvedRevision | undefined
  /** Revisions and tags cannot be seen in full. */
  readonly revisionsUnseen: () => boolean
}

export interface EffectInput {
  readonly fence: KubeObject
  readonly labels: Labels
  /** Fences with the same pods, which have one Sidecar together: that of the first. */
  readonly samePods: readonly KubeObject[]
}

export interface Judged {
  readonly effect: Effect
  /** When to look again, milliseconds. */
  readonly againInMs: number
}

/** Sidecars that are asked about one by one where a fence has more pods than are looked at. */
const MAX_ASKED = 5

export type EffectJudge = (input: EffectInput) => Promise<Judged>

export function createEffectJudge({ pods, before, serviceSelector, revisionOf, revisionsUnseen }: EffectOptions): EffectJudge {
  /** The labels that all pods of the fence's Service have, if there are any pods of it. */
  async function podsOfService(fence: KubeObject, labels: Labels): Promise<Labels | undefined> {
    const selector = serviceSelector(keyOf(fence))
    if (selector === undefined || Object.keys(selector).length === 0 || isSubset(labels, selector)) return undefined
    const { pods: found = [] } = await pods.of(fence.metadata.namespace ?? '', selector)
    const [first, ...rest] = found.map((pod) => Object.entries(pod.labels))
    if (first === undefined) return undefined
    const common = first.filter(([label, value]) => rest.every((other) => other.some(([key, text]) => key === label && text === value)))
    return { ...Object.fromEntries(common), ...selector }
  }

  return async ({ fence, labels, samePods }) => {
    const namespace = fence.metadata.namespace ?? ''
    const mates = new Set([fence, ...samePods].map(keyOf))
    const candidates = before(keyOf(samePods[0] ?? fence)).filter(({ key, fence: owner }) => owner === undefined || !mates.has(key))
    const revision = revisionOf(fence)
    const reads = (pod: SelectedPod): boolean => revision === undefined || pod.revision === undefined || pod.revision === revision.name
    // whichever pods there are, they all take this one, or one before it
    const sure = candidates.find(
      (other) => (other.revision === undefined || other.revision === revision?.name) && isSubset(other.labels, labels),
    )
    if (sure !== undefined) return { effect: { kind: 'shadowed', by: sure, pods: 'all' }, againInMs: Infinity }

    const found = await pods.of(namespace, labels, {
      // one is enough where nothing but their being there is asked
      ...(candidates.length === 0 && revision === undefined ? { limit: 1 } : {}),
      isOpen: (answer) => answer.pods?.length === 0 || candidates.length > 0,
    })
    const judged = (effect: Effect): Judged => ({ effect, againInMs: found.againInMs })
    if (found.pods === undefined) return judged({ kind: 'pods-unseen', forbidden: found.forbidden, perhaps: candidates[0] })
    if (found.pods.length === 0) {
      const podLabels = await podsOfService(fence, labels)
      return judged({ kind: 'no-pods', labels, service: podLabels === undefined ? undefined : { podLabels } })
    }
    const readers = found.pods.filter(reads)
    const otherRevisions = [...new Set(found.pods.filter((pod) => !reads(pod)).flatMap((pod) => pod.revision ?? []))].sort()
    if (readers.length === 0 && revision !== undefined)
      return judged({ kind: 'other-revision', revision, ofPods: otherRevisions, all: !found.more })

    const takers = readers.map((pod) => takenBy(candidates, pod))
    const taker = takers.find((each) => each !== undefined)
    if (taker !== undefined) {
      const all = !found.more && takers.every((each) => each !== undefined)
      return judged({ kind: 'shadowed', by: taker, pods: all ? 'all' : 'some' })
    }
    for (const other of undecided(candidates, found.more).slice(0, MAX_ASKED)) {
      const both = await pods.of(namespace, { ...labels, ...other.labels })
      if (
        both.pods?.some((pod) => reads(pod) && (other.revision === undefined || (pod.revision ?? other.revision) === other.revision)) ===
        true
      )
        return judged({ kind: 'shadowed', by: other, pods: 'some' })
    }
    if (revision?.is === 'unknown' && revisionsUnseen() && !readers.some((pod) => pod.revision === revision.name))
      return judged({ kind: 'unknown-revision', name: revision.name })
    return judged({ kind: 'effective', otherRevisions })
  }
}

/** What the pods that were looked at do not tell: there are more of them, or the selector names what differs from pod to pod. */
function undecided(candidates: readonly SelectingSidecar[], more: boolean): readonly SelectingSidecar[] {
  return more ? candidates : candidates.filter(({ labels }) => Object.keys(labels).some((label) => PER_POD.has(label)))
}
