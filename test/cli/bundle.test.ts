/** `npm run build`: the files that ship. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
const SAMPLE = join(ROOT, 'samples', 'slimeboot_lazyload.yaml')

test('the bundles work away from the checkout, and the command line renders what the sources render', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'slimeboot-bundle-'))
  t.after(() => rmSync(folder, { recursive: true }))
  run(join(ROOT, 'tools', 'build.ts'))
  for (const file of ['slimeboot.mjs', 'manager.mjs']) cpSync(join(ROOT, 'dist', file), join(folder, file))
  const bundle = join(folder, 'slimeboot.mjs')
  const manifests = run(bundle, 'template', '-f', SAMPLE)
  assert.match(manifests, /kind: EnvoyFilter/)
  assert.equal(manifests, run(join(ROOT, 'operator', 'cli', 'main.ts'), 'template', '-f', SAMPLE))
  // Executable as it is: what the package's "slimeboot" binary is.
  assert.equal(spawnSync(bundle, ['--version'], { encoding: 'utf8', cwd: folder }).status, 0)
  assert.match(run(join(folder, 'manager.mjs'), '--help'), /--enable-leader-election/)
})

function run(script: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', cwd: tmpdir() })
  assert.equal(status, 0, stderr)
  return stdout
}
