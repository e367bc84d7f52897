/** The tables of docs/security.md: every rule of every role with its reason. `npm run build` writes them; a test fails when they are stale. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { qualified, type Role, type Rule } from '../operator/rights/rule.ts'
import { shippedRoles } from './deploy.ts'

export const RIGHTS_DOCS = join(import.meta.dirname, '..', 'docs', 'security.md')

const BEGIN = '<!-- begin: generated from operator/rights -->\n'
const END = '<!-- end -->\n'

/** Text of docs/security.md: what is there, with new tables. */
export function rightsDocs(): string {
  const text = readFileSync(RIGHTS_DOCS, 'utf8')
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`docs/security.md: the marks of the generated part are gone: ${BEGIN}${END}`)
  return text.slice(0, begin) + BEGIN + shippedRoles().map(section).join('') + text.slice(end)
}

function section(role: Role): string {
  const title = role.namespace === undefined ? role.name : `${role.name} (Role in ${role.namespace})`
  const rows = role.rules.map((rule) => `| ${ruleText(rule)} | ${rule.reason} |`)
  return ['', `### ${title}`, '', role.description, '', '| rule | reason |', '|---|---|', ...rows, ''].join('\n')
}

/** `get, list` of `deployments.apps`; only ``a``, ``b``. */
function ruleText({ apiGroups, resources, resourceNames, verbs }: Rule): string {
  const types = resources.map((resource) => `\`${qualified(apiGroups[0] ?? '', resource)}\``).join(', ')
  const names = resourceNames === undefined ? '' : `; only ${resourceNames.map((name) => `\`${name}\``).join(', ')}`
  return `${verbs.join(', ')} ${types}${names}`
}
