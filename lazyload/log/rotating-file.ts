/**
 * A log file that is rotated by size, its backups bounded by number and age (spec 6). Where it cannot be written (a full or
 * read-only disk) the lines go to `fallback`, and the file is tried again later: logging never ends the process.
 */
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { Writable } from 'node:stream'
import { createStream, type RotatingFileStream } from 'rotating-file-stream'
import type { RotationConfig } from '../../module/config.ts'
import { attempt, inBackground, listen } from '../../runtime/callbacks.ts'
import { panicked } from '../../runtime/panics.ts'
import { backupName, removeOldBackups } from './backups.ts'

const RETRY_MS = 60_000
/** What may wait for a slow disk. */
const MAX_WAITING = 32 * 1024 * 1024

/** A file that is open for appending. */
interface OpenFile {
  readonly stream: RotatingFileStream
  size: number
  /** What was written last; undefined: nothing yet. */
  last: Buffer | undefined
}

/** A line that would make the file larger than its limit starts a new one; backups are `name-<UTC time>.log`. */
export function createRotatingFile(config: RotationConfig, fallback: Writable, retryMs = RETRY_MS): Writable {
  const limit = config.maxSizeMB * 1024 * 1024
  let file: OpenFile | undefined
  let retryAt = 0
  let waiting = 0
  let pending: Promise<void> = Promise.resolve()

  function clean(): void {
    inBackground(
      config.file,
      removeOldBackups(config).catch((error: unknown) => complain('old log files are not removed', error)),
    )
  }

  async function open(): Promise<OpenFile> {
    const size = await sizeOf(config.file)
    const stream = await openStream(config)
    // what fails is told by the write that fails
    listen(stream, 'error', config.file, () => {}, 'log')
    clean()
    return { stream, size, last: undefined }
  }

  async function rotate({ stream }: OpenFile): Promise<OpenFile> {
    await ended(stream)
    // the library rotates a file that it finds as large as this
    await ended(await openStream(config, '1B'))
    return await open()
  }

  async function put(line: Buffer): Promise<void> {
    if ((file === undefined && performance.now() < retryAt) || line.length > limit) return void fallback.write(line)
    try {
      file ??= await open()
      if (isFull(file, line.length, limit)) file = await rotate(file)
      await written(file.stream, line)
      file.size += line.length
      file.last = line
    } catch (error) {
      await giveUp(error)
      fallback.write(line)
    }
  }

  async function giveUp(error: unknown): Promise<void> {
    const failed = file
    file = undefined
    failed?.stream.destroy()
    retryAt = performance.now() + retryMs
    complain(`the log file fails, logging to stdout; next try in ${retryMs / 1000} s`, error)
    // a disk that fills up takes a part of a line and calls that success
    if (failed?.last !== undefined && (await sizeOf(config.file).catch(() => 0)) < failed.size) fallback.write(failed.last)
    // what a failed rotation left behind takes the place that the next one needs
    removeOldBackups(config).catch(() => {})
  }

  function complain(message: string, error: unknown): void {
    fallback.write(
      `${JSON.stringify({ level: 'error', message, file: config.file, error: String(error), timestamp: new Date().toISOString() })}\n`,
    )
  }

  return new Writable({
    decodeStrings: true,
    // whoever logs never waits for the disk
    write(line: Buffer, _encoding, done) {
      if (waiting > MAX_WAITING) fallback.write(line)
      else {
        waiting += line.length
        pending = pending.then(async () => {
          try {
            await put(line)
          } catch (error) {
            panicked('log', config.file, error)
          }
          waiting -= line.length
        })
      }
      done()
    },
    final(done) {
      inBackground(
        config.file,
        pending.then(async () => {
          if (file !== undefined) await ended(file.stream)
          done()
        }),
      )
    },
  })
}

/** The first line must leave room in a file that was there before, as lumberjack has it (spec 6). */
function isFull({ size, last }: OpenFile, more: number, limit: number): boolean {
  return size > 0 && (last === undefined ? size + more >= limit : size + more > limit)
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
    throw error
  }
}

/** Resolves when the file is open, and rotated if it had `size`. Rejects with the error of the disk. */
async function openStream({ file, compress }: RotationConfig, size?: string): Promise<RotatingFileStream> {
  const { dir, name, extension } = partsOf(file)
  const stream = createStream(
    (time, index = 1) =>
      attempt(
        'log',
        file,
        () => (time instanceof Date ? backupName(name, extension, new Date(time.getTime() + index - 1), compress) : basename(file)),
        basename(file),
      ),
    { path: dir, mode: 0o600, ...(size === undefined ? {} : { size }), ...(compress ? { compress: 'gzip' } : {}) },
  )
  await once(stream, 'open')
  return stream
}

async function written(stream: RotatingFileStream, line: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(line, (error) => (error === null || error === undefined ? resolve() : reject(error)))
  })
}

async function ended(stream: RotatingFileStream): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.end(() => resolve())
  })
}

export function partsOf(file: string): { readonly dir: string; readonly name: string; readonly extension: string } {
  const extension = extname(file)
  return { dir: join(dirname(file), '/'), name: basename(file, extension), extension }
}
