/** `general.servedElsewhere`: fences that a module leaves to another one, which came first. The operator writes it. */
import type { Reader } from './reader.ts'

export interface ServedElsewhere {
  /** Who serves them, for people. */
  readonly by: string
  /** Undefined: all. */
  readonly namespaces: readonly string[] | undefined
  /** Undefined: all; `''` stands for fences that name none. */
  readonly revisions: readonly string[] | undefined
}

export function readServedElsewhere(entry: Reader): ServedElsewhere {
  return {
    by: entry.text('another module', 'by'),
    namespaces: entry.parsed<readonly string[] | undefined>(undefined, parseTexts, 'namespaces'),
    revisions: entry.parsed<readonly string[] | undefined>(undefined, parseTexts, 'revisions'),
  }
}

/** Elements may be empty. */
function parseTexts(value: unknown): readonly string[] {
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string')) throw new Error('must be a list of texts')
  return value
}
