/** A setting of a module: where it can be written, what it means, and who reads it. Settings are declared once, in settings.ts. */
import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '../runtime/errors.ts'
import { type ModuleProblem, shown } from './problem.ts'

/** Who acts on it: the operator, which renders objects; the program in the pod; or both. */
export type ReadBy = 'operator' | 'lazyload' | 'both'

export interface Setting<Value> {
  /** Paths in the module's JSON. All mean the same; the first is the one that documents use. */
  readonly places: readonly [string, ...string[]]
  /** Where nobody says anything. */
  readonly fallback: Value
  /** The fallback in words, for documents. */
  readonly standard: string
  /** Throws an Error that says what it must be. What is wrong inside of a structure goes to `problems`, with its own place. */
  readonly parse: (value: unknown, place: string, problems: ModuleProblem[]) => Value
  readonly readBy: ReadBy
  /** A sentence or two, for documents. */
  readonly means: string
}

/** What was found at a place. */
export interface Said {
  readonly place: string
  readonly value: unknown
}

/** Any mixture of them. */
export type Settings = Readonly<Record<string, Setting<any>>>
type ValueOf<One> = One extends Setting<infer Value> ? Value : never

export type ValuesOf<All> = { readonly [Name in keyof All]: ValueOf<All[Name]> }
/** Of the settings that the module writes, where it does. */
export type SaidOf<All> = { readonly [Name in keyof All]?: Said }

/** Declares a setting; `fallback` decides its type where `parse` alone does not. */
export function setting<Value>(declared: Setting<Value>): Setting<Value> {
  return declared
}

/** Reads all settings of `module`, any JSON. A setting that two places give two meanings is a problem. */
export function readSettings<All extends Settings>(
  all: All,
  module: unknown,
  problems: ModuleProblem[],
): { readonly values: ValuesOf<All>; readonly said: SaidOf<All> } {
  const values: Record<string, unknown> = {}
  const said: Record<string, Said> = {}
  for (const [name, each] of Object.entries<Setting<unknown>>(all)) {
    const found = each.places.flatMap((place) => {
      const value = valueAt(module, place)
      return value === undefined ? [] : [{ place, value, meaning: meaningOf(each, { place, value }, problems) }]
    })
    const [first] = found
    values[name] = first === undefined ? each.fallback : first.meaning
    if (first === undefined) continue
    said[name] = { place: first.place, value: first.value }
    const other = found.find(({ meaning }) => !isDeepStrictEqual(meaning, first.meaning))
    if (other !== undefined)
      problems.push({
        place: first.place,
        text: `is ${shown(first.value)} but ${other.place} is ${shown(other.value)}; write one of them`,
      })
  }
  return { values: values as ValuesOf<All>, said }
}

function meaningOf<Value>({ parse, fallback }: Setting<Value>, { place, value }: Said, problems: ModuleProblem[]): Value {
  try {
    return parse(value, place, problems)
  } catch (error) {
    problems.push({ place, text: `${messageOf(error)}, got ${shown(value)}` })
    return fallback
  }
}

/** What stands at a path such as `global.misc.aux-addr`. Null and "" count as absent. */
export function valueAt(module: unknown, place: string): unknown {
  let found: unknown = module
  for (const key of place.split('.')) {
    if (typeof found !== 'object' || found === null || Array.isArray(found) || !Object.hasOwn(found, key)) return undefined
    found = (found as Readonly<Record<string, unknown>>)[key]
  }
  return found === null || found === '' ? undefined : found
}
