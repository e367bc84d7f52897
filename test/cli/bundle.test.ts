/** `npm run build`: the one file that ships. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
const SAMPLE = join(ROOT, 'samples', 'slimeboot_lazyload.yaml')

test('the bundle works away from the checkout and renders what the sources render', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'slimeboot-bundle-'))
  t.after(() => rmSync(folder, { recursive: true }))
  run(join(ROOT, 'tools', 'build.ts'))
  const bundle = join(folder, 'slimeboot.mjs')
  cpSync(join(ROOT, 'dist', 'slimeboot.mjs'), bundle)
  const manifests = run(bundle, 'template', '-f', SAMPLE)
  assert.match(manifests, /kind: EnvoyFilter/)
  assert.equal(manifests, run(join(ROOT, 'operator', 'cli', 'main.ts'), 'template', '-f', SAMPLE))
  // Executable as it is: what the package's "slimeboot" binary is.
  assert.equal(spawnSync(bundle, ['--version'], { encoding: 'utf8', cwd: folder }).status, 0)
})

function run(script: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', cwd: tmpdir() })
  assert.equal(status, 0, stderr)
  return stdout
}
