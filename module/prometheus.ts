/** The queries of `metric.prometheus.handlers`. */
import { choiceOf } from './parse.ts'
import type { Reader } from './reader.ts'

export interface Handler {
  readonly name: string
  /** PromQL with `$namespace` and `$source_app`; with `aggregate` neither. */
  readonly query: string
  /** Asked once for all fences: each sample says by labels `source_app` and `source_workload_namespace` whose it is. */
  readonly aggregate: boolean
}

/** Names and numbers of the upstream enum; both mean the same here. */
const TYPES = choiceOf(new Map(['value', 'group', '0', '1'].map((word) => [word, word])))

export function readHandlers(handlers: Reader): readonly Handler[] {
  return handlers.entries().map(([name, handler]) => readHandler(name, handler))
}

function readHandler(name: string, handler: Reader): Handler {
  const query = handler.text('', 'query').trim()
  const aggregate = handler.flag(false, 'aggregate')
  if (query === '') handler.refuse('query', 'is required')
  handler.parsed('value', TYPES, 'type')
  if (aggregate && /\$(namespace|source_app)/.test(query))
    handler.refuse('query', 'is asked once for all fences (aggregate), so it must not hold $namespace or $source_app')
  return { name, query, aggregate }
}
