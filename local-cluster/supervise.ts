/**
 * Processes that never outlive the one that started them, not even when it is killed with `kill -9`.
 *
 * A shell of a few lines, the watchdog, holds the reading end of a pipe whose writing end only this process has. When this process
 * ends, however it ends, the pipe closes; the watchdog then kills every recorded process, with those that it started in its process
 * group, and removes the folder. A process is recorded before its program starts (the starting shell writes its own pid, then becomes
 * the program), and a shell that starts after the watchdog's `ended` mark leaves at once: so there is no moment in which a process
 * could be missed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

// $1 is the beginning of the folder's path. The watchdog makes the folder itself, so that there is none without a watchdog. Its owner
// may be gone before it can say where the folder is (PIPE).
const WATCHDOG = `
trap '' INT TERM HUP PIPE
cd / && dir=$(mktemp -d "$1-XXXXXXXX") || exit 1
mkdir "$dir/pids" && echo "$dir"
while read -r _; do :; done
: > "$dir/ended"
for round in 1 2 3 4 5; do
  for file in "$dir"/pids/*; do [ -f "$file" ] && pid=$(cat "$file") && kill -9 "-$pid" "$pid" 2>/dev/null; done
  rm -rf "$dir" && exit 0
  sleep 0.2
done
`
const STARTER = 'echo $$ > "$1/pids/$2" && [ ! -e "$1/ended" ] || exit 1; shift 2; exec "$@"'
const LOG_LINES_SHOWN = 15

export interface Command {
  readonly file: string
  readonly args: readonly string[]
}

/** One running (or ended) program. */
export interface Part {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  /** Exit code or signal once it has ended, else undefined. */
  readonly ended: () => string | undefined
  /** Ends it and waits until it is gone. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>
}

export interface Supervisor {
  /** The folder; gone when this process is. */
  readonly dir: string
  /** Starts a program with its output in `<dir>/<name>.log` (appended). */
  readonly start: (name: string, command: Command) => Part
  /** Kills everything and removes the folder; resolves when both are done. */
  readonly close: () => Promise<void>
}

/** Makes a new folder in the system's temporary folder, its name begins with `prefix`, and supervises the programs that run there. */
export async function createSupervisor(prefix: string): Promise<Supervisor> {
  // A session of its own: Ctrl-C in the terminal must not end the watchdog before its work is done.
  const args = ['-c', WATCHDOG, 'slimeboot-watchdog', join(realpathSync(tmpdir()), prefix)]
  const watchdog = spawn('/bin/sh', args, { detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
  const dir = await firstLine(watchdog.stdout)
  if (dir === undefined) throw new Error(`no folder ${prefix}-… can be made in ${tmpdir()}`)
  // Neither the watchdog nor the pipe keeps this process alive.
  watchdog.unref()
  for (const pipe of [watchdog.stdin, watchdog.stdout] as unknown as Socket[]) pipe.unref()
  const parts: Part[] = []
  return {
    dir,
    start: (name, command) => {
      const part = startPart(dir, name, command)
      parts.push(part)
      return part
    },
    close: async () => {
      await Promise.all(parts.map(async (part) => await part.stop()))
      if (watchdog.exitCode !== null || watchdog.signalCode !== null) return
      const gone = once(watchdog, 'exit')
      watchdog.ref()
      watchdog.stdin.end()
      await gone
    },
  }
}

function startPart(dir: string, name: string, command: Command): Part {
  const logFile = join(dir, `${name}.log`)
  const pidFile = join(dir, 'pids', name)
  const log = openSync(logFile, 'a', 0o600)
  const args = ['-c', STARTER, 'sh', dir, name, command.file, ...command.args]
  const child = spawn('/bin/sh', args, { detached: true, stdio: ['ignore', log, log], cwd: dir })
  closeSync(log)
  child.unref()
  let end: string | undefined
  const gone = new Promise<void>((resolve) => {
    const finish = (how: string) => {
      end = how
      rmSync(pidFile, { force: true }) // The number may soon belong to another process.
      resolve()
    }
    child.once('exit', (code, signal) => finish(signal ?? `exit code ${code}`))
    child.once('error', (error) => finish(error.message))
  })
  return {
    name,
    logFile,
    pid: child.pid ?? -1,
    ended: () => end,
    stop: async (signal = 'SIGKILL') => {
      if (end !== undefined) return
      child.ref()
      if (signal === 'SIGKILL') killGroup(child)
      else child.kill(signal)
      await gone
    },
  }
}

/** With what it started, which cannot be told any more when it is gone. A part leads a process group of its own. */
function killGroup(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

/** The error for a part that does not come up: its name, what happened, and the end of its log. */
export function partFailure(part: Part, problem: string): Error {
  return new Error(`${part.name} ${problem}. The last lines of its log:\n${logTail(part.logFile)}`)
}

/** The first line of a stream, undefined when it ends without one. */
async function firstLine(stream: Readable): Promise<string | undefined> {
  for await (const line of createInterface({ input: stream })) return line
  return undefined
}

function logTail(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  return lines
    .slice(-LOG_LINES_SHOWN)
    .map((line) => `  ${line.slice(0, 400)}`)
    .join('\n')
}
