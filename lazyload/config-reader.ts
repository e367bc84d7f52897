/** Reads values out of loosely typed JSON and collects everything that is wrong with them, so that all of it is told at once. */
import { messageOf } from '../runtime/errors.ts'

export interface ConfigReader {
  readonly problems: string[]
  /** Places of keys that nobody has asked for so far. */
  unread(): readonly string[]
  /** The place of a key in the whole: `general.maxIdle`. */
  at(key: string): string
  /** The section at a path, empty where it is absent or null. */
  section(path: string): ConfigReader
  /** The first of these keys that is there; a problem when two of them are there and differ. */
  value(...keys: readonly string[]): unknown
  text(fallback: string, ...keys: readonly string[]): string
  /** Boolean, or text: on, off, yes, no, true, false. */
  flag<Fallback extends boolean | undefined>(fallback: Fallback, ...keys: readonly string[]): boolean | Fallback
  /** Whole and positive; 0 and "" count as absent (spec 6). */
  count(fallback: number, ...keys: readonly string[]): number
  /** `10s`, `5m`, `24h`: milliseconds. */
  duration<Fallback extends number | undefined>(fallback: Fallback, ...keys: readonly string[]): number | Fallback
  /** One of the words in `choices`, which maps spellings to meanings. */
  choice<Meaning>(choices: ReadonlyMap<string, Meaning>, fallback: Meaning, ...keys: readonly string[]): Meaning
  /** A list, or text separated by commas. */
  list(...keys: readonly string[]): readonly string[]
  objects(...keys: readonly string[]): readonly ConfigReader[]
  entries(): readonly (readonly [string, ConfigReader])[]
  /** Runs `read` and takes what it throws as a problem with this key. */
  parsed<Result>(fallback: Result, read: (value: unknown) => Result, ...keys: readonly string[]): Result
}

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ...['true', 'on', 'yes'].map((word) => [word, true] as const),
  ...['false', 'off', 'no'].map((word) => [word, false] as const),
])
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

/** A reader of `data`, whose place in the whole is `path`. */
export function readConfig(data: unknown, path = '', problems: string[] = []): ConfigReader {
  const object = data ?? {}
  if (typeof object !== 'object' || Array.isArray(object))
    problems.push(`${path || 'the configuration'} must be an object, got ${show(data)}`)
  const fields = typeof object === 'object' && !Array.isArray(object) ? (object as Readonly<Record<string, unknown>>) : {}
  const asked = new Set<string>()
  const pathOf = (key: string): string => `${path}${path === '' ? '' : '.'}${key}`

  function find(keys: readonly string[]): { readonly key: string; readonly value: unknown } | undefined {
    for (const key of keys) asked.add(key)
    const [first, ...others] = keys.filter((key) => fields[key] !== undefined && fields[key] !== null && fields[key] !== '')
    if (first === undefined) return undefined
    for (const other of others)
      if (String(fields[other]) !== String(fields[first]))
        problems.push(`${pathOf(first)} is ${show(fields[first])} but ${pathOf(other)} is ${show(fields[other])}; write one of them`)
    return { key: first, value: fields[first] }
  }

  function parsed<Result>(fallback: Result, read: (value: unknown) => Result, ...keys: readonly string[]): Result {
    const found = find(keys)
    if (found === undefined) return fallback
    try {
      return read(found.value)
    } catch (error) {
      problems.push(`${pathOf(found.key)} ${messageOf(error)}, got ${show(found.value)}`)
      return fallback
    }
  }

  return {
    problems,
    at: pathOf,
    unread: () =>
      Object.keys(fields)
        .filter((key) => !asked.has(key))
        .map(pathOf),
    parsed,
    section: (key) => readConfig(fields[key], pathOf(key), problems),
    value: (...keys) => find(keys)?.value,
    text: (fallback, ...keys) => parsed(fallback, readText, ...keys),
    flag: (fallback, ...keys) => parsed<boolean | typeof fallback>(fallback, readFlag, ...keys),
    count: (fallback, ...keys) => parsed(fallback, (value) => (Number(value) === 0 ? fallback : readCount(value)), ...keys),
    duration: (fallback, ...keys) => parsed<number | typeof fallback>(fallback, readDuration, ...keys),
    choice: (choices, fallback, ...keys) => parsed(fallback, (value) => readChoice(choices, value), ...keys),
    list: (...keys) => parsed<readonly string[]>([], readList, ...keys),
    objects: (...keys) =>
      parsed<readonly unknown[]>([], readArray, ...keys).map((item, index) => readConfig(item, `${pathOf(keys[0]!)}[${index}]`, problems)),
    entries: () => Object.entries(fields).map(([key, value]) => [key, readConfig(value, pathOf(key), problems)] as const),
  }
}

function readText(value: unknown): string {
  if (typeof value === 'object') throw new Error('must be text')
  return `${value as string | number | boolean}`
}

function readFlag(value: unknown): boolean {
  const flag = typeof value === 'boolean' ? value : FLAGS.get(String(value).toLowerCase())
  if (flag === undefined) throw new Error('must be true or false')
  return flag
}

function readCount(value: unknown): number {
  const count = Number(value)
  if (!Number.isInteger(count) || count < 1) throw new Error('must be a whole number greater than 0')
  return count
}

/** `10s`, `5m`, `24h`: milliseconds. Throws an Error that says how to write it. */
export function readDuration(value: unknown): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(String(value))
  const duration = Number(match?.[1]) * UNITS[match?.[2] as keyof typeof UNITS]
  if (!(duration > 0)) throw new Error('must be a duration such as 30s, 5m or 24h')
  return duration
}

/** YAML 1.1 makes booleans of `no`, `off` and `on`; a number may be the number of an enum. */
function readChoice<Meaning>(choices: ReadonlyMap<string, Meaning>, value: unknown): Meaning {
  const meaning = choices.get(String(value).toLowerCase())
  if (meaning === undefined) throw new Error(`must be one of ${[...choices.keys()].join(', ')}`)
  return meaning
}

function readList(value: unknown): readonly string[] {
  const items = Array.isArray(value) ? value.map(readText) : readText(value).split(',')
  return items.map((item) => item.trim()).filter((item) => item !== '')
}

function readArray(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('must be a list')
  return value
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
