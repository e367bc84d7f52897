/**
 * The tutorial as its reader sees it: commands in blocks marked `sh`, what they print in blocks marked `text`. In what they print `…`
 * stands for any text within a line, and for any number of lines where it is a line; runs of spaces are one space. A block of commands
 * without a block of text after it prints nothing.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const DOCS = join(import.meta.dirname, '..', '..', 'docs')
export const TUTORIALS = { en: join(DOCS, 'tutorial.md'), zh: join(DOCS, 'tutorial.zh.md') } as const
const ELISION = '…'

export interface Block {
  /** The heading that it is under. */
  readonly heading: string
  /** What is behind the fence: `sh`, `text`, `yaml`. */
  readonly info: string
  readonly text: string
  readonly line: number
}

export interface Step {
  readonly heading: string
  readonly commands: string
  /** With elisions; empty: nothing. */
  readonly prints: string
  readonly line: number
}

export interface Tutorial {
  /** `## Title` and so on, in order. */
  readonly headings: readonly string[]
  readonly blocks: readonly Block[]
  readonly steps: readonly Step[]
  /** Targets of its links and pictures, without those to the web. */
  readonly links: readonly string[]
}

export function readTutorial(file: string): Tutorial {
  const text = readFileSync(file, 'utf8')
  const headings: string[] = []
  const blocks: Block[] = []
  let open: { info: string; lines: string[]; line: number } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (open === undefined) {
      if (/^#+ /.test(line)) headings.push(line)
      else if (line.startsWith('```')) open = { info: line.slice(3), lines: [], line: index + 1 }
    } else if (line === '```') {
      blocks.push({ heading: headings.at(-1) ?? '', info: open.info, text: open.lines.join('\n'), line: open.line })
      open = undefined
    } else open.lines.push(line)
  }
  const steps = blocks.flatMap(({ heading, info, text: commands, line }, index) => {
    if (info !== 'sh') return []
    const next = blocks[index + 1]
    return [{ heading, commands, prints: next?.info === 'text' ? next.text : '', line }]
  })
  const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target).filter((target) => !target.startsWith('http'))
  return { headings, blocks, steps, links }
}

/** Whether the commands printed this, as the elisions allow. */
export function prints(expected: string, actual: string): boolean {
  const wanted = linesOf(expected).map((line) => (line.trim() === ELISION ? undefined : linePattern(line)))
  // For each wanted line the counts of printed lines that it and those before it can take.
  let taken = new Set([0])
  const printed = linesOf(actual)
  for (const pattern of wanted) {
    if (pattern === undefined) {
      const least = Math.min(...taken)
      taken = new Set(Array.from({ length: printed.length - least + 1 }, (_, more) => least + more))
    } else taken = new Set([...taken].filter((count) => pattern.test(printed[count] ?? '\n')).map((count) => count + 1))
    if (taken.size === 0) return false
  }
  return taken.has(printed.length)
}

function linesOf(text: string): readonly string[] {
  return text.trim() === '' ? [] : text.trim().split('\n')
}

function linePattern(line: string): RegExp {
  const words = line.trimEnd().split(/( +|…)/)
  const parts = words.map((word) => (word === ELISION ? '.*' : word.trim() === '' && word !== '' ? ' +' : escaped(word)))
  return new RegExp(`^${parts.join('')} *$`)
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
