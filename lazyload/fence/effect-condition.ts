/** What condition `Ready` says of a Sidecar that is as it should be, but has no effect, or none that can be seen. Pure. */
import type { Labels } from '../mesh/label-index.ts'
import type { SelectingSidecar } from '../sidecar/precedence.ts'
import type { Effect } from './effect.ts'
import type { FenceCondition } from './fence.ts'
import type { FenceReason } from './reasons.ts'

/** Undefined: it has an effect on all its pods. */
export function effectCondition(effect: Effect): FenceCondition | undefined {
  switch (effect.kind) {
    case 'effective':
      return undefined
    case 'shadowed':
      return shadowed(effect)
    case 'no-pods':
      return noPods(effect)
    case 'pods-unseen':
      return podsUnseen(effect)
    case 'other-revision': {
      const { revision, ofPods, all } = effect
      const said = `The pods ${all ? '' : 'that were looked at '}are configured by Istio revision ${listed(ofPods)}, which does not read a Sidecar with label istio.io/rev=${revision.name}, so it has no effect${all ? '' : ' on them'}.`
      return revision.is === 'unknown'
        ? ready(
            'False',
            'RevisionTag',
            `${said} ${revision.name} seems to be a tag that cannot be resolved. Write the revision itself into global.istioRev, or into the label of the fence.`,
          )
        : ready(
            'False',
            'OtherRevision',
            `${said} Restart the pods if they are to move to ${revision.name}; otherwise correct label istio.io/rev of the fence, or of its namespace.`,
          )
    }
    case 'unknown-revision':
      return ready(
        'Unknown',
        'RevisionTag',
        `Whether ${effect.name} is a revision of Istio or a tag cannot be seen, and Istio does not read a Sidecar with a tag in label istio.io/rev. Grant "list" and "watch" on mutatingwebhookconfigurations.admissionregistration.k8s.io, or write the revision itself into global.istioRev, or into the label of the fence.`,
      )
  }
}

/** What `SidecarApplied` adds where some pods do not take the Sidecar, or nothing. */
export function effectNote(effect: Effect | undefined): string {
  if (effect?.kind !== 'effective' || effect.otherRevisions.length === 0) return ''
  return ` Pods that are configured by Istio revision ${listed(effect.otherRevisions)} do not read it; restarted pods do, where they move to the revision of the fence.`
}

const RULE = 'Istio takes one Sidecar for a pod, the oldest that selects it'

function shadowed({ by, pods }: Extract<Effect, { kind: 'shadowed' }>): FenceCondition {
  const taken = pods === 'all' ? 'The Sidecar of this fence has no effect' : 'The Sidecar of this fence has no effect on some of its pods'
  const remedy =
    by.fence === undefined
      ? `Delete Sidecar ${by.name}, or let its workloadSelector leave out the pods of this fence.`
      : 'Let spec.workloadSelector.labels of the two fences tell the pods apart, or disable one of them.'
  return ready('False', 'Shadowed', `${taken}: ${named(by)} too, and ${RULE}. ${remedy}`)
}

function podsUnseen({ forbidden, perhaps }: Extract<Effect, { kind: 'pods-unseen' }>): FenceCondition {
  const why = forbidden ? 'pods may not be listed' : 'the API server does not say which pods there are'
  const other = perhaps === undefined ? '' : ` ${named(perhaps)}; those that have the labels of this fence too take that one: ${RULE}.`
  return ready(
    'Unknown',
    'PodsUnseen',
    `The Sidecar is as it should be. Whether any pod takes it is not known, because ${why}.${other}${forbidden ? ' Grant "list" on pods.' : ''}`,
  )
}

function named({ name, fence, labels }: SelectingSidecar): string {
  const selects = Object.keys(labels).length === 0 ? 'all pods' : `pods with ${labelText(labels)}`
  return `Sidecar ${name}${fence === undefined ? '' : ` of fence ${fence}`} selects ${selects}`
}

function noPods({ labels, service }: Extract<Effect, { kind: 'no-pods' }>): FenceCondition {
  const none = `No pod has the labels that the fence selects, ${labelText(labels)}`
  if (service === undefined)
    return ready(
      'Unknown',
      'NoPods',
      `${none}. The workload may be scaled to zero or not rolled out yet; otherwise name its pods by spec.workloadSelector.labels.`,
    )
  return ready(
    'False',
    'NoPods',
    `${none}, so the Sidecar has no effect. The pods of the Service of this name have ${labelText(service.podLabels)}. Set spec.workloadSelector.fromService to true, or name the pods by spec.workloadSelector.labels.`,
  )
}

function ready(status: FenceCondition['status'], reason: FenceReason, message: string): FenceCondition {
  return { type: 'Ready', status, reason, message }
}

const LISTED = 8
const LONGEST = 130

/** `app=reviews, version=v1`, bounded. */
function labelText(labels: Labels): string {
  return listed(
    Object.entries(labels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([label, value]) => `${label}=${value}`.slice(0, LONGEST)),
  )
}

function listed(names: readonly string[]): string {
  const more = names.length - LISTED
  return more > 0 ? `${names.slice(0, LISTED).join(', ')} and ${more} more` : names.join(', ')
}
