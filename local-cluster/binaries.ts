/**
 * Where the control plane's programs come from, in this order: the folder `KUBEBUILDER_ASSETS`, the user's cache folder, a build
 * from Go modules, the official downloads. The last two fill the cache.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { buildControlPlane, goProblem } from './build.ts'
import { downloadControlPlane } from './download.ts'
import { withLock } from './lock.ts'
import type { Command } from './supervise.ts'
import { goVersion, kubernetesVersion, MODULE_DIR } from './versions.ts'

/** To be raised when build.ts or download.ts fill the folder in another way. */
const RECIPE = '1'

/** One function per program: its arguments in, the command out. */
export interface Binaries {
  readonly etcd: (args: readonly string[]) => Command
  readonly apiServer: (args: readonly string[]) => Command
  readonly controllerManager: (args: readonly string[]) => Command
  readonly scheduler: (args: readonly string[]) => Command
  readonly kwok: (args: readonly string[]) => Command
  /** kwok's Stage files: what makes simulated pods and nodes ready. */
  readonly stages: readonly string[]
  /** Istio's CustomResourceDefinitions, one file of several documents. */
  readonly istioCrds: string
}

/** Finds the programs, and makes them when they are missing, with progress on standard error. */
export async function findBinaries(environment: NodeJS.ProcessEnv = process.env): Promise<Binaries> {
  const folder = await ensureControlPlane(environment)
  const assets = environment['KUBEBUILDER_ASSETS']
  const all = join(folder, 'control-plane')
  const allInOne = existsSync(all)
  const program = (name: string, own: string | undefined) => (args: readonly string[]) => {
    if (own !== undefined) return { file: own, args }
    return allInOne ? { file: all, args: [name, ...args] } : { file: join(folder, name), args }
  }
  return {
    etcd: program('etcd', assetOf(assets, 'etcd')),
    apiServer: program('kube-apiserver', assetOf(assets, 'kube-apiserver')),
    controllerManager: program('kube-controller-manager', assetOf(assets, 'kube-controller-manager')),
    scheduler: program('kube-scheduler', assetOf(assets, 'kube-scheduler')),
    kwok: (args) => ({ file: join(folder, 'kwok'), args }),
    stages: readdirSync(join(folder, 'stages')).map((file) => join(folder, 'stages', file)),
    istioCrds: join(folder, 'istio-crds.yaml'),
  }
}

/** The folder with the programs that no other source has; makes it when it is missing. */
async function ensureControlPlane(environment: NodeJS.ProcessEnv): Promise<string> {
  const folder = join(cacheFolder(environment), `control-plane-${kubernetesVersion()}-${recipeHash()}-${process.platform}-${process.arch}`)
  if (existsSync(folder)) return folder
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return
    const problem = goProblem(environment)
    if (problem === undefined) return await buildControlPlane(folder, environment)
    try {
      await downloadControlPlane(folder, environment)
    } catch (error) {
      throw new Error(missingTools(problem, error), { cause: error })
    }
  })
  return folder
}

function missingTools(problem: string, download: unknown): string {
  const reason = download instanceof Error ? download.message : String(download)
  return [
    'The local cluster needs etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, and they are not here yet.',
    `  Building them: ${problem}`,
    `  Downloading them: ${reason}`,
    `Install Go ${goVersion()} or newer (https://go.dev/dl/) and run the command again: it builds them once, in some minutes, into your cache folder.`,
  ].join('\n')
}

/** `$XDG_CACHE_HOME/slimeboot`, or `~/.cache/slimeboot`. */
export function cacheFolder(environment: NodeJS.ProcessEnv): string {
  const base = environment['XDG_CACHE_HOME']
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'slimeboot')
}

/** Changes with everything that a build depends on, so that an old cache is never used for a new recipe. */
function recipeHash(): string {
  const hash = createHash('sha256').update(RECIPE)
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(MODULE_DIR, file)))
  return hash.digest('hex').slice(0, 10)
}

function assetOf(assets: string | undefined, name: string): string | undefined {
  if (assets === undefined || assets === '') return undefined
  const file = join(assets, name)
  return existsSync(file) ? file : undefined
}
