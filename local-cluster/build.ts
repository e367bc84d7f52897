/** Builds the control plane from Go modules (the program in control-plane/) into a folder of the cache. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startProgress } from './setup/progress.mjs'
import { goVersion, kubernetesVersion, MODULE_DIR } from './versions.ts'

const PROGRAMS = { 'control-plane': '.', kwok: 'sigs.k8s.io/kwok/cmd/kwok' }
const STAGE_FOLDERS = ['pod/fast', 'node/fast', 'node/heartbeat-with-lease']
const ERROR_LINES_SHOWN = 20

/** Why Go cannot build the control plane here, or undefined when it can. */
export function goProblem(environment: NodeJS.ProcessEnv): string | undefined {
  const { error, stdout } = spawnSync('go', ['env', 'GOVERSION', 'GOTOOLCHAIN'], { env: environment, encoding: 'utf8' })
  if (error !== undefined) return 'there is no "go" in PATH.'
  const [version = '', toolchain = ''] = stdout.trim().split('\n')
  const wanted = goVersion()
  // From 1.21 on Go fetches the toolchain that go.mod asks for, unless it was told not to.
  const oldest = toolchain.startsWith('local') ? wanted : '1.21'
  return atLeast(version.replace(/^go/, ''), oldest) ? undefined : `${version} is too old, go.mod asks for ${wanted}.`
}

function atLeast(version: string, wanted: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

/** Builds into `<folder>.partial` and renames: `folder` is either complete or not there. */
export async function buildControlPlane(folder: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const partial = `${folder}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(join(partial, 'stages'), { recursive: true })
  const go = goRunner(environment)
  const progress = startProgress('Building the control plane from Go modules (some minutes, once)')
  try {
    const build = ['-mod=readonly', '-trimpath', '-ldflags', linkerFlags(kubernetesVersion())]
    let seen = 0
    for (const [name, path] of Object.entries(PROGRAMS)) {
      await go(['build', '-v', ...build, '-o', join(partial, name), path], (line) => {
        progress.update(line.startsWith('go: ') ? line.slice('go: '.length) : `${++seen} packages, ${line}`)
      })
    }
    progress.update('Istio CRDs and kwok stages')
    copyFileSync(
      join(await moduleFolder(go, 'istio.io/api'), 'kubernetes/customresourcedefinitions.gen.yaml'),
      join(partial, 'istio-crds.yaml'),
    )
    copyStages(await moduleFolder(go, 'sigs.k8s.io/kwok'), join(partial, 'stages'))
    renameSync(partial, folder)
    progress.done()
  } catch (error) {
    progress.stop()
    rmSync(partial, { recursive: true, force: true })
    throw error
  }
}

type Go = (args: readonly string[], onLine?: (line: string) => void) => Promise<string>

/** A function that runs `go` in a module: what it wrote, each line of it to `onLine` as it comes. */
export function goRunner(environment: NodeJS.ProcessEnv, folder = MODULE_DIR): Go {
  const env = { ...environment, CGO_ENABLED: '0', GOWORK: 'off', GOOS: '', GOARCH: '' }
  return async (args, onLine) => {
    const child = spawn('go', args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const output: string[] = []
    const errors: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => output.push(line))
    createInterface({ input: child.stderr }).on('line', (line) => {
      errors.push(line)
      onLine?.(line)
    })
    const [code] = (await once(child, 'close')) as [number | null]
    if (code === 0) return output.join('\n')
    throw new Error(`go ${args[0]} failed in ${folder}:\n${errors.slice(-ERROR_LINES_SHOWN).join('\n')}`)
  }
}

async function moduleFolder(go: Go, path: string): Promise<string> {
  return (JSON.parse(await go(['mod', 'download', '-json', path])) as { Dir: string }).Dir
}

/** One flat folder, `pod-fast-pod-ready.yaml` and so on. Kustomizations are not stages. */
function copyStages(kwok: string, target: string): void {
  for (const folder of STAGE_FOLDERS) {
    const source = join(kwok, 'kustomize/stage', folder)
    const files = readdirSync(source).filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml')
    for (const file of files) copyFileSync(join(source, file), join(target, `${folder.replaceAll('/', '-')}-${file}`))
  }
}

/** Without a version in the binary clients cannot read the server's /version. */
function linkerFlags(version: string): string {
  const [major, minor] = version.slice(1).split('.')
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' }
  const flags = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((path) =>
    Object.entries(values).map(([name, value]) => `-X ${path}.${name}=${value}`),
  )
  return ['-s', '-w', ...flags].join(' ')
}
