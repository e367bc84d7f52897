/** Whether what a round lacks was not called, or is only not known to Prometheus (yet). Pure. */
import { type Finding, withoutEvidence } from './finding.ts'

/** What a round found for one fence. */
export interface Found {
  readonly key: string
  readonly finding: Finding
  /** The fence has learned hosts. */
  readonly knows: boolean
}

/**
 * True where at least half of the fences that know hosts have samples. Where only one or none knows any, nothing can be compared: there
 * an answer is enough (spec 13, fixture 4: an empty one lets hosts age).
 */
export function isEvidence(round: readonly Found[]): boolean {
  const knowing = round.filter(({ knows }) => knows)
  if (knowing.length <= 1) return (knowing.length === 1 ? knowing : round).some(({ finding }) => finding.complete || finding.named.size > 0)
  return knowing.filter(({ finding }) => finding.named.size > 0).length * 2 >= knowing.length
}

/** A complete finding as it is to be taken where absence does not count: it still teaches. */
export function withoutAbsence(finding: Finding, evidence: boolean): Finding {
  if (!finding.complete) return finding
  return !evidence && finding.named.size === 0 ? withoutEvidence(finding) : { ...finding, complete: false }
}
