/** What a check across fields gets and gives. Checks read any JSON without throwing (read.ts); wrong types are reported by the schema. */
import type { JsonObject } from '../../../runtime/object.ts'
import type { PlacedModule } from '../modules.ts'
import type { ClusterFacts } from '../cluster-facts.ts'
import type { Problem, Warning } from '../problems.ts'
import type { Mode, Shape } from '../values.ts'

export interface CheckInput {
  /** The spec over its defaults. */
  readonly spec: JsonObject
  readonly modules: readonly PlacedModule[]
  readonly mode: Mode
  readonly shape: Shape
  readonly facts: ClusterFacts
}

export type ErrorCheck = (input: CheckInput) => readonly Problem[]
export type WarningCheck = (input: CheckInput) => readonly Warning[]
