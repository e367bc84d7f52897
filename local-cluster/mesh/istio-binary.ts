/** Istio's programs, built once from Go modules (the program in istio/) into the user's cache folder. */
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../binaries.ts'
import { goProblem, goRunner } from '../build.ts'
import { withLock } from '../lock.ts'
import { startProgress } from '../setup/progress.mjs'

const MODULE_DIR = join(import.meta.dirname, 'istio')
const ISTIO = 'istio.io/istio'
/** What Istio's images have beside the program. */
const BOOTSTRAP = 'tools/packaging/common/envoy_bootstrap.json'

export interface IstioFiles {
  /** pilot-discovery, pilot-agent or manifests, by the name under which it is called or its first argument. */
  readonly program: string
  /** The template from which pilot-agent makes Envoy's bootstrap. */
  readonly bootstrap: string
}

/** The first call on a machine builds them, in some minutes and with progress on standard error. An error says what to install. */
export async function istioFiles(environment: NodeJS.ProcessEnv = process.env): Promise<IstioFiles> {
  const folder = join(cacheFolder(environment), `istio-${recipeHash()}-${process.platform}-${process.arch}`)
  await withLock(`${folder}.lock`, async () => {
    if (!existsSync(folder)) await build(folder, environment)
  })
  return { program: join(folder, 'istio'), bootstrap: join(folder, 'envoy_bootstrap.json') }
}

/** Into `<folder>.partial`, then renamed: `folder` is either complete or not there. */
async function build(folder: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const problem = goProblem(environment)
  if (problem !== undefined)
    throw new Error(`The mesh needs Istio's programs, which are built from Go modules: ${problem} Install Go: https://go.dev/dl/`)
  const partial = `${folder}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  const go = goRunner(environment, MODULE_DIR)
  const progress = startProgress('Building Istio from Go modules (some minutes, once)')
  try {
    const { Dir: sources, Version: version } = JSON.parse(await go(['mod', 'download', '-json', ISTIO])) as { Dir: string; Version: string }
    const flags = `-s -w -X ${ISTIO}/pkg/version.buildVersion=${readFileSync(join(sources, 'VERSION'), 'utf8').trim()}-${version}`
    let seen = 0
    await go(['build', '-v', '-mod=readonly', '-trimpath', '-ldflags', flags, '-o', join(partial, 'istio'), '.'], (line) =>
      progress.update(line.startsWith('go: ') ? line.slice('go: '.length) : `${++seen} packages, ${line}`),
    )
    copyFileSync(join(sources, BOOTSTRAP), join(partial, 'envoy_bootstrap.json'))
    renameSync(partial, folder)
    progress.done()
  } catch (error) {
    progress.stop()
    rmSync(partial, { recursive: true, force: true })
    throw error
  }
}

function recipeHash(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(MODULE_DIR).sort()) hash.update(file).update(readFileSync(join(MODULE_DIR, file)))
  return hash.digest('hex').slice(0, 10)
}
