/** Outcome to status: pure, stable (sorted, no times of its own), patched only when it differs. */
import type { KubeObject } from '../../runtime/object.ts'
import { type Condition, type NewCondition, withTransitions } from '../api/conditions.ts'
import type { ConditionReason } from '../api/reasons.ts'
import type { Unready } from '../apply/readiness.ts'
import { listed } from '../listed.ts'
import type { Warning } from '../spec/problems.ts'
import type { Outcome } from './outcome.ts'

const LISTED = 20

export interface Status {
  readonly observedGeneration: number
  readonly conditions: readonly Condition[]
  readonly mode?: string
  readonly shape?: string
  readonly modules?: readonly string[]
  readonly moduleNames?: string
  readonly objects?: { readonly total: number; readonly ready: number }
  readonly withdrawn?: readonly string[]
  readonly unready?: readonly Unready[]
  readonly warnings?: readonly Warning[]
}

/** The status that tells `outcome`; transition times are taken from the present one. */
export function statusOf(boot: KubeObject, outcome: Outcome, now: string): Status {
  const previous = (boot['status'] ?? {}) as Partial<Status>
  const generation = boot.metadata.generation ?? 1
  const conditions = withTransitions(conditionsOf(outcome), Array.isArray(previous.conditions) ? previous.conditions : [], generation, now)
  const { values, total } = outcome
  // an invalid or suspended SlimeBoot keeps telling what runs
  const shown =
    values === undefined
      ? {
          ...keep(previous, 'mode'),
          ...keep(previous, 'shape'),
          ...keep(previous, 'modules'),
          ...keep(previous, 'moduleNames'),
          ...keep(previous, 'objects'),
          ...keep(previous, 'withdrawn'),
        }
      : {
          mode: values.mode,
          ...(values.mode === 'none' ? {} : { shape: values.shape }),
          modules: values.modules.map((module) => module.name),
          moduleNames: values.modules.map((module) => module.name).join(','),
          objects: { total, ready: Math.max(0, total - notReady(outcome)) },
          ...(outcome.withdrawn.length === 0 ? {} : { withdrawn: outcome.withdrawn }),
        }
  return {
    observedGeneration: generation,
    conditions,
    ...shown,
    ...(outcome.unready.length === 0 ? {} : { unready: outcome.unready.slice(0, LISTED) }),
    ...(outcome.warnings.length === 0 ? {} : { warnings: outcome.warnings.slice(0, LISTED) }),
  }
}

/** Reason and message of `Ready` and whether it is so. */
export function readyOf(outcome: Outcome): NewCondition {
  const [problem] = outcome.problems
  const ready = (status: NewCondition['status'], reason: ConditionReason, message: string): NewCondition => ({
    type: 'Ready',
    status,
    reason,
    message,
  })
  if (problem !== undefined)
    return ready(
      'False',
      problem.reason,
      [...outcome.problems.map((each) => each.message).slice(0, LISTED), ...withheldText(outcome), ...withdrawnText(outcome)].join('\n'),
    )
  if (outcome.phase === 'suspended')
    return ready(
      'Unknown',
      'Suspended',
      'Annotation config.netease.com/suspend is set: nothing is applied, repaired or pruned. Remove it to go on.',
    )
  if (outcome.phase === 'delete') return ready('False', 'Deleting', `${outcome.deleted.length} objects deleted${waitText(outcome)}`)
  if (outcome.withdrawn.length > 0)
    return ready(
      'False',
      'CatchAllWithdrawn',
      [...withdrawnText(outcome), ...(outcome.unready.length > 0 ? [sentence(outcome.unready)] : [])].join(' '),
    )
  const contested = outcome.changes.filter((change) => change.contest !== undefined)
  if (contested.length > 0) {
    return ready(
      'False',
      'Contested',
      contested
        .map(({ object, fields, contest }) =>
          contest?.managers === undefined
            ? `${object} is deleted again and again; the API server's audit log tells by whom. Stop that; it is made anew every 10 minutes.`
            : `${object}: ${fields.join(', ')} is set again and again by ${contest.managers}. Let one of the two own it; it is tried again every 10 minutes.`,
        )
        .join('\n'),
    )
  }
  const cause = outcome.unready.find((each) => !PROGRESS.has(each.reason))
  if (cause !== undefined) return ready('False', 'WorkloadNotReady', sentence(outcome.unready))
  if (outcome.unready.length > 0 || outcome.waiting.length > 0)
    return ready(
      'False',
      'Progressing',
      [...(outcome.unready.length > 0 ? [sentence(outcome.unready)] : []), ...outcome.waiting].join('; '),
    )
  const mutated = outcome.changes.filter((change) => change.mutated.length > 0)
  const notes = [
    ...mutated.map(
      (change) => `${change.object}: the API server or an admission webhook keeps ${change.mutated.join(', ')} otherwise than applied`,
    ),
    ...outcome.warnings.map((warning) => `${warning.reason}: ${warning.message}`),
  ]
  const reason = mutated.length > 0 ? 'MutatedByAdmission' : 'Ready'
  return ready('True', reason, [`${outcome.total} objects are as rendered, every workload is available`, ...notes].join('\n'))
}

/** Reasons of a Deployment that are on their way to good. */
const PROGRESS: ReadonlySet<string> = new Set(['NotObserved', 'RollingOut', 'Unavailable'])

function conditionsOf(outcome: Outcome): readonly NewCondition[] {
  const ready = readyOf(outcome)
  const [problem] = outcome.problems
  const stalled = (problem !== undefined && problem.retry !== 'backoff' && problem.retry !== 'conflict') || ready.reason === 'Contested'
  const reconciling = !stalled && ready.status === 'False'
  return [
    ready,
    { type: 'Reconciling', status: reconciling ? 'True' : 'False', reason: ready.reason, message: reconciling ? ready.message : '' },
    { type: 'Stalled', status: stalled ? 'True' : 'False', reason: ready.reason, message: stalled ? ready.message : '' },
  ]
}

function notReady(outcome: Outcome): number {
  const objects = [...outcome.problems.flatMap((problem) => problem.objects), ...outcome.withheld.flatMap((each) => each.objects)]
  return outcome.unready.length + outcome.waiting.length + new Set(objects).size
}

/** Which namespaces are left out, and that the others are not. */
function withheldText({ withheld }: Outcome): readonly string[] {
  if (withheld.length === 0) return []
  const names = listed(
    withheld.map(({ namespace }) => namespace),
    LISTED,
  )
  return [`Withheld: ${withheld.length === 1 ? 'namespace' : 'namespaces'} ${names}. Everything else is applied, repaired and pruned.`]
}

function sentence(unready: readonly Unready[]): string {
  return unready
    .slice(0, LISTED)
    .map((each) => `${each.object}: ${each.message}`)
    .join('; ')
}

function withdrawnText({ withdrawn }: Outcome): readonly string[] {
  if (withdrawn.length === 0) return []
  return [
    `No replica of the global-sidecar was available for 15 s in ${listed(withdrawn, LISTED)}: the catch-all is withdrawn, so that unknown hosts pass through as without lazyload. It comes back with an available replica.`,
  ]
}

function waitText(outcome: Outcome): string {
  return outcome.waiting.length === 0 ? '' : `; waiting for ${outcome.waiting.join(', ')}`
}

function keep<Key extends keyof Status>(status: Partial<Status>, key: Key): Partial<Pick<Status, Key>> {
  return status[key] === undefined ? {} : ({ [key]: status[key] } as Pick<Status, Key>)
}
