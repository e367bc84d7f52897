/** What a benchmark found: rows of a table, each with what it is compared to and whether the target is reached. */
import { short } from './numbers.ts'

export interface Row {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** What it is compared to in the same run: the floor, the Helm operator, another state of the operator. */
  readonly reference?: { readonly name: string; readonly value: number }
  /** How `value` and `reference` are compared: times (the default), difference, or times less (how many times the reference is more). */
  readonly by?: 'ratio' | 'difference' | 'times less'
  /** Of the comparison, or of the value itself where there is no reference. Absent: only told. */
  readonly target?: { readonly most: number } | { readonly least: number }
}

export interface Bar {
  readonly group: string
  readonly unit: string
  readonly bars: readonly { readonly name: string; readonly value: number }[]
}

export interface Result {
  /** File name of the benchmark. */
  readonly name: string
  readonly title: string
  readonly rows: readonly Row[]
  /** For the chart. */
  readonly bars: readonly Bar[]
  readonly notes: readonly string[]
}

/** The number that is held against the target. */
export function compared({ value, reference, by = 'ratio' }: Row): number {
  if (reference === undefined) return value
  if (by === 'difference') return value - reference.value
  return by === 'ratio' ? value / reference.value : reference.value / value
}

/** Undefined where there is no target. */
export function isMet(row: Row): boolean | undefined {
  if (row.target === undefined) return undefined
  const number = compared(row)
  return 'most' in row.target ? number <= row.target.most : number >= row.target.least
}

const HEAD = ['measured', 'value', 'compared with', 'that is', 'target', '']

/** The cells of each row, as text. */
export function cellsOf(rows: readonly Row[]): readonly (readonly string[])[] {
  return rows.map((row) => {
    const { what, value, unit, reference, by = 'ratio', target } = row
    const suffix = reference === undefined ? ` ${unit}` : by === 'difference' ? ` ${unit}` : ' ×'
    const sign = by === 'difference' && compared(row) >= 0 ? '+' : ''
    const met = isMet(row)
    return [
      what,
      `${short(value)} ${unit}`,
      reference === undefined ? '' : `${reference.name} ${short(reference.value)} ${unit}`,
      reference === undefined ? '' : `${sign}${short(compared(row))}${suffix}${by === 'times less' ? ' less' : ''}`,
      target === undefined ? '' : 'most' in target ? `≤ ${short(target.most)}${suffix}` : `≥ ${short(target.least)}${suffix}`,
      met === undefined ? '' : met ? '✔' : '✘',
    ]
  })
}

/** For a terminal. */
export function textTable({ title, rows, notes }: Result): string {
  const lines = [HEAD, ...cellsOf(rows)]
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  const text = lines.map((line) => `  ${line.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd())
  return [title, ...text, ...notes.map((note) => `  ${note}`), ''].join('\n')
}

/** For a document. */
export function markdownTable(rows: readonly Row[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(HEAD), line(HEAD.map(() => '---')), ...cellsOf(rows).map(line)].join('\n')
}
