/** `npm run demo`: what a newcomer sees first. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const DEMO = join(import.meta.dirname, '../../local-cluster/demo.ts')

test('the demo shows the objects of the main sample until it is Ready, ends with --once and leaves nothing', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [DEMO, '--once'], { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /SlimeBoot mesh-operator\/lazyload {2}✔ Ready/)
  assert.match(stdout, /├─ default\n│ {2}├─ ✔ ServiceAccount global-sidecar/)
  assert.match(stdout, /✔ Deployment lazyload {2}1\/1 available/)
  const log = stdout.match(/its log: (.+)/)?.[1] ?? assert.fail('no log is named')
  assert.equal(existsSync(dirname(log)), false)
})
