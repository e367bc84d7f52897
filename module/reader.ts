/** Reads values out of loosely typed JSON and collects everything that is wrong with them, so that all of it is told at once. */
import { messageOf } from '../runtime/errors.ts'
import { parseFlag, parseList, parseText } from './parse.ts'
import { type ModuleProblem, shown } from './problem.ts'

export interface Reader {
  /** The keys that are there, whatever they hold. */
  readonly keys: readonly string[]
  /** The place of a key in the whole: `general.maxIdle`. */
  readonly at: (key: string) => string
  /** Says what is wrong with a key. */
  readonly refuse: (key: string, text: string) => void
  readonly value: (key: string) => unknown
  readonly text: (fallback: string, key: string) => string
  readonly flag: (fallback: boolean, key: string) => boolean
  /** A list, or text separated by commas. */
  readonly list: (key: string) => readonly string[]
  /** The maps of a list. */
  readonly objects: (key: string) => readonly Reader[]
  readonly entries: () => readonly (readonly [string, Reader])[]
  /** Runs `parse` and takes what it throws as a problem with this key; absent, null and "" give the fallback. */
  readonly parsed: <Result>(fallback: Result, parse: (value: unknown) => Result, key: string) => Result
}

/** A reader of `data`, whose place in the whole is `place`; what is wrong goes to `problems`. */
export function readerOf(data: unknown, place: string, problems: ModuleProblem[]): Reader {
  const object = data ?? {}
  const isMap = typeof object === 'object' && !Array.isArray(object)
  if (!isMap) problems.push({ place, text: `must be an object, got ${shown(data)}` })
  const fields: Readonly<Record<string, unknown>> = isMap ? { ...object } : {}
  const placeOf = (key: string): string => `${place}${place === '' ? '' : '.'}${key}`
  const valueOf = (key: string): unknown => (Object.hasOwn(fields, key) && fields[key] !== '' ? (fields[key] ?? undefined) : undefined)

  function parsed<Result>(fallback: Result, parse: (value: unknown) => Result, key: string): Result {
    const value = valueOf(key)
    if (value === undefined) return fallback
    try {
      return parse(value)
    } catch (error) {
      problems.push({ place: placeOf(key), text: `${messageOf(error)}, got ${shown(value)}` })
      return fallback
    }
  }

  return {
    keys: Object.keys(fields),
    at: placeOf,
    refuse: (key, text) => void problems.push({ place: placeOf(key), text }),
    value: valueOf,
    text: (fallback, key) => parsed(fallback, parseText, key),
    flag: (fallback, key) => parsed(fallback, parseFlag, key),
    list: (key) => parsed<readonly string[]>([], parseList, key),
    objects: (key) =>
      parsed<readonly unknown[]>([], parseArray, key).map((item, index) => readerOf(item, `${placeOf(key)}[${index}]`, problems)),
    entries: () => Object.entries(fields).map(([key, value]) => [key, readerOf(value, placeOf(key), problems)] as const),
    parsed,
  }
}

function parseArray(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('must be a list')
  return value
}
