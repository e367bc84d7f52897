/** `npm run demo`: what a newcomer sees first. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { ENVOY_VARIABLE } from '../../local-cluster/mesh/envoy-binary.ts'
import { eventually } from '../helpers/eventually.ts'

const DEMO = join(import.meta.dirname, '../../tools/demo.ts')
const OWN = ['istio-system/\\*', 'mesh-operator/\\*', '\\*/global-sidecar\\.default\\.svc\\.cluster\\.local']
const LEARNED = ['details', 'reviews'].map((service) => `\\*/${service}\\.default\\.svc\\.cluster\\.local`)

/** Lines with these hosts, one after the other. */
const hosts = (...names: readonly string[]): RegExp => new RegExp(`:\n${names.map((name) => ` {2}${name} .*\n`).join('')}\n`)

test('the demo tells of lazyload from the SlimeBoot to its removal, with real calls, and leaves nothing', async () => {
  const { code, output } = await runDemo({}, async () => {})
  assert.equal(code, 0, output)
  assert.match(output, /SlimeBoot mesh-operator\/lazyload {2}✔ Ready/)
  assert.match(output, /├─ default\n│ {2}├─ ✔ ServiceAccount global-sidecar/)
  assert.match(output, /✔ Deployment lazyload {2}1\/1 available/)
  assert.match(output, hosts(...OWN))
  for (const service of ['details', 'reviews'])
    assert.match(output, new RegExp(`productpage → ${service}: answered 200 through Envoy \\S+ as global-sidecar; .* \\d+ ms later`))
  assert.doesNotMatch(output, /SIMULATED/)
  assert.match(output, /\$ kubectl get svf -n default\nNAME +ENABLED +HOSTS +LAST LEARNED +AGE\nproductpage +true +2 +\d+s +\d+s\n/)
  assert.match(output, hosts(...LEARNED, ...OWN))
  assert.match(output, /All 16 objects that it had become are gone/)
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
