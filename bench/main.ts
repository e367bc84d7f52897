/**
 * `npm run bench`: measures the operator and the lazyload controller against the floor, one table per benchmark, JSON in bench/results/.
 * `npm run bench -- many idle` runs some of them. docs/performance.md shows the newest result of each.
 */
import { parseArgs } from 'node:util'
import { startProgress } from '../local-cluster/setup/progress.mjs'
import { writeDocument } from './harness/document.ts'
import { textTable, isMet } from './harness/report.ts'
import { saveResult } from './harness/results.ts'
import { type Benchmark, createRun } from './harness/run.ts'
import { drift } from './drift.ts'
import { idle } from './idle.ts'
import { install } from './install.ts'
import { entries } from './lazyload/entries.ts'
import { label } from './lazyload/label.ts'
import { learn } from './lazyload/learn.ts'
import { large } from './lazyload/large.ts'
import { many } from './many.ts'
import { memory } from './memory.ts'
import { restart } from './restart.ts'
import { start } from './start.ts'
import { thousand } from './thousand.ts'
import { wide } from './wide.ts'

const PARTS: Readonly<Record<string, Readonly<Record<string, Benchmark>>>> = {
  operator: { start, install, many, thousand, wide, idle, drift, restart, memory },
  lazyload: { entries, learn, large, label },
}
const BENCHMARKS = new Map(Object.values(PARTS).flatMap((part) => Object.entries(part)))

const HELP = `Usage: npm run bench [-- NAME… OPTIONS]

Measures against a bare client that sends the same writes, and the operator also against the Helm operator. Everything takes about 45
minutes. Each benchmark writes its table and its part of the chart into docs/performance.md, and bench/results/NAME.json.

${Object.entries(PARTS)
  .map(([part, benchmarks]) => `  ${part.padEnd(10)} ${Object.keys(benchmarks).join(', ')}`)
  .join('\n')}

A name is that of a benchmark or of one of these two parts.

  --scale FRACTION  of the full sizes, to try something out: nothing is written then
  --idle SECONDS    to watch an idle process (default 120)
  --no-peer         without the Helm operator
  --document        run nothing: write docs/performance.md from the saved results`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    scale: { type: 'string', default: '1' },
    idle: { type: 'string', default: '120' },
    peer: { type: 'boolean', default: true },
    document: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
const wanted = positionals.flatMap((name) => Object.keys(PARTS[name] ?? { [name]: undefined }))
const unknown = wanted.filter((name) => !BENCHMARKS.has(name))
if (unknown.length > 0) {
  console.error(`No benchmark is named ${unknown.join(', ')}. There are: ${[...BENCHMARKS.keys()].join(', ')}.`)
  process.exit(2)
}
if (values.document) {
  document()
  process.exit(0)
}

const scale = Number(values.scale)
let progress = startProgress('Benchmarks', { quietMs: 1000 })
await using run = createRun({ idleSeconds: Number(values.idle), withPeer: values.peer, show: (text) => progress.update(text) }, scale)
for (const [name, benchmark] of BENCHMARKS) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  progress.stop()
  progress = startProgress(`Benchmark ${name}`)
  const result = await benchmark(run)
  progress.stop()
  console.log(textTable(result))
  if (scale === 1) saveResult(result)
  if (result.rows.some((row) => isMet(row) === false)) process.exitCode = 1
}
progress.stop()
if (scale === 1) document()

function document(): void {
  const missing = writeDocument(Object.entries(PARTS).map(([name, part]) => ({ name, benchmarks: Object.keys(part) })))
  console.log(`docs/performance.md is written${missing.length === 0 ? '' : `; no results yet of ${missing.join(', ')}`}`)
}
