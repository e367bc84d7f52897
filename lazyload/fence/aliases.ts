/** Domain aliases: a dependency brings further domains with it, as `general.domainAliases` says (spec 5). */
import type { AliasRule } from '../../module/aliases.ts'

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
