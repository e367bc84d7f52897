/** How the demo tells its story: chapters, steps with their duration, commands with what they said. */
import { elapsed, startProgress } from '../../local-cluster/setup/progress.mjs'
import { colour } from '../../operator/cli/text.ts'

/** On a terminal progress is shown at once, elsewhere only when it takes longer than this. */
const QUIET_MS = 2000
const NOTE_COLUMN = 52

let chapters = 0

/** `1 · Install` */
export function chapter(title: string): void {
  console.log(`\n${colour('bold', `${++chapters} · ${title}`)}`)
}

/** Shows progress while `work` goes on, then a line with its duration; resolves with its result. */
export async function step<Result>(label: string, work: Promise<Result>): Promise<Result> {
  const progress = startProgress(label, { quietMs: process.stderr.isTTY ? 0 : QUIET_MS })
  const from = Date.now()
  try {
    const result = await work
    progress.print(`${colour('green', '✔')} ${label} (${elapsed(Date.now() - from)})\n`)
    return result
  } finally {
    progress.stop()
  }
}

/** A command as one types it, and what it said. */
export function showCommand(command: string, said: string): void {
  console.log(`${colour('bold', `$ ${command}`)}\n${said.trimEnd()}`)
}

/** Lines of text with a note beside each. */
export function showNotes(lines: readonly (readonly [text: string, note: string])[]): void {
  for (const [text, note] of lines) console.log(`  ${text.padEnd(NOTE_COLUMN)}${colour('dim', note)}`)
}
