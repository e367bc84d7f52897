/**
 * Runs the tests: `npm test`, or `npm test -- test/unit/merge.test.ts …` for some of them. All integration tests share one local
 * cluster, which is started here when one of the files asks for it (test/helpers/cluster.ts).
 */
import { globSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { startCluster } from '../local-cluster/cluster.ts'
import { installCrds } from '../local-cluster/crds.ts'
import { startProgress } from '../local-cluster/setup/progress.mjs'
import { SHARED_CLUSTER_VARIABLE } from '../test/helpers/cluster.ts'

const ROOT = join(import.meta.dirname, '..')
/** With SLIMEBOOT_LONG=1 (`npm run test:long`) a test takes all of what otherwise a seed takes a part of. */
const FILE_TIMEOUT_MS = process.env['SLIMEBOOT_LONG'] === '1' ? 4 * 3_600_000 : 10 * 60_000
const END_WITH_PARENT = pathToFileURL(join(ROOT, 'local-cluster/setup/end-with-parent.mjs')).href
// Integration tests wait more than they compute; a mesh has a machine's worth of proxies.
const CONCURRENCY = process.env['SLIMEBOOT_MESH'] === '1' ? 1 : availableParallelism() + 1

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Only the tests whose name matches. */
    name: { type: 'string', short: 'n' },
  },
})
const files = positionals.length > 0 ? positionals.map((file) => resolve(file)) : testFiles()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort())

// The test processes end with this one.
process.env['SLIMEBOOT_PARENT_PID'] = String(process.pid)
try {
  process.exitCode = (await runAll()) ? 0 : 1
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** The tests in `test/mesh/` need root and minutes: they are run by themselves (`npm run test:mesh`). */
function testFiles(): readonly string[] {
  const onMesh = process.env['SLIMEBOOT_MESH'] === '1'
  return globSync('test/**/*.test.ts', { cwd: ROOT })
    .filter((file) => file.startsWith(join('test', 'mesh')) === onMesh)
    .map((file) => join(ROOT, file))
    .sort()
}

async function runAll(): Promise<boolean> {
  if (!files.some(usesCluster)) return await runTests()
  await using cluster = await startCluster({ name: 'test' })
  await installCrds(cluster)
  process.env[SHARED_CLUSTER_VARIABLE] = cluster.dir // Inherited by the test processes.
  return await runTests()
}

function usesCluster(file: string): boolean {
  return file.includes('/integration/') || readFileSync(file, 'utf8').includes('sharedCluster')
}

/** Runs the files and shows node:test's own report; resolves with whether all passed. */
async function runTests(): Promise<boolean> {
  const progress = startProgress(`Testing ${files.length} files`, { quietMs: 1000 })
  const running = new Set<string>()
  let completed = 0
  let success = false
  const tests = run({
    files,
    concurrency: CONCURRENCY,
    timeout: FILE_TIMEOUT_MS,
    signal: stop.signal,
    execArgv: ['--import', END_WITH_PARENT],
    ...(values.name === undefined ? {} : { testNamePatterns: [values.name] }),
  })
  const show = () => progress.update(`${completed} tests done; ${[...running].join(', ')}`)
  tests.on('test:dequeue', ({ name, nesting }) => {
    if (nesting === 0 && name.endsWith('.test.ts')) running.add(relative(ROOT, name))
    show()
  })
  tests.on('test:complete', ({ name }) => {
    if (!running.delete(relative(ROOT, name))) completed++
    show()
  })
  tests.on('test:summary', (summary) => {
    if (summary.file === undefined) success = summary.success
  })
  for await (const chunk of tests.compose(new spec())) progress.print(String(chunk))
  progress.stop()
  return success
}
