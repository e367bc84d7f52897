/** Where the control plane's programs come from. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { findBinaries } from '../../local-cluster/binaries.ts'
import { downloadControlPlane } from '../../local-cluster/download.ts'
import { withLock } from '../../local-cluster/lock.ts'
import { kubernetesVersion } from '../../local-cluster/versions.ts'

const ARCH = process.arch === 'x64' ? 'amd64' : process.arch

test('KUBEBUILDER_ASSETS comes first, and nothing else is needed for etcd and kube-apiserver', async (t) => {
  const assets = temporaryFolder(t)
  for (const program of ['etcd', 'kube-apiserver']) writeFileSync(join(assets, program), '')
  const environment = { KUBEBUILDER_ASSETS: assets, PATH: '/nowhere', XDG_CACHE_HOME: join(assets, 'cache') }
  const { command } = await findBinaries(['etcd', 'kube-apiserver'], environment)
  assert.deepEqual(command('kube-apiserver', ['--x']), { file: join(assets, 'kube-apiserver'), args: ['--x'] })
  assert.equal(existsSync(join(assets, 'cache')), false)
})

test('the official downloads give one program each, executable', async (t) => {
  const folder = join(temporaryFolder(t), 'control-plane')
  await downloadControlPlane(folder, officialSites(t), 'linux')
  const programs = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kwok']
  assert.deepEqual(
    programs.filter((name) => (statSync(join(folder, name)).mode & 0o111) === 0),
    [],
  )
  assert.deepEqual(readdirSync(folder).toSorted(), [...programs, 'istio-crds.yaml', 'stages'].toSorted())
})

test('a download with another digest is refused and leaves nothing', async (t) => {
  const parent = temporaryFolder(t)
  const official = officialSites(t)
  const tampered = async (url: string) => (url.endsWith('/kube-scheduler') ? Buffer.from('evil') : await official(url))
  await assert.rejects(downloadControlPlane(join(parent, 'control-plane'), tampered, 'linux'), /kube-scheduler has the sha256 digest/)
  assert.deepEqual(readdirSync(parent), [])
})

test('two that need the same lock take turns, and the lock of a dead process does not count', async (t) => {
  const file = join(temporaryFolder(t), 'lock')
  const dead = spawnSync(process.execPath, ['-e', '']).pid
  writeFileSync(file, String(dead))
  const order: string[] = []
  const work = (name: string) => async () => {
    order.push(`${name} begins`)
    await new Promise((resolve) => setTimeout(resolve, 20))
    order.push(`${name} ends`)
  }
  await Promise.all([withLock(file, work('one')), withLock(file, work('two'))])
  assert.deepEqual(
    order.map((line) => line.split(' ')[1]),
    ['begins', 'ends', 'begins', 'ends'],
  )
  assert.equal(existsSync(file), false)
})

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'slimeboot-binaries-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Answers like the download sites: an envtest archive with its index, programs with their digests. */
function officialSites(t: TestContext): (url: string) => Promise<Buffer> {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'controller-tools/envtest'), { recursive: true })
  for (const name of ['etcd', 'kube-apiserver']) writeFileSync(join(folder, 'controller-tools/envtest', name), name, { mode: 0o755 })
  assert.equal(spawnSync('tar', ['-czf', 'envtest.tar.gz', 'controller-tools'], { cwd: folder }).status, 0)
  const archive = readFileSync(join(folder, 'envtest.tar.gz'))
  const minor = kubernetesVersion().split('.').slice(0, 2).join('.')
  const release = (version: string, hash: string) => ({
    [version]: { [`envtest-${version}-linux-${ARCH}.tar.gz`]: { hash, selfLink: `https://example/${version}.tar.gz` } },
  })
  const releases = {
    ...release(`${minor}.0`, 'of another release'),
    ...release(`${minor}.10`, digest('sha512', archive)),
    ...release(`${minor}.9`, 'no'),
  }
  return async (url) => {
    if (url.endsWith('envtest-releases.yaml')) return Buffer.from(JSON.stringify({ releases }))
    if (url === `https://example/${minor}.10.tar.gz`) return archive
    if (url.endsWith('.sha256')) return Buffer.from(digest('sha256', Buffer.from(url.slice(0, -'.sha256'.length))))
    return Buffer.from(url)
  }
}

function digest(algorithm: string, content: Buffer): string {
  return createHash(algorithm).update(content).digest('hex')
}
