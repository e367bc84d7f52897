/**
 * Where the control plane's programs come from, in this order: the folder `KUBEBUILDER_ASSETS`, the user's cache folder, a build
 * from Go modules, the official downloads. The last two fill the cache, once.
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

export const BASE_PROGRAMS = ['etcd', 'kube-apiserver'] as const
export const CONTROLLER_PROGRAMS = ['kube-controller-manager', 'kube-scheduler', 'kwok'] as const

export type Program = (typeof BASE_PROGRAMS)[number] | (typeof CONTROLLER_PROGRAMS)[number]

export interface Binaries {
  readonly command: (program: Program, args: readonly string[]) => Command
}

/** Finds the programs, and makes the missing ones with progress on standard error. One error says what to install when that cannot be. */
export async function findBinaries(programs: readonly Program[], environment: NodeJS.ProcessEnv = process.env): Promise<Binaries> {
  const assets = environment['KUBEBUILDER_ASSETS'] ?? ''
  const asset = (program: Program) => (assets !== '' && existsSync(join(assets, program)) ? join(assets, program) : undefined)
  const folder = programs.every((program) => asset(program) !== undefined) ? undefined : await controlPlaneFolder(environment)
  return {
    command: (program, args) => {
      const file = asset(program)
      if (file !== undefined) return { file, args }
      if (folder === undefined) throw new Error(`${program} was not asked for when the programs were looked up`)
      const own = join(folder, program)
      // A build has one binary for all parts of Kubernetes and etcd, a download has one for each.
      return existsSync(own) ? { file: own, args } : { file: join(folder, 'control-plane'), args: [program, ...args] }
    },
  }
}

/** kwok's Stage files: what makes simulated pods and nodes ready. */
export async function kwokStages(environment: NodeJS.ProcessEnv = process.env): Promise<readonly string[]> {
  const stages = join(await controlPlaneFolder(environment), 'stages')
  return readdirSync(stages).map((file) => join(stages, file))
}

/** Istio's CustomResourceDefinitions: a file of several YAML documents. */
export async function istioCrds(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  return join(await controlPlaneFolder(environment), 'istio-crds.yaml')
}

/** The cache's folder for this version and platform; filled when it is missing. */
async function controlPlaneFolder(environment: NodeJS.ProcessEnv): Promise<string> {
  const name = `control-plane-${kubernetesVersion()}-${recipeHash()}-${process.platform}-${process.arch}`
  const folder = join(cacheFolder(environment), name)
  if (existsSync(folder)) return folder
  await withLock(`${folder}.lock`, async () => {
    if (!existsSync(folder)) await fill(folder, environment)
  })
  return folder
}

async function fill(folder: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const problem = goProblem(environment)
  if (problem === undefined) return await buildControlPlane(folder, environment)
  try {
    await downloadControlPlane(folder)
  } catch (error) {
    throw new Error(missingTools(problem, error), { cause: error })
  }
}

function missingTools(problem: string, download: unknown): string {
  return [
    'The local cluster needs etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, and they are not here yet.',
    `  Building them from Go modules: ${problem}`,
    `  Downloading them: ${download instanceof Error ? download.message : String(download)}`,
    `Install Go ${goVersion()} or newer (https://go.dev/dl/) and run the command again. It builds them once, in some minutes, into your cache folder.`,
  ].join('\n')
}

/** `$XDG_CACHE_HOME/slimeboot`, or `~/.cache/slimeboot`. */
export function cacheFolder(environment: NodeJS.ProcessEnv): string {
  const base = environment['XDG_CACHE_HOME'] ?? ''
  return join(base === '' ? join(environment['HOME'] ?? homedir(), '.cache') : base, 'slimeboot')
}

/** Changes with everything that a build depends on, so that an old cache is never used for a new recipe. */
function recipeHash(): string {
  const hash = createHash('sha256').update(RECIPE)
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(MODULE_DIR, file)))
  return hash.digest('hex').slice(0, 10)
}
