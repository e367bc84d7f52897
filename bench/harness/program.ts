/** A program under measurement: a process of its own that ends with the cluster, known by the JSON lines that it logs. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { partFailure, type Part } from '../../local-cluster/supervise.ts'
import { type Program as BundledProgram, writeBundle } from '../../tools/build.ts'
import type { Stage } from './stage.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const POLL_MS = 10
const LOG_LIMIT_MS = 60_000

export interface Program {
  readonly pid: number
  /** When the process was started, milliseconds since 1970. */
  readonly startedAt: number
  /** The first line that it logged with this message. Throws when none comes within a minute. */
  readonly logged: (message: string) => Promise<LogLine>
  /** Holds it still while `work` makes what it shall find all at once; returns the time at which it went on. */
  readonly hold: (work: () => Promise<void>) => Promise<Date>
  readonly stop: () => Promise<void>
}

export interface LogLine {
  readonly message: string
  readonly timestamp: string
  readonly port?: number
  readonly ports?: readonly number[]
}

export interface ProgramOptions {
  /** File name of a module that Node runs. */
  readonly file: string
  readonly args: readonly string[]
  /** `NAME=value` */
  readonly env?: readonly string[]
  readonly nodeArgs?: readonly string[]
}

let count = 0

export function startProgram({ cluster }: Pick<Stage, 'cluster'>, name: string, options: ProgramOptions): Program {
  const { file, args, env = [], nodeArgs: before = [] } = options
  const startedAt = Date.now()
  const command = { file: '/usr/bin/env', args: [...env, process.execPath, ...before, file, ...args] }
  const part = cluster.supervise(`${name}-${count++}`, command)
  return {
    pid: part.pid,
    startedAt,
    logged: async (message) => await findLine(part, message),
    hold: async (work) => {
      process.kill(part.pid, 'SIGSTOP')
      try {
        await work()
      } finally {
        process.kill(part.pid, 'SIGCONT')
      }
      return new Date()
    },
    stop: async () => await part.stop('SIGTERM'),
  }
}

const built = new Map<BundledProgram, Promise<void>>()

/** The bundle that ships; built once in a run. */
export async function bundleOf(program: BundledProgram): Promise<string> {
  const file = join(ROOT, 'dist', program)
  const building = built.get(program) ?? writeBundle(program, file)
  built.set(program, building)
  await building
  return file
}

/** Node's options in the image (what ships is what is measured), and those of `BENCH_NODE_ARGS="--cpu-prof --cpu-prof-dir=/tmp/profile"`. */
export function nodeArgs(): readonly string[] {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  const entrypoint = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfile)?.[1] ?? '[]'
  const options = [/^ENV NODE_OPTIONS=(.*)$/m.exec(dockerfile)?.[1], process.env['BENCH_NODE_ARGS']]
  return [
    ...(JSON.parse(entrypoint) as string[]).slice(1, -1),
    ...options.flatMap((text) => text?.split(' ').filter((arg) => arg !== '') ?? []),
  ]
}

async function findLine(part: Part, message: string): Promise<LogLine> {
  const deadline = performance.now() + LOG_LIMIT_MS
  for (;;) {
    const found = readFileSync(part.logFile, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as LogLine)
      .find((line) => line.message === message)
    if (found !== undefined) return found
    const end = part.ended()
    if (end !== undefined) throw partFailure(part, `ended (${end})`)
    if (performance.now() > deadline) throw partFailure(part, `did not log "${message}"`)
    await sleep(POLL_MS)
  }
}
