/** Wormhole ports as a module writes them: `auto`, or a list of numbers, `auto`, and numbers with `-` that are left out. Pure. */
import { parsePort } from './parse.ts'
import { type ModuleProblem, shown } from './problem.ts'

export interface PortChoice {
  /** Beside those of the list, every HTTP port of the Services of the mesh. */
  readonly auto: boolean
  /** Each once, in their order. */
  readonly listed: readonly number[]
  /** Never served, wherever they come from. */
  readonly excluded: readonly number[]
}

export const NO_PORTS: PortChoice = { auto: false, listed: [], excluded: [] }
export const AUTO = 'auto'

/** What an entry of the list means: a number, a negative one to leave out, `auto`; undefined for anything else. */
export function parsePortEntry(entry: unknown): number | typeof AUTO | undefined {
  if (isAuto(entry)) return AUTO
  if (typeof entry === 'string' && entry.startsWith('-')) {
    const excluded = parsePort(entry.slice(1))
    return excluded === undefined ? undefined : -excluded
  }
  if (typeof entry === 'number' && entry < 0) return parsePort(-entry) === undefined ? undefined : entry
  return parsePort(entry)
}

/** The entries of a value; undefined where it is neither `auto` nor a list. */
export function portEntries(value: unknown): readonly unknown[] | undefined {
  return isAuto(value) ? [value] : Array.isArray(value) ? (value as readonly unknown[]) : undefined
}

export function parsePorts(value: unknown, place: string, problems: ModuleProblem[]): PortChoice {
  const entries = portEntries(value)
  if (entries === undefined) throw new Error('must be auto or a list of ports')
  const [listed, excluded] = [new Set<number>(), new Set<number>()]
  let auto = false
  for (const [index, entry] of entries.entries()) {
    const port = parsePortEntry(entry)
    if (port === undefined) problems.push({ place: `${place}[${index}]`, text: wrongPort(entry) })
    else if (port === AUTO) auto = true
    else if (port < 0) excluded.add(-port)
    else listed.add(port)
  }
  return { auto, listed: [...listed].filter((port) => !excluded.has(port)), excluded: [...excluded] }
}

/** What is said of an entry that is none. */
export function wrongPort(entry: unknown): string {
  return `must be a port from 1 to 65535, got ${shown(entry)}. Write the number of a Service port, for example "9080"`
}

function isAuto(value: unknown): boolean {
  return typeof value === 'string' && value.toLowerCase() === AUTO
}
