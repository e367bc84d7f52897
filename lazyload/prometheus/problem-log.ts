/** Problems of queries in the log: one line when a problem comes, however many fences have it, and one when the last has it no more. */
import type { Logger } from 'winston'

export interface ProblemLog {
  /** After each finding: the problem of the fence, undefined where it has none. */
  readonly tell: (fence: string, problem: string | undefined) => void
}

/** Fences that go while they have a problem are forgotten at this number. */
const MAX_FENCES = 10_000

export function createProblemLog(log: Pick<Logger, 'info' | 'warn'>): ProblemLog {
  const problems = new Map<string, string>()
  /** Problem to the number of fences that have it. */
  const counts = new Map<string, number>()

  function end(fence: string, problem: string): void {
    problems.delete(fence)
    const left = counts.get(problem)! - 1
    if (left > 0) return void counts.set(problem, left)
    counts.delete(problem)
    log.info('queries succeed again', { fence, problem })
  }

  function begin(fence: string, problem: string): void {
    if (problems.size >= MAX_FENCES) for (const map of [problems, counts]) map.clear()
    if (!counts.has(problem)) log.warn('query failed', { fence, problem })
    problems.set(fence, problem)
    counts.set(problem, (counts.get(problem) ?? 0) + 1)
  }

  return {
    tell(fence, problem) {
      const before = problems.get(fence)
      if (before === problem) return
      if (before !== undefined) end(fence, before)
      if (problem !== undefined) begin(fence, problem)
    },
  }
}
