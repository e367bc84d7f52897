/** What a reconcile found and did: facts from which status, Events and logs are made. */
import type { Change } from '../apply/apply.ts'
import type { ReconcileError } from '../apply/failure.ts'
import type { Unready } from '../apply/readiness.ts'
import type { Warning } from '../spec/problems.ts'
import type { Values } from '../spec/values.ts'

export interface Outcome {
  /** What was rendered; absent when the spec is invalid, suspended or the SlimeBoot is going. */
  readonly values?: Values
  readonly total: number
  readonly changes: readonly Change[]
  /** `Kind/namespace/name` of what was pruned. */
  readonly deleted: readonly string[]
  readonly unready: readonly Unready[]
  /** What the next step waits for: a catch-all for its global-sidecar, a prune for the mesh. */
  readonly waiting: readonly string[]
  /** Namespaces of global-sidecars whose catch-all is withdrawn, because none of their replicas is available. */
  readonly withdrawn: readonly string[]
  readonly warnings: readonly Warning[]
  /** What stopped it, all of the same step. */
  readonly problems: readonly ReconcileError[]
  /** Namespaces in which a problem kept everything from being written, with the rendered objects there; everywhere else all was done. */
  readonly withheld: readonly { readonly namespace: string; readonly objects: readonly string[] }[]
  /** `Kind/namespace/name` of what others hold and is still there though the SlimeBoot goes. */
  readonly left?: readonly string[]
  readonly phase: 'converge' | 'delete' | 'suspended'
  /** Come back after this time though nothing failed, milliseconds. */
  readonly waitMs?: number
  /** Come back after this time whatever the problems are, milliseconds: a catch-all may have to be withdrawn. */
  readonly withdrawalMs?: number
}

export const NOTHING: Outcome = {
  total: 0,
  changes: [],
  deleted: [],
  unready: [],
  waiting: [],
  withdrawn: [],
  warnings: [],
  problems: [],
  withheld: [],
  phase: 'converge',
}
