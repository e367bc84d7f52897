/** Domain aliases: a dependency brings further domains with it, as `general.domainAliases` says (spec 5). */
import { setFlagsFromString } from 'node:v8'
import type { AliasRule } from '../../module/aliases.ts'

/**
 * A pattern is matched with names that tenants write, and one such as `^(a+)+$` takes for ever on some of them. RE2, for which patterns are
 * written, never does; nor does V8's other engine, to which it goes over when it has tried too much.
 */
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')

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
