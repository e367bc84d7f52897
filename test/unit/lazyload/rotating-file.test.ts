/** The log file: rotated by size, bounded backups, and back to stdout where it cannot be written (spec 6). */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { backupName, removeOldBackups } from '../../../lazyload/log/backups.ts'
import { createRotatingFile } from '../../../lazyload/log/rotating-file.ts'
import type { RotationConfig } from '../../../module/config.ts'
import { eventually } from '../../helpers/eventually.ts'

const root = mkdtempSync(join(tmpdir(), 'rotating-'))
after(() => rmSync(root, { recursive: true }))

let count = 0
function configOf(extra: Partial<RotationConfig> = {}): RotationConfig {
  return { file: join(root, String(count++), 'log', 'slime.log'), maxSizeMB: 1, maxBackups: 3, maxAgeDays: 10, compress: true, ...extra }
}

function memory(): { readonly stream: Writable; readonly text: () => string } {
  const chunks: string[] = []
  return { stream: new Writable({ write: (chunk, _, done) => (chunks.push(String(chunk)), done()) }), text: () => chunks.join('') }
}

async function finish(stream: Writable): Promise<void> {
  await new Promise<void>((resolve) => stream.end(resolve))
}

/** `size` bytes with the number in front. */
const line = (number: number, size = 300_000): string => `${number} ${'x'.repeat(size - String(number).length - 2)}\n`
const folder = (config: RotationConfig): string => join(config.file, '..')

test('makes folder and file for its owner only, and goes on where the file ended', async () => {
  const config = configOf()
  for (const entry of ['one\n', 'two\n']) {
    const file = createRotatingFile(config, memory().stream)
    file.write(entry)
    await finish(file)
  }
  assert.equal(readFileSync(config.file, 'utf8'), 'one\ntwo\n')
  assert.equal(statSync(config.file).mode & 0o777, 0o600)
})

test('rotates at the limit: named by time in UTC, compressed, no line lost, the oldest gone', async () => {
  const config = configOf({ maxBackups: 2 })
  const out = memory()
  const file = createRotatingFile(config, out.stream)
  for (let number = 0; number < 18; number++) {
    file.write(line(number))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await finish(file)
  await eventually(() => assert.equal(readdirSync(folder(config)).length, 3))
  const backups = readdirSync(folder(config))
    .filter((name) => name !== 'slime.log')
    .sort()
  for (const name of backups) assert.match(name, /^slime-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log\.gz$/)
  const all = [
    ...backups.map((name) => gunzipSync(readFileSync(join(folder(config), name))).toString()),
    readFileSync(config.file, 'utf8'),
  ].join('')
  const numbers = all
    .split('\n')
    .filter((each) => each !== '')
    .map((each) => Number(each.split(' ')[0]))
  assert.deepEqual(
    numbers,
    Array.from({ length: numbers.length }, (_, index) => 18 - numbers.length + index),
  )
  assert.ok(numbers.length >= 8, `only ${numbers.length} lines are left`)
  assert.equal(out.text(), '')
})

const MIB = 1024 * 1024
const sizes = (config: RotationConfig): readonly number[] =>
  readdirSync(folder(config))
    .sort()
    .map((name) => statSync(join(folder(config), name)).size)

test('a line that would pass the limit starts a new file; one that just fits does not', async () => {
  const config = configOf({ compress: false })
  const file = createRotatingFile(config, memory().stream)
  for (const size of [MIB - 10, 10, 1000, MIB - 1000, 3]) {
    file.write(line(1, size))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await finish(file)
  assert.deepEqual(sizes(config), [MIB, MIB, 3])
})

test('a file that the first line would fill to the limit is left as it was', async () => {
  const config = configOf({ compress: false })
  mkdirSync(folder(config), { recursive: true })
  writeFileSync(config.file, 'x'.repeat(MIB - 10))
  const file = createRotatingFile(config, memory().stream)
  file.write(line(1, 10))
  await finish(file)
  assert.deepEqual(sizes(config), [MIB - 10, 10])
})

test('a line that is longer than a whole file goes to stdout, the next one to the file', async () => {
  const config = configOf()
  const out = memory()
  const file = createRotatingFile(config, out.stream)
  for (const entry of ['before\n', line(1, MIB + 1), 'after\n']) file.write(entry)
  await finish(file)
  assert.equal(readFileSync(config.file, 'utf8'), 'before\nafter\n')
  assert.ok(out.text().length > MIB)
})

test('without compression the backups are plain', async () => {
  const config = configOf({ compress: false })
  const file = createRotatingFile(config, memory().stream)
  for (let number = 0; number < 5; number++) file.write(line(number))
  await finish(file)
  assert.equal(readdirSync(folder(config)).filter((name) => /^slime-.*\.log$/.test(name)).length, 1)
})

test('backups go by the time in their names; a file and its .gz are one; others stay', async () => {
  const config = configOf({ maxBackups: 2 })
  mkdirSync(folder(config), { recursive: true })
  const now = Date.parse('2026-03-10T12:00:00Z')
  const at = (days: number, compressed: boolean): string => backupName('slime', '.log', new Date(now - days * 24 * 3_600_000), compressed)
  const names = [
    at(1, true),
    at(1, false),
    at(2, true),
    at(3, false),
    at(11, true),
    'slime.log',
    'slime-mine.log',
    'other-2026-03-01T00-00-00.000.log',
  ]
  for (const name of names) writeFileSync(join(folder(config), name), '')
  await removeOldBackups(config, now)
  assert.deepEqual(
    readdirSync(folder(config)).sort(),
    [at(1, true), at(1, false), at(2, true), 'slime.log', 'slime-mine.log', 'other-2026-03-01T00-00-00.000.log'].sort(),
  )
  await removeOldBackups({ ...config, maxAgeDays: 1 }, now)
  assert.equal(readdirSync(folder(config)).filter((name) => name.startsWith('slime-2026')).length, 0)
})

test('a place that cannot be written sends the lines to stdout, tells it once, and is tried again', async () => {
  const config = configOf()
  const blocked = join(folder(config), '..')
  mkdirSync(blocked, { recursive: true })
  writeFileSync(folder(config), 'a file where the folder should be')
  const out = memory()
  const file = createRotatingFile(config, out.stream, 50)
  file.write('first\n')
  await eventually(() => assert.match(out.text(), /first/))
  assert.match(out.text(), /the log file fails, logging to stdout/)
  rmSync(folder(config))
  await new Promise((resolve) => setTimeout(resolve, 80))
  file.write('second\n')
  await eventually(() => assert.equal(readFileSync(config.file, 'utf8'), 'second\n'))
  await finish(file)
})

test('what a full disk refuses is on stdout: no line is lost, the process goes on', async () => {
  const config = configOf()
  const script = `
    import { createLogger } from ${JSON.stringify(join(import.meta.dirname, '../../../lazyload/log/logger.ts'))}
    const logger = createLogger({ level: 'info', rotate: ${JSON.stringify(config)} }, 'text')
    for (let number = 0; number < 400; number++) {
      logger.info('line ' + number)
      await new Promise(setImmediate)
    }
    logger.on('finish', () => setTimeout(() => console.log('ended well'), 100))
    logger.end()`
  // a file may have 4 KiB: the next write fails as it does when the disk is full
  const child = spawn('bash', ['-c', 'ulimit -f 4 && exec "$0" --input-type=module -e "$1"', process.execPath, script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  assert.equal(code, 0)
  const numbers = [readFileSync(config.file, 'utf8'), out]
    .join('\n')
    .split('\n')
    .flatMap((each) => /line (\d+)$/.exec(each)?.[1] ?? [])
  assert.deepEqual(new Set(numbers), new Set(Array.from({ length: 400 }, (_, number) => String(number))))
  assert.match(out, /the log file fails, logging to stdout.*EFBIG/)
  assert.match(out, /ended well/)
})
