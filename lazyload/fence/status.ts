/** The status of a fence as it should be, and the patch that makes it so. Pure. */
import type { KubeObject } from '../../runtime/object.ts'
import { MAX_LEARNED } from '../learn/learner.ts'
import { dependencyHosts } from '../sidecar/hosts.ts'
import type { ComputedDomains } from './domains.ts'
import { type Domains, type FenceCondition, type FenceStatus, isEnabled, statusOf } from './fence.ts'
import { mergePatch } from './merge-patch.ts'

/** How it stands with the Sidecar; `failure` is what the API server said. */
export type SidecarState =
  | { readonly kind: 'applied' | 'disabled' | 'foreign' | 'no-service' | 'no-crd' }
  | { readonly kind: 'failed'; readonly reason: string; readonly failure: string }

export interface StatusInput {
  readonly fence: KubeObject
  readonly computed: ComputedDomains
  readonly stableHosts: readonly string[]
  readonly sidecar: SidecarState
  /** Why the last query of Prometheus for this fence was not answered in full. */
  readonly queryProblem: string | undefined
  readonly now: Date
}

/** The patch for `servicefences/status`, or undefined when nothing differs. It holds a resourceVersion if it forgets what was learned. */
export function statusPatch(input: StatusInput): Readonly<Record<string, unknown>> | undefined {
  const { fence, computed } = input
  const { observedGeneration, conditions, hosts, lastLearned, domains } = statusOf(fence)
  const wanted = statusOfInput(input)
  const patch = mergePatch({ observedGeneration, conditions, hosts, lastLearned, domains }, wanted)
  if (computed.forgotten.length === 0) return patch === undefined ? undefined : { status: patch }
  return {
    metadata: { resourceVersion: fence.metadata.resourceVersion },
    status: { ...patch, metricStatus: Object.fromEntries(computed.forgotten.map((key) => [key, null])) },
  }
}

/** The part of `status` that does not depend on the Sidecar, as a patch; what was learned can be stored together with it. */
export function dependenciesPatch(input: Pick<StatusInput, 'fence' | 'computed' | 'stableHosts'>): Readonly<Record<string, unknown>> {
  const { hosts, lastLearned, domains } = statusOf(input.fence)
  return mergePatch({ hosts, lastLearned, domains }, dependenciesOf(input)) ?? {}
}

function dependenciesOf({
  fence,
  computed,
  stableHosts,
}: Pick<StatusInput, 'fence' | 'computed' | 'stableHosts'>): Pick<FenceStatus, 'hosts' | 'lastLearned' | 'domains'> {
  const lastLearned = lastLearnedOf(computed.domains) ?? statusOf(fence).lastLearned
  return {
    hosts: dependencyHosts(computed.domains, stableHosts).length,
    ...(lastLearned === undefined ? {} : { lastLearned }),
    domains: computed.domains,
  }
}

function statusOfInput({ fence, computed, stableHosts, sidecar, queryProblem, now }: StatusInput): Readonly<Record<string, unknown>> {
  const { generation = 0 } = fence.metadata
  const previous = statusOf(fence).conditions ?? []
  const conditions = [ready(sidecar), accepted(computed.invalid), learning(fence, queryProblem)].map((condition) => {
    const before = previous.find(({ type }) => type === condition.type)
    const lastTransitionTime =
      before?.status === condition.status && before.lastTransitionTime !== undefined ? before.lastTransitionTime : secondsOf(now)
    return { ...condition, observedGeneration: generation, lastTransitionTime }
  })
  return { observedGeneration: generation, conditions, ...dependenciesOf({ fence, computed, stableHosts }) }
}

function ready(sidecar: SidecarState): FenceCondition {
  const not = (reason: string, message: string): FenceCondition => ({ type: 'Ready', status: 'False', reason, message })
  switch (sidecar.kind) {
    case 'applied':
      return { type: 'Ready', status: 'True', reason: 'SidecarApplied', message: 'The Sidecar holds the dependencies below.' }
    case 'disabled':
      return { type: 'Ready', status: 'True', reason: 'Disabled', message: 'spec.enable is not true: there is no Sidecar.' }
    case 'foreign':
      return not('SidecarForeign', 'A Sidecar of this name belongs to somebody else and is left alone. Delete it, or rename the fence.')
    case 'no-service':
      return not('NoService', 'spec.workloadSelector.fromService is true, but there is no Service of this name that selects pods.')
    case 'no-crd':
      return not('NoSidecarKind', 'The API server has no kind Sidecar. Install Istio.')
    case 'failed':
      return not(sidecar.reason, sidecar.failure)
  }
}

function accepted(invalid: readonly string[]): FenceCondition {
  return invalid.length === 0
    ? { type: 'Accepted', status: 'True', reason: 'Valid', message: 'Every host in spec can be used.' }
    : {
        type: 'Accepted',
        status: 'False',
        reason: 'InvalidHost',
        message: `Not used, because they are neither host names nor <namespace>/*: ${[...invalid].sort().join(', ')}.`,
      }
}

function learning(fence: KubeObject, queryProblem: string | undefined): FenceCondition {
  const not = (reason: string, message: string): FenceCondition => ({ type: 'Learning', status: 'False', reason, message })
  if (!isEnabled(fence)) return not('Disabled', 'spec.enable is not true.')
  const learned = Object.keys(statusOf(fence).metricStatus ?? {}).length
  if (learned >= MAX_LEARNED)
    return not(
      'TooManyHosts',
      `${MAX_LEARNED} hosts are learned, no more are taken. Something may call hosts at random; reset the fence, or put what it needs into spec.host.`,
    )
  if (queryProblem !== undefined) return not('QueryFailed', queryProblem.slice(0, 1000))
  return { type: 'Learning', status: 'True', reason: 'Learning', message: 'Hosts that are called are added.' }
}

function lastLearnedOf(domains: Domains): string | undefined {
  const times = Object.values(domains).flatMap(({ learnedAt }) => (learnedAt === undefined ? [] : [learnedAt]))
  return times.sort().at(-1)
}

function secondsOf(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z')
}
