/** The image without a container engine: built from the files that .dockerignore lets in, started from the tree that the Dockerfile describes. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { render } from '../../operator/render/render.ts'
import { VERSION } from '../../operator/version.ts'
import { assembleImage, type Image } from '../helpers/image.ts'
import { SHAPES, valuesOf } from '../helpers/shapes.ts'

const ROOT = join(import.meta.dirname, '..', '..')
let image: Image

before(async () => {
  image = await assembleImage()
  for (const file of image.files) chmodSync(join(image.root, file), statSync(join(image.root, file)).mode & 0o555)
  chmodSync(image.root, 0o555)
})

after(() => {
  chmodSync(image.root, 0o755)
  rmSync(image.root, { recursive: true })
})

test('the image holds both programs and the license, runs not as root, and starts the operator', () => {
  assert.deepEqual(image.files, ['LICENSE', 'manager', 'manager.mjs', 'slimeboot.mjs'])
  assert.match(image.user, /^[1-9]\d*:[1-9]\d*$/)
  assert.deepEqual(image.cmd, ['run'])
})

test('the command line of the image works from a read-only tree, without the checkout and in an empty environment', () => {
  const run = (...args: string[]): string => {
    const [file, ...rest] = image.commandHere([...image.entrypoint, ...args])
    return execFileSync(file, rest, { cwd: '/', env: {}, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }
  assert.equal(run('--version'), `${VERSION}\n`)
  assert.match(run('run', '--help'), /--leader-elect/)
  const rendered = run('template', '-f', join(ROOT, 'samples/slimeboot_lazyload.yaml'))
  assert.match(rendered, /^kind: EnvoyFilter$/m)
})

test('the command of a module Deployment starts lazyload, from a read-only tree, without the checkout and in an empty environment', () => {
  const { object } = render(valuesOf(SHAPES[0]!)).find((each) => each.object.kind === 'Deployment')!
  const { command, args } = (object['spec'] as any).template.spec.containers[0]
  assert.equal(statSync(join(image.root, command[0])).mode & 0o555, 0o555, `${command[0]} is not executable for everybody`)
  const run = (...more: string[]) => {
    const [file, ...rest] = image.commandHere([...command, ...args, ...more])
    return spawnSync(file, rest, { cwd: '/', env: {}, encoding: 'utf8' })
  }
  assert.equal(run('--version').stdout, `${VERSION}\n`)
  const { status, stderr } = run('--config', '/nonexistent')
  assert.equal(status, 1)
  assert.match(stderr, /^lazyload: leader election needs the namespace of its Lease/)
})

test('the build stage needs no more files than .dockerignore lets in', () => {
  const context = mkdtempSync(join(tmpdir(), 'slimeboot-context-'))
  try {
    const patterns = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    assert.equal(patterns[0], '*', 'everything else stays out')
    for (const pattern of patterns.slice(1)) {
      assert.match(pattern, /^![\w.-]+$/)
      const path = pattern.slice(1)
      if (existsSync(join(ROOT, path))) cpSync(join(ROOT, path), join(context, path), { recursive: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(context, 'node_modules'))
    execFileSync(process.execPath, ['tools/build.ts', '--bundle-only'], { cwd: context, stdio: 'pipe' })
    for (const file of ['dist/slimeboot.mjs', 'dist/manager.mjs', 'lazyload/manager', 'LICENSE'])
      assert.ok(existsSync(join(context, file)), file)
  } finally {
    rmSync(context, { recursive: true })
  }
})
