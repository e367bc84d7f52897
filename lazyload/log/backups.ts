/** Backups of a log file: their names, and which of them are too many or too old (spec 6, as lumberjack does it). */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { RotationConfig } from '../../module/config.ts'
import { partsOf } from './rotating-file.ts'

const DAY_MS = 24 * 3_600_000

/** `slime-2021-12-01T08-30-00.123.log`, with `.gz` when compressed; the time is UTC. */
export function backupName(name: string, extension: string, time: Date, compressed: boolean): string {
  return `${name}-${time.toISOString().slice(0, -1).replaceAll(':', '-')}${extension}${compressed ? '.gz' : ''}`
}

/** Deletes backups beyond the newest `maxBackups` and those older than `maxAgeDays`, by the time in their names; others' files stay. */
export async function removeOldBackups(
  config: Pick<RotationConfig, 'file' | 'maxBackups' | 'maxAgeDays'>,
  now = Date.now(),
): Promise<void> {
  const { dir, name, extension } = partsOf(config.file)
  const found = (await readdir(dir)).flatMap((file) => {
    const time = timeOf(file, name, extension)
    return time === undefined ? [] : [{ file, time }]
  })
  // a file and its .gz are one backup
  const times = [...new Set(found.map(({ time }) => time))].sort((a, b) => b - a)
  const kept = new Set(times.slice(0, config.maxBackups).filter((time) => now - time < config.maxAgeDays * DAY_MS))
  await Promise.all(found.filter(({ time }) => !kept.has(time)).map(async ({ file }) => await rm(join(dir, file), { force: true })))
}

function timeOf(file: string, name: string, extension: string): number | undefined {
  const plain = file.endsWith('.gz') ? file.slice(0, -3) : file
  if (!plain.startsWith(`${name}-`) || !plain.endsWith(extension)) return undefined
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/.exec(
    plain.slice(name.length + 1, extension === '' ? undefined : -extension.length),
  )
  return match === null ? undefined : Date.parse(`${match[1]}T${match[2]}:${match[3]}:${match[4]}Z`)
}
