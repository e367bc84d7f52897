/** The status of a fence as it should be, and the patch that makes it so. Pure. */
import type { KubeObject } from '../../runtime/object.ts'
import { MAX_LEARNED } from '../learn/learner.ts'
import type { Missing } from '../mesh/global-sidecars.ts'
import { dependencyHosts } from '../sidecar/hosts.ts'
import type { ComputedDomains } from './domains.ts'
import type { Effect } from './effect.ts'
import { effectCondition, effectNote } from './effect-condition.ts'
import { type Domains, type FenceCondition, type FenceStatus, isEnabled, statusOf } from './fence.ts'
import { type FenceKeep, keptCondition, keptStatus } from './kept.ts'
import { mergePatch } from './merge-patch.ts'
import type { FenceReason } from './reasons.ts'

/** How it stands with the Sidecar; `failure` is what the API server said, `with` names other fences that select the same pods. */
export type SidecarState =
  | { readonly kind: 'applied'; readonly with?: readonly string[]; readonly carried?: Carried | undefined }
  | { readonly kind: 'shared'; readonly with: string }
  | { readonly kind: 'sharing'; readonly with: string; readonly lacking: readonly string[] }
  | { readonly kind: 'partial'; readonly refused: readonly string[]; readonly failure: string }
  | { readonly kind: 'disabled' | 'foreign' | 'no-service' | 'no-crd' }
  | { readonly kind: 'contested'; readonly manager: string | undefined; readonly retryMs: number }
  | { readonly kind: 'unserved'; readonly missing: Missing; readonly hasSidecar: boolean }
  | { readonly kind: 'unseen'; readonly resources: readonly string[]; readonly hasSidecar: boolean }
  | { readonly kind: 'too-large'; readonly excess: string; readonly hasSidecar: boolean }
  /** `sidecar`, `field`: the namespace-wide one, and what of it no other can have. */
  | { readonly kind: 'not-carried'; readonly sidecar: string; readonly field: string }
  | { readonly kind: 'failed'; readonly reason: string; readonly failure: string }

/** What came from a namespace-wide Sidecar. */
export interface Carried {
  readonly sidecar: string
  readonly fields: readonly string[]
  /** Hosts that it keeps out. */
  readonly withheld: readonly string[]
}

/** What keeps a fence from learning all that its pods call. */
export interface SourceProblem {
  readonly reason: FenceReason
  /** Stable text. */
  readonly message: string
}

export interface StatusInput {
  readonly fence: KubeObject
  readonly computed: ComputedDomains
  readonly stableHosts: readonly string[]
  readonly sidecar: SidecarState
  /** Of a Sidecar that is as it should be; undefined: not looked at. */
  readonly effect?: Effect | undefined
  /** This module: `namespace/name`. */
  readonly servedBy?: string | undefined
  /** Undefined where there is no Sidecar to be. */
  readonly keep: FenceKeep | undefined
  /** Why the last query of Prometheus for this fence was not answered in full, or no access log can come. */
  readonly queryProblem: SourceProblem | undefined
  readonly now: Date
}

/** The patch for `servicefences/status`, or undefined when nothing differs. It holds a resourceVersion if it forgets what was learned. */
export function statusPatch(input: StatusInput): Readonly<Record<string, unknown>> | undefined {
  const { fence, computed } = input
  const { observedGeneration, conditions, hosts, kept, lastLearned, domains } = statusOf(fence)
  const wanted = statusOfInput(input)
  const changed = mergePatch({ observedGeneration, conditions, hosts, kept, lastLearned, domains }, wanted)
  const patch = withServedBy(changed, statusOf(fence).servedBy, input.servedBy)
  if (computed.forgotten.length === 0) return patch === undefined ? undefined : { status: patch }
  return {
    metadata: { resourceVersion: fence.metadata.resourceVersion },
    status: { ...patch, metricStatus: Object.fromEntries(computed.forgotten.map((key) => [key, null])) },
  }
}

/** Who writes says so; but two modules that say the same of a fence do not write only to be named. */
function withServedBy(patch: object | undefined, before: string | null | undefined, servedBy: string | undefined): object | undefined {
  if (servedBy === undefined || before === servedBy || (patch === undefined && typeof before === 'string')) return patch
  return { ...patch, servedBy }
}

/** The part of `status` that does not depend on the Sidecar, as a patch; what was learned can be stored together with it. */
export function dependenciesPatch(input: Pick<StatusInput, 'fence' | 'computed' | 'stableHosts'>): Readonly<Record<string, unknown>> {
  const { hosts, lastLearned, domains } = statusOf(input.fence)
  if (input.computed.excess !== undefined) return {}
  return mergePatch({ hosts, lastLearned, domains }, dependenciesOf(input)) ?? {}
}

function dependenciesOf({
  fence,
  computed,
  stableHosts,
}: Pick<StatusInput, 'fence' | 'computed' | 'stableHosts'>): Pick<FenceStatus, 'hosts' | 'lastLearned' | 'domains'> {
  // nothing was computed: what is told of before stays
  if (computed.excess !== undefined) {
    const { hosts, lastLearned, domains } = statusOf(fence)
    return { ...(hosts === undefined ? {} : { hosts }), ...(lastLearned === undefined ? {} : { lastLearned }), domains: domains ?? {} }
  }
  const lastLearned = lastLearnedOf(computed.domains) ?? statusOf(fence).lastLearned
  return {
    hosts: dependencyHosts(computed.domains, stableHosts).length,
    ...(lastLearned === undefined ? {} : { lastLearned }),
    domains: storedDomains(computed.domains),
  }
}

/** Hosts that one selector of labels, or the VirtualServices of one host, put into the status: an object holds 1.5 MiB. */
export const MAX_SELECTED = 500
const MAX_ROUTED = 50

/** As they are stored, bounded; the Sidecar has them all. What was learned is stored whole: nothing else knows since when. */
function storedDomains(domains: Domains): Domains {
  let selected = 0
  const stored = Object.entries(domains).filter(([, { source }]) => source !== 'labelSelector' || ++selected <= MAX_SELECTED)
  return Object.fromEntries(
    stored.map(([host, domain]) => [
      host,
      domain.hosts.length <= MAX_ROUTED ? domain : { ...domain, hosts: domain.hosts.slice(0, MAX_ROUTED) },
    ]),
  )
}

function statusOfInput({
  fence,
  computed,
  stableHosts,
  sidecar,
  effect,
  keep,
  queryProblem,
  now,
}: StatusInput): Readonly<Record<string, unknown>> {
  const { generation = 0 } = fence.metadata
  const previous = statusOf(fence).conditions ?? []
  const conditions = [readiness(sidecar, effect), accepted(computed), learning(fence, computed, queryProblem), keptOf(keep)].map(
    (condition) => {
      const before = previous.find(({ type }) => type === condition.type)
      const lastTransitionTime =
        before?.status === condition.status && before.lastTransitionTime !== undefined ? before.lastTransitionTime : secondsOf(now)
      return { ...condition, observedGeneration: generation, lastTransitionTime }
    },
  )
  const keptNow = keep === undefined ? undefined : keptStatus(keep.kept)
  return { observedGeneration: generation, conditions, kept: keptNow, ...dependenciesOf({ fence, computed, stableHosts }) }
}

function readiness(sidecar: SidecarState, effect: Effect | undefined): FenceCondition {
  const condition = ready(sidecar)
  if (effect === undefined || condition.status !== 'True') return condition
  return effectCondition(effect) ?? { ...condition, message: `${condition.message}${effectNote(effect)}` }
}

function ready(sidecar: SidecarState): FenceCondition {
  const not = (reason: FenceReason, message: string): FenceCondition => ({ type: 'Ready', status: 'False', reason, message })
  switch (sidecar.kind) {
    case 'applied':
      return {
        type: 'Ready',
        status: 'True',
        reason: 'SidecarApplied' satisfies FenceReason,
        message: `The Sidecar holds the dependencies below${sidecar.with === undefined || sidecar.with.length === 0 ? '' : `, and those of ${listed(sidecar.with)}, which select the same pods`}.${carriedText(sidecar.carried)}`,
      }
    case 'shared':
      return {
        type: 'Ready',
        status: 'True',
        reason: 'SidecarShared' satisfies FenceReason,
        message: `Sidecar ${sidecar.with} holds the dependencies below: fence ${sidecar.with} selects the same pods, and Istio takes one Sidecar for a pod.`,
      }
    case 'sharing':
      return not(
        'SidecarSharing',
        `Fence ${sidecar.with} selects the same pods, and Istio takes one Sidecar for a pod; but Sidecar ${sidecar.with} is still without ${listed(sidecar.lacking)}. If that lasts, see why in the conditions of fence ${sidecar.with}.`,
      )
    case 'partial':
      return not('HostsRefused', `The Sidecar is without ${listed(sidecar.refused)}, because it is refused with: ${sidecar.failure}`)
    case 'disabled':
      return { type: 'Ready', status: 'True', reason: 'Disabled', message: 'spec.enable is not true: there is no Sidecar.' }
    case 'foreign':
      return not('SidecarForeign', 'A Sidecar of this name belongs to somebody else and is left alone. Delete it, or rename the fence.')
    case 'contested':
      return not(
        'Contested',
        `${sidecar.manager ?? 'Somebody (another lazyload module, or who deletes it)'} writes the Sidecar again and again; it is repaired only now and then. Let one of them go: a second module without istioRev, or a GitOps tool that owns the Sidecar.`,
      )
    case 'unserved':
      return not(
        'NoGlobalSidecar',
        `Pods could not reach what a Sidecar lacks, because this is missing: ${sidecar.missing.parts.join(', ')}. ${
          sidecar.hasSidecar ? 'The Sidecar that is there stays, and hosts are only added to it.' : 'No Sidecar is made.'
        } ${
          sidecar.missing.service
            ? 'Add the namespace to component.globalSidecar.namespace of the SlimeBoot, or remove the fence.'
            : 'See the conditions of the SlimeBoot, and why the pods of the global-sidecar are not ready.'
        }`,
      )
    case 'unseen':
      return {
        type: 'Ready',
        status: 'Unknown',
        reason: 'KindsUnseen' satisfies FenceReason,
        message: `${listed(sidecar.resources)} cannot be seen in full, so ${sidecar.hasSidecar ? 'hosts are only added to the Sidecar, and none is removed' : 'no Sidecar is made'}. Grant "list" and "watch", or restart lazyload if the kind is gone for good.`,
      }
    case 'too-large':
      return not(
        'TooLarge',
        `${sidecar.excess} ${sidecar.hasSidecar ? 'The Sidecar that is there stays as it is.' : 'No Sidecar is made.'}`,
      )
    case 'not-carried':
      return not(
        'SidecarNotCarried',
        `Sidecar ${sidecar.sidecar} holds for these pods, and a Sidecar of their own would lift what it says in ${sidecar.field}: none is made. Take that field away, or remove the fence.`,
      )
    case 'no-service':
      return not('NoService', 'spec.workloadSelector.fromService is true, but there is no Service of this name that selects pods.')
    case 'no-crd':
      return not('NoSidecarKind', 'The API server has no kind Sidecar. Install Istio.')
    case 'failed':
      return { type: 'Ready', status: 'False', reason: sidecar.reason, message: sidecar.failure.slice(0, 1000) }
  }
}

function carriedText(carried: Carried | undefined): string {
  if (carried === undefined || carried.fields.length + carried.withheld.length === 0) return ''
  const fields = carried.fields.length === 0 ? '' : ` It has ${carried.fields.join(', ')} of Sidecar ${carried.sidecar}.`
  return carried.withheld.length === 0 ? fields : `${fields} Sidecar ${carried.sidecar} lets pods reach no ${listed(carried.withheld)}.`
}

function keptOf(keep: FenceKeep | undefined): FenceCondition {
  return keep === undefined
    ? { type: 'Kept', status: 'False', reason: 'Disabled', message: 'spec.enable is not true.' }
    : keptCondition(keep)
}

function accepted({ invalid, unknown, excess }: Pick<ComputedDomains, 'invalid' | 'unknown' | 'excess'>): FenceCondition {
  if (excess !== undefined) return { type: 'Accepted', status: 'False', reason: 'TooLarge' satisfies FenceReason, message: excess }
  if (invalid.length + unknown.length === 0)
    return { type: 'Accepted', status: 'True', reason: 'Valid', message: 'Every host in spec can be used.' }
  const said = [
    invalid.length === 0 ? undefined : `Not used, because they are neither host names nor <namespace>/*: ${listed([...invalid].sort())}.`,
    unknown.length === 0
      ? undefined
      : `Without effect, because there is neither such a Service nor a ServiceEntry: ${listed([...unknown].sort())}.`,
  ]
  return {
    type: 'Accepted',
    status: 'False',
    reason: (invalid.length > 0 ? 'InvalidHost' : 'UnknownHost') satisfies FenceReason,
    message: said.filter((part) => part !== undefined).join(' '),
  }
}

function learning(fence: KubeObject, { excess }: ComputedDomains, queryProblem: SourceProblem | undefined): FenceCondition {
  const not = (reason: FenceReason, message: string): FenceCondition => ({ type: 'Learning', status: 'False', reason, message })
  if (!isEnabled(fence)) return not('Disabled', 'spec.enable is not true.')
  if (excess !== undefined) return not('TooLarge', excess)
  const learned = Object.keys(statusOf(fence).metricStatus ?? {}).length
  if (learned >= MAX_LEARNED)
    return not(
      'TooManyHosts',
      `${MAX_LEARNED} hosts are learned, no more are taken. Something may call hosts at random; reset the fence, or put what it needs into spec.host.`,
    )
  if (queryProblem !== undefined) {
    const { reason, message } = queryProblem
    // hosts that are called would still be added
    return { type: 'Learning', status: UNSURE.has(reason) ? 'Unknown' : 'False', reason, message: message.slice(0, 1000) }
  }
  return { type: 'Learning', status: 'True', reason: 'Learning', message: 'Hosts that are called are added.' }
}

/** With these it may be that all is learned. */
const UNSURE: ReadonlySet<FenceReason> = new Set(['NoSamples', 'PodsUnseen'])

const LISTED = 10
const LONGEST = 300

/** The first ten of them, and how many there are beside these. */
function listed(names: readonly string[]): string {
  const more = names.length - LISTED
  const shown = names.slice(0, LISTED).map((name) => (name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name))
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ')
}

function lastLearnedOf(domains: Domains): string | undefined {
  const times = Object.values(domains).flatMap(({ learnedAt }) => (learnedAt === undefined ? [] : [learnedAt]))
  return times.sort().at(-1)
}

function secondsOf(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z')
}
