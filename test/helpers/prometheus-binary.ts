/** The program prometheus: from PATH, else Debian's package unpacked into the user's cache folder, once, without installing it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { cacheFolder } from '../../local-cluster/binaries.ts'
import { withLock } from '../../local-cluster/lock.ts'
import { startProgress } from '../../local-cluster/setup/progress.mjs'

const IN_PACKAGE = 'usr/bin/prometheus'
const REMEDY =
  'Install Prometheus: "apt-get install prometheus" (Debian, Ubuntu), or the program of https://prometheus.io/download/ in PATH.'

/** Its path. Throws an Error with the command that installs it where it cannot be had. */
export async function findPrometheus(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const installed = (environment['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'prometheus'))
  const found = installed.find(isProgram)
  if (found !== undefined) return found
  const folder = join(cacheFolder(environment), `prometheus-${process.platform}-${process.arch}`)
  const program = join(folder, IN_PACKAGE)
  if (existsSync(program)) return program
  await withLock(`${folder}.lock`, async () => {
    if (!existsSync(program)) await unpackPackage(folder, environment)
  })
  return program
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Downloads and unpacks beside `folder` and renames: it is either complete or not there. */
async function unpackPackage(folder: string, environment: NodeJS.ProcessEnv): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true })
  const partial = mkdtempSync(`${folder}.partial-`)
  const progress = startProgress('Fetching Prometheus (once)')
  try {
    await download(partial, environment, progress.update)
    const file = readdirSync(partial).find((name) => name.endsWith('.deb'))
    if (file === undefined) throw new Error('apt-get left no package')
    progress.update('unpacking')
    await run('dpkg-deb', ['-x', file, '.'], partial, environment)
    rmSync(join(partial, file))
    renameSync(partial, folder)
    progress.done()
  } catch (error) {
    progress.stop()
    throw new Error(
      `The tests need Prometheus, and it is not here yet: ${error instanceof Error ? error.message : String(error)}\n${REMEDY}`,
      {
        cause: error,
      },
    )
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}

/** With the system's lists of packages; where they are empty or old with lists of our own, so that nothing of the system changes. */
async function download(folder: string, environment: NodeJS.ProcessEnv, say: (text: string) => void): Promise<void> {
  try {
    say('downloading')
    await run('apt-get', ['download', 'prometheus'], folder, environment)
  } catch {
    say('updating a list of packages')
    const state = join(folder, 'apt')
    for (const part of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(state, part), { recursive: true })
    const own = ['-o', `Dir::State::lists=${join(state, 'lists')}`, '-o', `Dir::Cache=${join(state, 'cache')}`]
    await run('apt-get', [...own, 'update'], folder, environment)
    say('downloading')
    await run('apt-get', [...own, 'download', 'prometheus'], folder, environment)
    rmSync(state, { recursive: true, force: true })
  }
}

async function run(file: string, args: readonly string[], cwd: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(file, args, { cwd, env: environment, stdio: ['ignore', 'ignore', 'pipe'] })
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close') as Promise<[number | null]>])
  if (code !== 0) throw new Error(`${file} ${args.at(-2)} ${args.at(-1)}: ${said.trim().split('\n').slice(-3).join(' ')}`)
}
