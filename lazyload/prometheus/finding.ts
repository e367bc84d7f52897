/** What the answers to the queries of a fence tell: who is called, and whether the others are not. Pure. */
import type { FenceReason } from '../fence/reasons.ts'
import { type Answer, QueryError } from './client.ts'
import { type HostLookup, readSamples } from './metric-status.ts'

/** Why an answer does not show who is not called. */
export interface QueryProblem {
  readonly reason: Extract<FenceReason, 'QueryFailed' | 'UnreadableSamples' | 'UnattributedSamples' | 'NoSamples'>
  /** Stable text. */
  readonly message: string
}

/** What one round found for a fence. */
export interface Finding {
  /** To be learned, with how often they were called. */
  readonly hosts: ReadonlyMap<string, number>
  /** Every host that was called, also one that the mesh does not know. */
  readonly named: ReadonlySet<string>
  /** True when every query was answered in full: then a host that is not there was not called. */
  readonly complete: boolean
  /** Why it is not complete; undefined also while absence does not count after a failure. */
  readonly problem: QueryProblem | undefined
  /** Milliseconds since 1970. */
  readonly at: number
}

/** The answer to one query, or the part of it that is about a fence. */
export type QueryResult = (Answer & { readonly problem?: QueryProblem | undefined }) | QueryError

/** What the results of its queries tell a fence in `namespace`. */
export function findingOf(results: readonly QueryResult[], namespace: string, lookup: HostLookup, at: number): Finding {
  const samples = results.flatMap((result) => (result instanceof QueryError ? [] : result.samples))
  const { hosts, named, unreadable } = readSamples(samples, namespace, lookup)
  const problem = combined([...results.flatMap(problemsOf), ...(unreadable === undefined ? [] : [unreadableSample(unreadable)])])
  return { hosts, named, complete: problem === undefined, problem, at }
}

/**
 * For a round in which fewer than half of the fences that know hosts got a sample: that is what a Prometheus says that has lost its data, or whose
 * metrics are called otherwise now, so it is not taken for "nobody calls anybody".
 */
export function withoutEvidence(finding: Finding): Finding {
  return { ...finding, complete: false, problem: NO_SAMPLES }
}

const NO_SAMPLES: QueryProblem = {
  reason: 'NoSamples',
  message:
    'Prometheus answers, but has samples for fewer than half of the fences that have learned hosts, so none is forgotten. Look whether it has lost its data and whether the query still selects what the mesh reports; it is also so when hardly anybody calls anybody.',
}

function problemsOf(result: QueryResult): readonly QueryProblem[] {
  if (result instanceof QueryError) return [{ reason: 'QueryFailed', message: result.message }]
  const warnings = result.warnings.map((warning) => ({ reason: 'QueryFailed', message: `warning: ${warning}` }) as const)
  return result.problem === undefined ? warnings : [...warnings, result.problem]
}

function unreadableSample(sample: string): QueryProblem {
  return {
    reason: 'UnreadableSamples',
    message: `The answer has ${sample.slice(0, 300)}, which names no destination. Let the query end in "by (destination_service)", and in an aggregated one add only source_app and source_workload_namespace.`,
  }
}

/** All that is wrong, each once, under the reason of the first. */
function combined(problems: readonly QueryProblem[]): QueryProblem | undefined {
  const [first] = problems
  return first === undefined
    ? undefined
    : { reason: first.reason, message: [...new Set(problems.map(({ message }) => message))].sort().join('; ') }
}
