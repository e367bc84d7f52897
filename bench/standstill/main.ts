/**
 * `node bench/standstill/main.ts [lazyload|operator]`: how long the event loop of each program stands still when somebody hands it the
 * largest objects that an API server takes. Prints the longest turn for each of them.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCannedApi } from './canned-api.ts'
import { LAZYLOAD_SCENES, OPERATOR_SCENES, type Scene, usualMesh } from './scenes.ts'

const ROOT = join(import.meta.dirname, '../..')
const SERVICES = 10_000
const FENCES = 2000
/** A scene is over when every turn has been short for so long. */
const QUIET_MS = 3000
const BUSY_MS = 15

const folder = mkdtempSync(join(tmpdir(), 'standstill-'))
const only = process.argv[2]
if (only !== 'operator') {
  const config = {
    name: 'lazyload',
    global: { misc: { metric_source_type: 'accesslog', 'aux-addr': '127.0.0.1:0', 'metrics-addr': '0', log_source_port: ':0' } },
  }
  writeFileSync(join(folder, 'lazyload.json'), JSON.stringify(config))
  await measure(
    'lazyload',
    ['lazyload/main.ts', '--config', join(folder, 'lazyload.json')],
    [usualMesh(SERVICES, FENCES), ...LAZYLOAD_SCENES],
  )
}
if (only !== 'lazyload')
  await measure(
    'operator',
    ['operator/cli/main.ts', 'run', '--leader-elect=false', '--health-address', '0', '--mesh-settle', '1s'],
    OPERATOR_SCENES,
  )
rmSync(folder, { recursive: true })

async function measure(name: string, args: readonly string[], [start, ...scenes]: readonly Scene[]): Promise<void> {
  await using api = await startCannedApi()
  const kubeconfig = join(folder, 'kubeconfig')
  writeFileSync(
    kubeconfig,
    `{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}], users: [{name: a, user: {}}],
     clusters: [{name: a, cluster: {server: "${api.server}", insecure-skip-tls-verify: true}}]}`,
  )
  const file = join(folder, name)
  for (const [plural, object] of start!.objects) api.put(plural, object)
  writeFileSync(file, '')
  console.log(`\n${name}: longest turn of the event loop, milliseconds of the processor`)
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=4', '--import', join(import.meta.dirname, 'gauge.mjs'), ...args, '--kubeconfig', kubeconfig],
    {
      cwd: ROOT,
      env: { ...process.env, STANDSTILL_FILE: file },
      stdio: ['ignore', process.env['VERBOSE'] === undefined ? 'ignore' : 'inherit', 'inherit'],
    },
  )
  const ended = once(child, 'exit')
  await sleep(2000)
  await told(start!.what, file, 0)
  for (const scene of scenes) {
    const since = Date.now()
    if (process.argv[3] !== undefined && !scene.what.includes(process.argv[3])) continue
    for (const [plural, object] of scene.objects) api.put(plural, object)
    await told(scene.what, file, since)
  }
  // all of it in one list
  child.kill('SIGTERM')
  await ended
}

/** Waits until it is quiet, and prints the longest turn since `since`. */
async function told(what: string, file: string, since: number): Promise<void> {
  await sleep(1000)
  for (;;) {
    const recent = linesOf(file).filter(({ at }) => at > Date.now() - QUIET_MS)
    // one that stands still writes no lines
    if (recent.length > (0.7 * QUIET_MS) / 200 && recent.every(({ ms }) => ms < BUSY_MS)) break
    if (since > 0 && Date.now() - since > 60_000) break
    await sleep(200)
  }
  const longest = Math.max(
    ...linesOf(file)
      .filter(({ at }) => at > since)
      .map(({ ms }) => ms),
  )
  console.log(`${longest.toFixed(0).padStart(6)}  ${what}`)
}

function linesOf(file: string): readonly { readonly at: number; readonly ms: number }[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' ').map(Number))
    .map(([at = 0, ms = 0]) => ({ at, ms }))
}
