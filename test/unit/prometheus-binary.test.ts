/** Where the tests' Prometheus comes from. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { findPrometheus } from '../helpers/prometheus-binary.ts'

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'prometheus-'))
  t.after(() => rmSync(made, { recursive: true }))
  return made
}
/** A folder with programs, each a shell script. */
function programs(t: TestContext, scripts: Readonly<Record<string, string>>): string {
  const made = folder(t)
  for (const [name, script] of Object.entries(scripts)) writeFileSync(join(made, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return made
}

test('one in PATH comes first', async (t) => {
  const path = programs(t, { prometheus: '' })
  assert.equal(await findPrometheus({ PATH: `/nowhere:${path}`, XDG_CACHE_HOME: '/nowhere' }), join(path, 'prometheus'))
})

test('a failure says what to install, and leaves nothing behind', async (t) => {
  const cache = folder(t)
  for (const path of [folder(t), programs(t, { 'apt-get': 'echo "E: no network" >&2; exit 100' })])
    await assert.rejects(findPrometheus({ PATH: path, XDG_CACHE_HOME: cache }), /apt-get install prometheus/)
  assert.deepEqual(readdirSync(join(cache, 'slimeboot')), [])
})

test('callers at the same time fetch the package once; empty lists of packages are filled in a folder of our own', async (t) => {
  const [cache, log] = [folder(t), join(folder(t), 'log')]
  const path = programs(t, {
    // the first download fails, as with empty lists
    'apt-get': `echo "$@" >> ${log}; case "$*" in *lists=*download*) : > prometheus.deb ;; *update*) ;; *) echo "E: no such package" >&2; exit 100 ;; esac`,
    'dpkg-deb': 'mkdir -p "$3/usr/bin" && : > "$3/usr/bin/prometheus"',
  })
  mkdirSync(join(cache, 'slimeboot'))
  const environment = { PATH: `${path}:/usr/bin:/bin`, XDG_CACHE_HOME: cache }
  const found = await Promise.all([findPrometheus(environment), findPrometheus(environment), findPrometheus(environment)])
  assert.equal(new Set(found).size, 1)
  assert.match(found[0], new RegExp(`^${cache}/slimeboot/prometheus-.*/usr/bin/prometheus$`))
  assert.deepEqual(
    readdirSync(join(cache, 'slimeboot')).map((name) => name.replace(/-.*/, '')),
    ['prometheus'],
  )
})
