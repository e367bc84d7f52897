/** Domain aliases: a dependency brings further domains with it, as `general.domainAliases` says (spec 5). */
import type { ConfigReader } from '../config-reader.ts'

export interface AliasRule {
  /** Global, so that all its matches can be counted. */
  readonly pattern: RegExp
  /** Text with `$name` and `${name}` of the pattern's groups. */
  readonly templates: readonly string[]
}

/** `general.domainAliases[]` of {pattern, templates}; patterns are RE2, of which JavaScript differs in the spelling of named groups. */
export function readAliases(general: ConfigReader): readonly AliasRule[] {
  return general.objects('domainAliases').map((rule) => {
    const pattern = rule.parsed(/$^/g, (value) => new RegExp(String(value).replaceAll('(?P<', '(?<'), 'g'), 'pattern')
    const templates = rule.list('templates')
    if (rule.value('pattern') === undefined) rule.problems.push(`${rule.at('pattern')} is required`)
    if (templates.length === 0) rule.problems.push(`${rule.at('templates')} is required: what a match stands for`)
    return { pattern, templates }
  })
}

/** The further domains of `host`. A pattern that matches more than once says nothing. */
export function aliasesOf(host: string, rules: readonly AliasRule[]): readonly string[] {
  return rules.flatMap(({ pattern, templates }) => {
    const matches = [...host.matchAll(pattern)]
    const groups = matches.length === 1 ? matches[0]!.groups : undefined
    if (groups === undefined) return []
    return templates.map((template) =>
      template.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced?: string, bare?: string) => groups[braced ?? bare ?? ''] ?? ''),
    )
  })
}
