/**
 * A log file that is rotated by size, its backups bounded by number and age (spec 6). Where it cannot be written (a full or
 * read-only disk) the lines go to `fallback`, and the file is tried again later: logging never ends the process.
 */
import { basename, dirname, extname, join } from 'node:path'
import { Writable } from 'node:stream'
import { createStream, type RotatingFileStream } from 'rotating-file-stream'
import { backupName, removeOldBackups } from './backups.ts'

export interface RotationConfig {
  readonly file: string
  readonly maxSizeMB: number
  readonly maxBackups: number
  readonly maxAgeDays: number
  /** Gzip backups. */
  readonly compress: boolean
}

const RETRY_MS = 60_000
/** What may wait for a slow disk. */
const MAX_WAITING = 32 * 1024 * 1024

/** The file may pass its limit by one line; backups are `name-<UTC time>.log`. */
export function createRotatingFile(config: RotationConfig, fallback: Writable, retryMs = RETRY_MS): Writable {
  let file: RotatingFileStream | undefined
  let retryAt = 0

  function open(): RotatingFileStream {
    const { dir, name, extension } = partsOf(config.file)
    const opened = createStream(
      (time, index = 1) =>
        time instanceof Date ? backupName(name, extension, new Date(time.getTime() + index - 1), config.compress) : basename(config.file),
      { path: dir, size: `${config.maxSizeMB}M`, mode: 0o600, ...(config.compress ? { compress: 'gzip' } : {}) },
    )
    const clean = (): void => void removeOldBackups(config).catch((error: unknown) => complain('old log files are not removed', error))
    opened.on('open', clean)
    opened.on('rotated', clean)
    opened.on('error', (error) => giveUp(opened, error))
    return opened
  }

  function giveUp(failed: RotatingFileStream, error: unknown): void {
    if (file !== failed) return
    file = undefined
    retryAt = performance.now() + retryMs
    complain(`the log file fails, logging to stdout; next try in ${retryMs / 1000} s`, error)
    // what a failed rotation left behind takes the place that the next one needs
    void removeOldBackups(config).catch(() => {})
  }

  function complain(message: string, error: unknown): void {
    fallback.write(
      `${JSON.stringify({ level: 'error', message, file: config.file, error: String(error), timestamp: new Date().toISOString() })}\n`,
    )
  }

  return new Writable({
    decodeStrings: true,
    write(line: Buffer, _encoding, done) {
      if (file === undefined && performance.now() >= retryAt) file = open()
      const target = file
      if (target === undefined || target.writableLength > MAX_WAITING) fallback.write(line)
      else
        target.write(line, (error) => {
          if (error === null || error === undefined) return
          giveUp(target, error)
          fallback.write(line)
        })
      done()
    },
    final(done) {
      if (file === undefined) done()
      else file.end(() => done())
    },
  })
}

export function partsOf(file: string): { readonly dir: string; readonly name: string; readonly extension: string } {
  const extension = extname(file)
  return { dir: join(dirname(file), '/'), name: basename(file, extension), extension }
}
