/**
 * `npm run bench`: measures the operator against the floor and the Helm operator, one table per benchmark, JSON in bench/results/.
 * `npm run bench -- many idle` runs some of them; a full run also writes docs/performance.svg and the tables of docs/performance.md.
 */
import { parseArgs } from 'node:util'
import { startProgress } from '../local-cluster/setup/progress.mjs'
import { writeDocument } from './harness/document.ts'
import { type Result, saveResult, textTable, isMet } from './harness/report.ts'
import { type Benchmark, createRun } from './harness/run.ts'
import { drift } from './drift.ts'
import { idle } from './idle.ts'
import { install } from './install.ts'
import { many } from './many.ts'
import { memory } from './memory.ts'
import { restart } from './restart.ts'
import { start } from './start.ts'
import { thousand } from './thousand.ts'
import { wide } from './wide.ts'

const BENCHMARKS: Readonly<Record<string, Benchmark>> = { start, install, many, thousand, wide, idle, drift, restart, memory }

const HELP = `Usage: npm run bench [-- NAME… OPTIONS]

Measures the operator against a bare client that sends the same writes, and against the Helm operator. All of it takes about half an hour
and writes bench/results/*.json, docs/performance.svg and the tables of docs/performance.md.

Benchmarks: ${Object.keys(BENCHMARKS).join(', ')}

  --scale FRACTION  of the full sizes, to try something out: nothing is written then
  --idle SECONDS    to watch an idle operator (default 120)
  --no-peer         without the Helm operator`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    scale: { type: 'string', default: '1' },
    idle: { type: 'string', default: '120' },
    peer: { type: 'boolean', default: true },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
const unknown = positionals.filter((name) => BENCHMARKS[name] === undefined)
if (unknown.length > 0) {
  console.error(`No benchmark is named ${unknown.join(', ')}. There are: ${Object.keys(BENCHMARKS).join(', ')}.`)
  process.exit(2)
}

const scale = Number(values.scale)
let progress = startProgress('Benchmarks', { quietMs: 1000 })
await using run = createRun({ idleSeconds: Number(values.idle), withPeer: values.peer, show: (text) => progress.update(text) }, scale)
const results: Result[] = []
for (const [name, benchmark] of Object.entries(BENCHMARKS)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  progress.stop()
  progress = startProgress(`Benchmark ${name}`)
  const result = await benchmark(run)
  progress.stop()
  console.log(textTable(result))
  results.push(result)
  if (scale === 1) saveResult(result)
  if (result.rows.some((row) => isMet(row) === false)) process.exitCode = 1
}
progress.stop()
if (scale === 1 && results.length === Object.keys(BENCHMARKS).length) writeDocument(results)
