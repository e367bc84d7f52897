/** InvalidSpecError: a spec that cannot be installed until its author changes it. */
import type { ConditionReason } from '../api/reasons.ts'
import type { Problem } from './problems.ts'

const LISTED = 20

/** Terminal: a retry cannot help. `reason` is the condition's; the message lists up to 20 problems, one a line. */
export class InvalidSpecError extends Error {
  override readonly name = 'InvalidSpecError'
  readonly problems: readonly Problem[]
  readonly reason: ConditionReason

  constructor(problems: readonly Problem[]) {
    super(describe(problems))
    this.problems = problems
    this.reason = problems.find((each) => each.reason !== undefined)?.reason ?? 'InvalidSpec'
  }
}

function describe(problems: readonly Problem[]): string {
  const lines = problems.slice(0, LISTED).map((each) => each.message)
  if (problems.length > LISTED) lines.push(`… and ${problems.length - LISTED} more`)
  return lines.join('\n')
}
