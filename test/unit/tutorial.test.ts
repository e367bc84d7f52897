/** The tutorial in its two languages; its commands are executed by ../mesh/tutorial.test.ts. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { load, loadAll } from 'js-yaml'
import { prints, readTutorial, TUTORIALS } from '../helpers/tutorial.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const en = readTutorial(TUTORIALS.en)
const zh = readTutorial(TUTORIALS.zh)

test('both languages have the same commands, the same outputs and the same chapters', () => {
  const plain = ({ steps }: typeof en) => steps.map(({ commands, prints: shown }) => ({ commands, shown }))
  assert.deepEqual(plain(zh), plain(en))
  const level = (heading: string): number => heading.indexOf(' ')
  assert.deepEqual(zh.headings.map(level), en.headings.map(level))
  assert.deepEqual(
    zh.blocks.map(({ info }) => info),
    en.blocks.map(({ info }) => info),
  )
})

test('a block is commands, which a test executes, what they print, or YAML', () => {
  assert.deepEqual([...new Set(en.blocks.map(({ info }) => info))].sort(), ['sh', 'text', 'yaml'])
  assert.ok(en.steps.length > 45, String(en.steps.length))
})

test('every block of output belongs to commands', () => {
  for (const { blocks } of [en, zh])
    for (const [index, { info, line }] of blocks.entries()) if (info === 'text') assert.equal(blocks[index - 1]?.info, 'sh', `line ${line}`)
})

test('what it shows of a SlimeBoot, a fence or a Service is in the samples', () => {
  const samples = globSync('samples/*.yaml', { cwd: ROOT }).flatMap((file) => loadAll(readFileSync(join(ROOT, file), 'utf8')))
  for (const { blocks } of [en, zh])
    for (const { text, line } of blocks.filter(({ info }) => info === 'yaml'))
      assert.ok(
        samples.some((sample) => has(sample, load(text))),
        `the yaml of line ${line} is in no sample`,
      )
})

test('its links lead somewhere', () => {
  for (const [language, file] of Object.entries(TUTORIALS)) {
    for (const link of readTutorial(file).links) {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? file : join(dirname(file), path)
      assert.ok(existsSync(target), `${language}: ${link}`)
      if (anchor !== undefined) assert.ok(readTutorial(target).headings.map(anchorOf).includes(anchor), `${language}: ${link}`)
    }
  }
})

for (const [title, shown, printed, same] of [
  ['… is any text within a line', 'pod-…   1/1', 'pod-7f9-x2 1/1', true],
  ['… is no end of a line', 'pod-… 1/1', 'pod-7f9\nx 1/1', false],
  ['… alone is any lines', 'a\n…\nz', 'a\nb\nc\nz\n', true],
  ['… alone is no line, too', 'a\n…\nz', 'a\nz', true],
  ['a line too many differs', 'a\nz', 'a\nb\nz', false],
  ['signs of patterns are signs', 'a.b|c', 'axb', false],
  ['the number of spaces is of no matter', 'NAME   AGE', 'NAME AGE   ', true],
  ['nothing is shown of what prints nothing', '', 'error', false],
] as const) {
  test(`how outputs are compared: ${title}`, () => assert.equal(prints(shown, printed), same))
}

/** Whether everything in `part` is in `whole`; of a list, in some item. */
function has(whole: unknown, part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return whole === part
  if (typeof whole !== 'object' || whole === null) return false
  if (Array.isArray(part)) return Array.isArray(whole) && part.every((item) => whole.some((each) => has(each, item)))
  return Object.entries(part).every(([key, value]) => has((whole as Record<string, unknown>)[key], value))
}

/** As GitHub makes it. */
function anchorOf(heading: string): string {
  return heading
    .replace(/^#+ /, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
