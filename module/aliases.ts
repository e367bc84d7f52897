/** Rules of `general.domainAliases`: which further domains a dependency brings with it. */
import type { Reader } from './reader.ts'

export interface AliasRule {
  /** Global, so that all its matches can be counted. */
  readonly pattern: RegExp
  /** Text with `$name` and `${name}` of the pattern's groups. */
  readonly templates: readonly string[]
}

/** Rules of {pattern, templates}; patterns are RE2, of which JavaScript differs in the spelling of named groups. */
export function readAliases(rules: readonly Reader[]): readonly AliasRule[] {
  return rules.map((rule) => {
    const pattern = rule.parsed(/$^/g, parsePattern, 'pattern')
    const templates = rule.list('templates')
    if (rule.value('pattern') === undefined) rule.refuse('pattern', 'is required')
    if (templates.length === 0) rule.refuse('templates', 'is required: what a match stands for')
    return { pattern, templates }
  })
}

function parsePattern(value: unknown): RegExp {
  try {
    return new RegExp(String(value).replaceAll('(?P<', '(?<'), 'g')
  } catch (error) {
    throw new Error('must be a regular expression', { cause: error })
  }
}
