/** `npm run demo`: what a newcomer sees first. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { ENVOY_VARIABLE } from '../../local-cluster/mesh/envoy-binary.ts'
import { eventually } from '../helpers/eventually.ts'
import { prints } from '../helpers/tutorial.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const DEMO = join(ROOT, 'tools/demo.ts')
const OWN = ['istio-system/\\*', 'mesh-operator/\\*', '\\*/global-sidecar\\.default\\.svc\\.cluster\\.local']
const LEARNED = ['details', 'reviews'].map((service) => `\\*/${service}\\.default\\.svc\\.cluster\\.local`)

/** Lines with these hosts, one after the other. */
const hosts = (...names: readonly string[]): RegExp => new RegExp(`:\n${names.map((name) => ` {2}${name} .*\n`).join('')}\n`)

test('the demo tells what README shows, with real calls, and leaves nothing', async () => {
  const { code, output } = await runDemo({}, async () => {})
  assert.equal(code, 0, output)
  for (const file of ['README.md', 'README.zh.md']) {
    const shown =
      /^```text\n(1 · [^]+?)\n```$/m.exec(readFileSync(join(ROOT, file), 'utf8'))?.[1] ?? assert.fail(`${file} does not show it`)
    assert.ok(prints(`…\n${withoutTimes(shown)}\n…`, withoutTimes(output)), `${file} shows:\n${shown}\nIt said:\n${output}`)
  }
  assert.equal(existsSync(folderOf(output)), false)
})

test('without an Envoy it says that calls are simulated; Ctrl-C ends it and what it started', async () => {
  const { code, output } = await runDemo({ [ENVOY_VARIABLE]: '/nowhere/envoy' }, async ({ said, interrupt }) => {
    await eventually(() => assert.match(said(), hosts(...LEARNED, ...OWN)), { timeout: 180_000 })
    interrupt()
  })
  assert.equal(code, 130, output)
  assert.match(output, /The calls are SIMULATED: .*\n.*\/nowhere\/envoy, which is not there/)
  assert.match(output, /productpage → reviews: SIMULATED, only the line of the access log was sent; /)
  assert.match(output, /\nEnding\.\n$/)
  assert.equal(existsSync(folderOf(output)), false)
})

const withoutTimes = (said: string): string => said.replace(/\d+(\.\d+)? ?(ms|s)\b/g, '…')

interface Running {
  readonly said: () => string
  readonly interrupt: () => void
}

async function runDemo(
  env: Readonly<Record<string, string>>,
  meanwhile: (demo: Running) => Promise<void>,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [DEMO], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [errors, [code]] = await Promise.all([
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
    meanwhile({ said: () => said, interrupt: () => void child.kill('SIGINT') }).catch((error: unknown) => {
      child.kill('SIGINT')
      throw error
    }),
  ])
  return { code, output: `${errors}${said}` }
}

/** Of the cluster: it is where its log is. */
function folderOf(output: string): string {
  return dirname(/its log: (.+)/.exec(output)?.[1] ?? assert.fail(`no log is named: ${output}`))
}
