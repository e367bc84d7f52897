/** The locked dependencies: installed with `npm ci` when node_modules does not match package-lock.json. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startProgress } from './progress.mjs'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LOCK_FILE = join(ROOT, 'package-lock.json')
const MODULES = join(ROOT, 'node_modules')
/** Holds the hash of the lock file that node_modules was last seen to match. */
const STAMP_FILE = join(MODULES, '.slimeboot-lock-hash')

/** Makes node_modules match the lock file. Says nothing when it does already. */
export async function ensureDependencies() {
  const lock = readFileSync(LOCK_FILE, 'utf8')
  const hash = createHash('sha256').update(lock).digest('hex')
  if (existsSync(STAMP_FILE) && readFileSync(STAMP_FILE, 'utf8') === hash) return
  if (!installedMatches(lock)) await install()
  writeFileSync(STAMP_FILE, hash)
}

/**
 * Whether npm's own record of what is installed has every package of the lock file at its version. Optional ones (binaries for
 * other platforms) may be absent. So a plain `npm install` of a developer counts too.
 * @param {string} lock
 */
function installedMatches(lock) {
  const record = join(MODULES, '.package-lock.json')
  if (!existsSync(record)) return false
  const wanted = packagesOf(lock)
  const installed = packagesOf(readFileSync(record, 'utf8'))
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true
    const found = installed[path]
    return found === undefined ? optional === true : found.version === version
  })
}

/**
 * @param {string} lock
 * @returns {Record<string, { version?: string, optional?: boolean }>}
 */
function packagesOf(lock) {
  return JSON.parse(lock).packages ?? {}
}

/** @returns {Promise<void>} */
async function install() {
  const progress = startProgress('Installing the locked dependencies (npm ci)')
  const npm = process.env['npm_execpath']
  const [file, ...args] = npm === undefined ? ['npm'] : [process.execPath, npm]
  // Even where NODE_ENV=production would leave out the tools.
  const child = spawn(file, [...args, 'ci', '--include=dev', '--no-audit', '--no-fund'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const problem = await new Promise((resolve) => {
    child.once('error', (error) => resolve(`${file} cannot be started: ${error.message}. Install Node with npm (https://nodejs.org).`))
    child.once('close', (code) => resolve(code === 0 ? undefined : `exit code ${code}`))
  })
  if (problem === undefined) return progress.done()
  progress.stop()
  throw new Error(`Installing the dependencies failed (${problem}).\n${output.trimEnd()}`)
}
