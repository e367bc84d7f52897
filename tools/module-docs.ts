/** The table of a module's settings, for docs/spec.md and docs/lazyload.md. Run by `npm run build`; a test fails when one is stale. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SETTINGS } from '../module/settings.ts'
import type { Setting } from '../module/setting.ts'

export const LAZYLOAD_DOCS = join(import.meta.dirname, '..', 'docs', 'lazyload.md')

const BEGIN = '<!-- settings, from module/settings.ts: npm run build -->\n'
const END = '<!-- end of settings -->\n'
const READ_BY = { operator: 'operator', lazyload: 'lazyload', both: 'both' } as const

/** Rows of key, other names, default, who reads it, meaning. */
export function settingsTable(): string {
  const rows = Object.values<Setting<unknown>>(SETTINGS).map(({ places: [first, ...others], standard, readBy, means }) =>
    [`\`${first}\``, others.map((place) => `\`${place}\``).join(', '), standard, READ_BY[readBy], means].map(cell).join(' | '),
  )
  return ['| key | other names | default | read by | meaning |', '|---|---|---|---|---|', ...rows.map((row) => `| ${row} |`), ''].join('\n')
}

/** Text of docs/lazyload.md with the table as it is now. */
export function lazyloadDocs(): string {
  const text = readFileSync(LAZYLOAD_DOCS, 'utf8')
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${LAZYLOAD_DOCS} has no place for the settings: ${BEGIN.trim()} … ${END.trim()}`)
  return text.slice(0, begin + BEGIN.length) + settingsTable() + text.slice(end)
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
