/** Outcome to Events and log lines: what has changed, said once. */
import type { Logger } from 'winston'
import type { EventRecorder } from '../../runtime/events.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import type { Change } from '../apply/apply.ts'
import type { Condition } from '../api/conditions.ts'
import { listed } from '../listed.ts'
import type { Outcome } from './outcome.ts'
import { readyOf } from './status.ts'

const LISTED = 10
/** Reasons that are told as Warnings though no request failed. */
const ALARMING: ReadonlySet<string> = new Set(['Contested', 'WorkloadNotReady', 'CatchAllWithdrawn'])

/** `boot`: as it was before the reconcile. `elapsedMs`: how long that took. */
export function announce(log: Logger, events: EventRecorder, boot: KubeObject, outcome: Outcome, elapsedMs: number): void {
  const of = (action: Change['action']): readonly Change[] => outcome.changes.filter((change) => change.action === action)
  const slimeboot = keyOf(boot)
  const ms = Math.round(elapsedMs)
  for (const change of outcome.changes)
    if (change.action !== 'unchanged')
      log.info(change.action, { slimeboot, object: change.object, ...(change.fields.length === 0 ? {} : { fields: change.fields }) })
  for (const object of outcome.deleted) log.info('deleted', { slimeboot, object })

  for (const change of of('repaired')) events.record(boot, 'Normal', 'DriftRepaired', `${change.object}: ${listed(change.fields, LISTED)}`)
  if (outcome.deleted.length > 0) events.record(boot, 'Normal', 'Pruned', listed(outcome.deleted, LISTED))

  if (outcome.phase === 'delete' && outcome.problems.length === 0 && outcome.waiting.length === 0) {
    log.info('gone', { slimeboot, ms })
    if (outcome.left !== undefined && outcome.left.length > 0) {
      const left = listed(outcome.left, LISTED)
      log.warn('left behind', { slimeboot, objects: left })
      events.record(boot, 'Warning', 'LeftBehind', `Gone, but others hold or make anew: ${left}`)
    }
    return
  }
  const ready = readyOf(outcome)
  const applied = appliedText(of('created'), of('configured'), ms)
  const previous = ((boot['status'] as { conditions?: readonly Condition[] } | undefined)?.conditions ?? []).find(
    (condition) => condition.type === 'Ready',
  )
  const becomesReady = ready.status === 'True' && previous?.status !== 'True'
  if (applied !== '' && !becomesReady) events.record(boot, 'Normal', 'Applied', applied)
  if (previous?.status === ready.status && previous.reason === ready.reason && previous.message === ready.message) return
  const isProblem = outcome.problems.some((problem) => problem.retry !== 'conflict')
  if (isProblem || ALARMING.has(ready.reason)) events.record(boot, 'Warning', ready.reason, ready.message)
  else if (becomesReady) events.record(boot, 'Normal', 'Ready', `${ready.message}${applied === '' ? '' : ` (${applied})`}`)
  // the steps of a rollout are in the status
  const isStep = ready.reason === 'Progressing' && previous?.reason === 'Progressing' && previous.status === ready.status
  const level = isProblem ? 'error' : isStep ? 'debug' : 'info'
  if (outcome.problems.every((problem) => problem.retry !== 'conflict'))
    log.log(level, ready.status === 'True' ? 'ready' : 'not ready', { slimeboot, reason: ready.reason, message_: ready.message, ms })
}

function appliedText(created: readonly Change[], configured: readonly Change[], ms: number): string {
  if (created.length + configured.length === 0) return ''
  return `${created.length} created, ${configured.length} configured in ${ms} ms: ${listed(
    [...created, ...configured].map((change) => change.object),
    LISTED,
  )}`
}
