/** The charts and the tables of docs/performance.md, from the saved results: whatever was run last of each benchmark. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chartOf } from './chart.ts'
import { markdownTable } from './report.ts'
import { savedResult, type SavedResult } from './results.ts'

const DOCS = join(import.meta.dirname, '..', '..', 'docs')

/** A part of the document: `<!-- PART -->` to `<!-- end of PART -->` are its tables, `docs/performance-PART.svg` is its chart. */
export interface Part {
  readonly name: string
  /** In the order of the document. */
  readonly benchmarks: readonly string[]
}

/** Returns the benchmarks without a saved result. Throws an Error when the document lacks the place for a part. */
export function writeDocument(parts: readonly Part[]): readonly string[] {
  const file = join(DOCS, 'performance.md')
  let text = readFileSync(file, 'utf8')
  for (const { name, benchmarks } of parts) {
    const results = benchmarks.map(savedResult).filter((result) => result !== undefined)
    if (results.length === 0) continue
    writeFileSync(join(DOCS, `performance-${name}.svg`), chartOf(results.flatMap(({ bars }) => bars)))
    const place = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*(<!-- end of ${name} -->)`)
    if (!place.test(text)) throw new Error(`${file} has no <!-- ${name} --> with <!-- end of ${name} -->`)
    // a function, because a replacement text has signs of its own
    text = text.replace(place, (_, begin: string, end: string) => `${begin}\n${results.map(sectionOf).join('\n')}\n${end}`)
  }
  writeFileSync(file, text)
  return parts.flatMap(({ benchmarks }) => benchmarks).filter((name) => savedResult(name) === undefined)
}

function sectionOf({ title, rows, notes, measured }: SavedResult): string {
  const { at, cores, processor, node, kubernetes } = measured
  const when = `Measured ${at.slice(0, 16).replace('T', ' ')} UTC: ${cores} cores (${processor}), Node ${node}, Kubernetes ${kubernetes}.`
  return [`### ${title}`, '', markdownTable(rows), ...[...notes, when].flatMap((note) => ['', note]), ''].join('\n')
}
