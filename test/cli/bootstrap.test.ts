/** bootstrap.mjs in a made-up checkout, with a made-up npm: what it installs when, and what it hands over. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** Does what `npm ci` does as far as bootstrap.mjs can see, and counts its calls. */
const FAKE_NPM = `
  import { appendFileSync, copyFileSync, mkdirSync, symlinkSync } from 'node:fs'
  appendFileSync('npm-calls', process.argv.slice(2).join(' ') + '\\n')
  mkdirSync('node_modules/.bin', { recursive: true })
  copyFileSync('package-lock.json', 'node_modules/.package-lock.json')
  try { symlinkSync(process.execPath, 'node_modules/.bin/node') } catch {}`
const SCRIPT = `
  console.log(JSON.stringify({ args: process.argv.slice(2), pid: process.pid }))
  if (process.argv.includes('--stay')) setInterval(() => {}, 1000)
  if (process.argv.includes('--fail')) process.exitCode = 7`

test('installs when node_modules is missing, not when it matches, and again when the lock file has changed', (t) => {
  const checkout = makeCheckout(t)
  assert.equal(checkout.run('slimeboot').status, 0)
  assert.equal(checkout.npmCalls(), 1)
  assert.equal(checkout.run('slimeboot').status, 0)
  assert.equal(checkout.npmCalls(), 1)
  checkout.writeLock('2.0.0')
  assert.equal(checkout.run('slimeboot').status, 0)
  assert.equal(checkout.npmCalls(), 2)
})

test("takes a developer's own npm install for what it is", (t) => {
  const checkout = makeCheckout(t)
  mkdirSync(join(checkout.dir, 'node_modules', '.bin'), { recursive: true })
  symlinkSync(process.execPath, join(checkout.dir, 'node_modules', '.bin', 'node'))
  cpSync(join(checkout.dir, 'package-lock.json'), join(checkout.dir, 'node_modules', '.package-lock.json'))
  assert.equal(checkout.run('slimeboot').status, 0)
  assert.equal(checkout.npmCalls(), 0)
})

test('passes arguments and exit code through and prints nothing of its own once all is in place', (t) => {
  const checkout = makeCheckout(t)
  checkout.run('slimeboot')
  const { status, stdout, stderr } = checkout.run('slimeboot', 'template', '-f', 'a b.yaml', '--fail')
  assert.equal(status, 7)
  assert.equal(stderr, '')
  assert.deepEqual(JSON.parse(stdout).args, ['template', '-f', 'a b.yaml', '--fail'])
})

test('an npm that fails ends in an error with its output', (t) => {
  const checkout = makeCheckout(t)
  writeFileSync(join(checkout.dir, 'npm.mjs'), `console.error('npm error code EUSAGE'); process.exit(1)`)
  const { status, stderr } = checkout.run('slimeboot')
  assert.equal(status, 1)
  assert.match(stderr, /npm error code EUSAGE/)
  assert.equal(existsSync(join(checkout.dir, 'node_modules')), false)
})

test('an unknown command ends with exit code 2 and the list of commands', (t) => {
  const { status, stderr } = makeCheckout(t).run('dmeo')
  assert.equal(status, 2)
  assert.match(stderr, /demo .*\n.*cluster /)
})

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`${signal} on bootstrap.mjs ends the command as well`, async (t) => {
    const checkout = makeCheckout(t)
    checkout.run('slimeboot')
    const bootstrap = spawn(process.execPath, ['bootstrap.mjs', 'slimeboot', '--stay'], {
      cwd: checkout.dir,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface({ input: bootstrap.stdout }), 'line')) as [string]
    const { pid } = JSON.parse(line) as { pid: number }
    bootstrap.kill(signal)
    await eventually(() => assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }))
  })
}

function makeCheckout(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'slimeboot-checkout-'))
  t.after(() => rmSync(dir, { recursive: true }))
  cpSync(join(ROOT, 'bootstrap.mjs'), join(dir, 'bootstrap.mjs'))
  cpSync(join(ROOT, 'local-cluster', 'setup'), join(dir, 'local-cluster', 'setup'), { recursive: true })
  mkdirSync(join(dir, 'operator', 'cli'), { recursive: true })
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(dir, 'operator', 'cli', 'main.ts'), SCRIPT)
  writeFileSync(join(dir, 'npm.mjs'), FAKE_NPM)
  const writeLock = (version: string) =>
    writeFileSync(join(dir, 'package-lock.json'), JSON.stringify({ packages: { '': {}, 'node_modules/a': { version } } }))
  writeLock('1.0.0')
  const calls = join(dir, 'npm-calls')
  return {
    dir,
    writeLock,
    npmCalls: () => (existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n').length : 0),
    run: (...args: string[]) => {
      const env = { ...process.env, npm_execpath: join(dir, 'npm.mjs') }
      return spawnSync(process.execPath, ['bootstrap.mjs', ...args], { cwd: dir, encoding: 'utf8', env })
    },
  }
}
