/** `npm run check`: format, lint, types, unused code, shell scripts. Shows the output of what fails, and runs the rest all the same. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { startProgress } from '../local-cluster/setup/progress.mjs'
import { messageOf } from '../runtime/errors.ts'
import { findShellcheck } from './shellcheck.ts'

const ROOT = join(import.meta.dirname, '..')
const CHECKS = {
  format: { command: ['oxfmt', '--check'], hint: 'npm run format' },
  lint: { command: ['oxlint', '--deny-warnings', '--report-unused-disable-directives'], hint: 'npm run lint -- --fix' },
  types: { command: ['tsc', '-p', '.'], hint: undefined },
  'unused code': { command: ['knip'], hint: undefined },
  'shell scripts': { command: ['shellcheck', ...globSync('{scripts/*.sh,.ci/run}', { cwd: ROOT })], hint: undefined },
} satisfies Record<string, { readonly command: readonly [string, ...string[]]; readonly hint: string | undefined }>

for (const [name, { command, hint }] of Object.entries(CHECKS)) {
  const progress = startProgress(`Check: ${name}`, { quietMs: 500 })
  const { code, output } = await runTool(command)
  progress.stop()
  console.log(`${code === 0 ? '✔' : '✖'} ${name}`)
  if (code === 0) continue
  console.log(`${output.trimEnd()}\n${hint === undefined ? '' : `Many of these go away with "${hint}".\n`}`)
  process.exitCode = 1
}

/** Runs a program of node_modules/.bin, or shellcheck; output is standard output and error together. */
async function runTool([tool, ...args]: readonly [string, ...string[]]): Promise<{ code: number | null; output: string }> {
  const program =
    tool === 'shellcheck' ? await findShellcheck().catch((error: unknown) => messageOf(error)) : join(ROOT, 'node_modules', '.bin', tool)
  if (!existsSync(program)) return { code: 1, output: program }
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, output: output + errors }
}
