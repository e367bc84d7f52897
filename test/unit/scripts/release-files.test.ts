/** Where the scripts take their files from: beside them, from a named release, from the latest tag (spec 13, fixture 13). */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { INSTALL, ROOT, runBash, type ScriptRun, UNINSTALL } from '../../helpers/scripts.ts'

/** What the server answers for the list of tags. */
let tags: { readonly status: number; readonly body: string }
let requested: string[]
/** Its kubectl notes that it was called, and fails. */
const bin = mkdtempSync(join(tmpdir(), 'slimeboot-bin-'))
const calls = join(bin, 'calls')

const server = createServer((request, response) => {
  const url = request.url ?? ''
  requested.push(url)
  if (url === '/tags') {
    response.writeHead(tags.status).end(tags.body)
    return
  }
  const file = join(ROOT, url.replace(/^\/files\/v0\.1\.2\//, ''))
  if (!url.startsWith('/files/v0.1.2/') || !existsSync(file)) response.writeHead(404).end('not here')
  else response.end(readFileSync(file))
})

before(async () => {
  writeFileSync(join(bin, 'kubectl'), `#!/bin/sh\necho "$@" >> ${calls}\nexit 1\n`)
  chmodSync(join(bin, 'kubectl'), 0o755)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
after(() => server.close())
beforeEach(() => {
  requested = []
  tags = { status: 200, body: '[{"name": "v0.1.2", "commit": {"sha": "abc"}}, {"name": "v0.1.1"}]' }
  writeFileSync(calls, '')
})

const kubectlCalls = (): string => readFileSync(calls, 'utf8')

async function run(...args: readonly string[]): Promise<ScriptRun> {
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const env = { PATH: `${bin}:${process.env['PATH']}`, SLIMEBOOT_BASE_URL: `${base}/files`, SLIMEBOOT_TAGS_URL: `${base}/tags` }
  return await runBash(args, { env })
}

const INSTALL_TEXT = readFileSync(INSTALL, 'utf8')
const FILES = ['deploy/slimeboot.yaml', 'deploy/slimeboot-before-1.30.yaml', 'samples/slimeboot_lazyload.yaml'].map(
  (path) => `/files/v0.1.2/${path}`,
)

for (const [title, args] of [
  ['as an argument of the file', [INSTALL, 'v0.1.2']],
  ['through bash -c, where it is $0', ['-c', INSTALL_TEXT, 'v0.1.2']],
  ['through bash -c with options after it', ['-c', INSTALL_TEXT, 'v0.1.2', '--no-wait']],
  ['through bash -c after --', ['-c', INSTALL_TEXT, '--', 'v0.1.2']],
] as const) {
  test(`a tag selects the release: ${title}`, async () => {
    const { output } = await run(...args)
    assert.deepEqual(requested, FILES, output)
    assert.match(output, /Release v0\.1\.2/)
  })
}

test('an option may come as $0 too', async () => {
  const { output, code } = await run('-c', INSTALL_TEXT, '--help')
  assert.equal(code, 0)
  assert.match(output, /^Usage: easy_install_lazyload\.sh/)
})

test('without an argument the latest tag is asked for', async () => {
  const { output } = await run('-c', INSTALL_TEXT)
  assert.deepEqual(requested, ['/tags', ...FILES], output)
  assert.match(output, /No specified tag or commit\. Use the latest tag\./)
})

test('--with-pilot takes that sample', async () => {
  await run('-c', INSTALL_TEXT, 'v0.1.2', '--with-pilot')
  assert.ok(requested.includes('/files/v0.1.2/samples/slimeboot_lazyload_pilot.yaml'), requested.join())
})

for (const [title, answer, expected] of [
  ['no tag', { status: 200, body: '[]' }, /Failed to get the latest tag\. Exited\..*names none/],
  [
    'a used up limit',
    { status: 403, body: '{"message": "API rate limit exceeded"}' },
    /HTTP 403, the limit of requests without a login is used up/,
  ],
  ['too many requests', { status: 429, body: '' }, /HTTP 429, the limit/],
  ['an error', { status: 500, body: '' }, /HTTP 500/],
] as const) {
  test(`a look-up that answers ${title} ends with exit code 1, a way out, and no call of kubectl`, async () => {
    tags = answer
    const { code, output } = await run('-c', INSTALL_TEXT)
    assert.equal(code, 1)
    assert.match(output, expected)
    assert.match(output, /easy_install_lazyload\.sh v0\.1\.2/)
    assert.equal(kubectlCalls(), '')
  })
}

test('a tag that does not exist ends with exit code 1 and no call of kubectl', async () => {
  const { code, output } = await run('-c', INSTALL_TEXT, 'v9')
  assert.equal(code, 1)
  assert.match(output, /HTTP 404\n.*Is the tag or commit right/)
  assert.equal(kubectlCalls(), '')
})

test('beside the files of a release nothing is fetched', async () => {
  const release = mkdtempSync(join(tmpdir(), 'slimeboot-release-'))
  for (const folder of ['deploy', 'samples', 'scripts']) cpSync(join(ROOT, folder), join(release, folder), { recursive: true })
  const { output } = await run(join(release, 'scripts', 'easy_install_lazyload.sh'))
  assert.match(output, /Files beside this script/)
  assert.deepEqual(requested, [])
})

test('a script alone, away from its release, fetches', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slimeboot-alone-'))
  mkdirSync(join(folder, 'scripts'))
  cpSync(INSTALL, join(folder, 'scripts', 'install.sh'))
  await run(join(folder, 'scripts', 'install.sh'))
  assert.deepEqual(requested, ['/tags', ...FILES])
})

test('the uninstall script fetches nothing, or with a tag the script of that release', async () => {
  await run(UNINSTALL)
  assert.deepEqual(requested, [])
  await run('-c', readFileSync(UNINSTALL, 'utf8'), 'v0.1.2', '--keep-fences')
  assert.deepEqual(requested, ['/files/v0.1.2/scripts/easy_uninstall_lazyload.sh'])
})

for (const [script, args] of [
  [INSTALL, ['--nonsense']],
  [INSTALL, ['a', 'b']],
  [INSTALL, ['--timeout', 'long']],
  [INSTALL, ['-f', '/nonexistent']],
  [INSTALL, ['../../evil']],
  [UNINSTALL, ['--save']],
  [UNINSTALL, ['--namespace', 'A b']],
] as const) {
  test(`${script.slice(script.lastIndexOf('/') + 1)} ${args.join(' ')} is refused with exit code 2`, async () => {
    const { code, output } = await run(script, ...args)
    assert.equal(code, 2, output)
    assert.equal(kubectlCalls(), '')
  })
}
