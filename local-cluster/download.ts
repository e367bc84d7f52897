/**
 * The control plane from its official downloads, for machines without Go: etcd and kube-apiserver from the envtest archive
 * (https://book.kubebuilder.io/reference/envtest), the controllers from dl.k8s.io (Linux only), kwok and Istio's CRDs from GitHub.
 * Every program is checked against the digest that its project publishes beside it; kwok publishes none.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { startProgress } from './setup/progress.mjs'
import { kubernetesVersion, moduleVersion } from './versions.ts'

const ENVTEST_INDEX = 'https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml'
const ARCH = process.arch === 'x64' ? 'amd64' : process.arch

/** The bytes behind an address. */
export type Fetch = (url: string) => Promise<Buffer>

interface EnvtestIndex {
  readonly releases: Readonly<Record<string, Readonly<Record<string, { readonly hash: string; readonly selfLink: string }>>>>
}

/** Downloads into `<folder>.partial` and renames: `folder` is either complete or not there. */
export async function downloadControlPlane(
  folder: string,
  fetchBytes: Fetch = fetchOverHttp,
  platform: NodeJS.Platform = process.platform,
): Promise<void> {
  const partial = `${folder}.partial`
  const progress = startProgress('Downloading the control plane')
  const get: Fetch = async (url) => {
    progress.update(url)
    return await fetchBytes(url)
  }
  try {
    rmSync(partial, { recursive: true, force: true })
    mkdirSync(join(partial, 'stages'), { recursive: true })
    await downloadEnvtest(get, platform, partial)
    for (const name of ['kube-controller-manager', 'kube-scheduler']) await downloadKubernetes(get, platform, name, partial)
    const kwok = `https://github.com/kubernetes-sigs/kwok/releases/download/${moduleVersion('sigs.k8s.io/kwok')}`
    writeProgram(join(partial, 'kwok'), await get(`${kwok}/kwok-${platform}-${ARCH}`))
    writeFileSync(join(partial, 'stages', 'fast.yaml'), await get(`${kwok}/stage-fast.yaml`))
    const istio = `https://raw.githubusercontent.com/istio/api/${moduleVersion('istio.io/api')}`
    writeFileSync(join(partial, 'istio-crds.yaml'), await get(`${istio}/kubernetes/customresourcedefinitions.gen.yaml`))
    renameSync(partial, folder)
    progress.done()
  } catch (error) {
    progress.stop()
    rmSync(partial, { recursive: true, force: true })
    throw error
  }
}

/** etcd, kube-apiserver and kubectl of the newest release of our minor version. */
async function downloadEnvtest(get: Fetch, platform: NodeJS.Platform, folder: string): Promise<void> {
  const { releases } = load((await get(ENVTEST_INDEX)).toString()) as EnvtestIndex
  const minor = kubernetesVersion().split('.').slice(0, 2).join('.')
  const version = Object.keys(releases)
    .filter((release) => release.startsWith(`${minor}.`))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .at(-1)
  const file = version === undefined ? undefined : releases[version]?.[`envtest-${version}-${platform}-${ARCH}.tar.gz`]
  if (file === undefined) throw new Error(`there is no envtest archive of Kubernetes ${minor} for ${platform}/${ARCH}.`)
  const archive = await get(file.selfLink)
  verify(file.selfLink, archive, 'sha512', file.hash)
  // The archive's files lie in controller-tools/envtest/.
  const { status, stderr } = spawnSync('tar', ['-xzf', '-', '-C', folder, '--strip-components=2'], { input: archive, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${file.selfLink} cannot be unpacked: ${stderr}`)
}

async function downloadKubernetes(get: Fetch, platform: NodeJS.Platform, name: string, folder: string): Promise<void> {
  if (platform !== 'linux') throw new Error(`Kubernetes publishes ${name} for Linux only.`)
  const url = `https://dl.k8s.io/${kubernetesVersion()}/bin/linux/${ARCH}/${name}`
  const program = await get(url)
  verify(url, program, 'sha256', (await get(`${url}.sha256`)).toString().trim())
  writeProgram(join(folder, name), program)
}

function verify(url: string, content: Buffer, algorithm: 'sha256' | 'sha512', expected: string): void {
  const actual = createHash(algorithm).update(content).digest('hex')
  if (actual !== expected) throw new Error(`${url} has the ${algorithm} digest ${actual}, expected ${expected}.`)
}

function writeProgram(file: string, content: Buffer): void {
  writeFileSync(file, content, { mode: 0o755 })
}

async function fetchOverHttp(url: string): Promise<Buffer> {
  const response = await fetch(url).catch((error: unknown) => {
    // fetch says only "fetch failed"; its cause knows more.
    const { cause } = error as { cause?: unknown }
    throw new Error(`${url}: ${cause instanceof Error ? cause.message : String(error)}.`, { cause: error })
  })
  if (!response.ok) throw new Error(`${url}: HTTP status ${response.status}.`)
  return Buffer.from(await response.arrayBuffer())
}
