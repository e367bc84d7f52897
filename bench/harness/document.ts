/** docs/performance.svg and the tables of docs/performance.md, from the results of a full run. */
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { kubernetesVersion } from '../../local-cluster/versions.ts'
import { chartOf } from './chart.ts'
import { markdownTable, type Result } from './report.ts'

const DOCS = join(import.meta.dirname, '..', '..', 'docs')
const TABLES = /(<!-- tables -->\n)[\s\S]*(<!-- end of tables -->)/

export function writeDocument(results: readonly Result[]): void {
  writeFileSync(join(DOCS, 'performance.svg'), chartOf(results.flatMap(({ bars }) => bars)))
  const file = join(DOCS, 'performance.md')
  const day = new Date().toISOString().slice(0, 10)
  const where = `Measured on ${day}: ${availableParallelism()} cores, Node ${process.versions.node}, Kubernetes ${kubernetesVersion()}.`
  const sections = results.map(({ title, rows, notes }) =>
    [`### ${title}`, '', markdownTable(rows), ...notes.flatMap((note) => ['', note]), ''].join('\n'),
  )
  const tables = [where, '', ...sections].join('\n')
  // a function, because a replacement text has signs of its own
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(TABLES, (_, begin: string, end: string) => `${begin}\n${tables}\n${end}`),
  )
}
