/** Node 24 from the npm package `node`: it runs TypeScript sources as they are, whatever Node the machine has. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ROOT } from './dependencies.mjs'

const BIN = join(ROOT, 'node_modules', '.bin')
const PINNED_NODE = join(BIN, 'node')
const FORWARDED = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])

/**
 * Runs a script of this checkout and resolves with its exit code (128 + the signal's number when a signal ended it).
 * @param {string} script path from the root of the checkout
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
export async function runWithPinnedNode(script, args) {
  const env = {
    ...process.env,
    PATH: `${BIN}${delimiter}${process.env['PATH'] ?? ''}`,
    SLIMEBOOT_PARENT_PID: String(process.pid),
  }
  const preload = new URL('end-with-parent.mjs', import.meta.url).href
  const child = spawn(pinnedNode(), ['--import', preload, join(ROOT, script), ...args], { stdio: 'inherit', env })
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      // Ctrl-C in a terminal reaches the child by itself.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? 128 + signalNumber(signal)))
  })
}

function pinnedNode() {
  if (existsSync(PINNED_NODE)) return PINNED_NODE
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  throw new Error(
    [
      `Node 24 is missing: the install script of the npm package "node" did not run, and this is Node ${process.versions.node}.`,
      'Run "npm rebuild node --ignore-scripts=false" here, or use Node 24 or newer (https://nodejs.org), and try again.',
    ].join('\n'),
  )
}

/** @param {NodeJS.Signals | null} signal */
function signalNumber(signal) {
  return { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[String(signal)] ?? 1
}
