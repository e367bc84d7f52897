/** Conditions of a SlimeBoot, kstatus-compatible (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md). */

import type { ConditionReason } from './reasons.ts'

export type ConditionType = 'Ready' | 'Reconciling' | 'Stalled'

export interface Condition {
  readonly type: ConditionType
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: ConditionReason
  readonly message: string
  readonly observedGeneration: number
  /** RFC 3339; when `status` last changed. */
  readonly lastTransitionTime: string
}

export type NewCondition = Omit<Condition, 'observedGeneration' | 'lastTransitionTime'>

/** API limit of a condition's message. */
const MESSAGE_LIMIT = 32_768

/** The conditions with their transition times: kept from `previous` where the status is the same. */
export function withTransitions(
  conditions: readonly NewCondition[],
  previous: readonly Partial<Condition>[],
  generation: number,
  now: string,
): readonly Condition[] {
  return conditions.map((condition) => {
    const before = previous.find((other) => other.type === condition.type)
    const lastTransitionTime =
      before?.status === condition.status && before.lastTransitionTime !== undefined ? before.lastTransitionTime : now
    const message = condition.message.length > MESSAGE_LIMIT ? `${condition.message.slice(0, MESSAGE_LIMIT - 1)}…` : condition.message
    return { ...condition, message, observedGeneration: generation, lastTransitionTime }
  })
}
