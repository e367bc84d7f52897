/** Bundles: one process for several modules. Of these the lazyload program runs the one that is enabled and of kind lazyload. */
import { isEnabled, isLazyload } from './element.ts'
import type { ModuleProblem } from './problem.ts'
import { shown } from './problem.ts'

type JsonMap = Readonly<Record<string, unknown>>

export interface BundleItem {
  readonly name: string
  /** As it is written. */
  readonly module: JsonMap
}

export interface Choice {
  /** The one that runs; undefined where `problems` says why none does. */
  readonly item: BundleItem | undefined
  /** Names of enabled ones that another program would have to run. */
  readonly notRun: readonly string[]
  /** Places are in the bundle. */
  readonly problems: readonly ModuleProblem[]
}

const ITEM_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?$/

/** Chooses among the modules that `bundle.modules` names; `find` gives one by its name, undefined where there is none. */
export function chooseItem(bundle: JsonMap, find: (name: string) => unknown): Choice {
  const problems: ModuleProblem[] = []
  const items = namesOf(bundle, problems).flatMap(({ name, place }): BundleItem[] => {
    const module = find(name)
    if (isMap(module)) return [{ name, module }]
    problems.push({ place, text: module === undefined ? `is ${shown(name)}, and there is no such module` : `must name an object` })
    return []
  })
  const enabled = items.filter(({ module }) => isEnabled(module))
  const ours = enabled.filter(({ module }) => isLazyload(module))
  const [item] = ours
  if (problems.length === 0 && item === undefined)
    problems.push({ place: 'bundle.modules', text: 'names no enabled module of kind lazyload' })
  if (ours.length > 1)
    problems.push({
      place: 'bundle.modules',
      text: `names several modules of kind lazyload: ${ours.map(({ name }) => name).join(', ')}; one process runs one`,
    })
  return {
    item: problems.length > 0 ? undefined : item,
    notRun: enabled.filter((other) => other !== item).map(({ name }) => name),
    problems,
  }
}

/** An item as its process sees it: the bundle's `global` stands for what the item's does not say. */
export function withBundle({ name, module }: BundleItem, bundle: JsonMap): JsonMap {
  return { ...module, name, global: merged(bundle['global'], module['global']) }
}

function namesOf(bundle: JsonMap, problems: ModuleProblem[]): readonly { readonly name: string; readonly place: string }[] {
  const section = bundle['bundle']
  const modules: unknown = isMap(section) ? section['modules'] : undefined
  return (Array.isArray(modules) ? (modules as readonly unknown[]) : []).flatMap((module, index) => {
    const place = `bundle.modules[${index}].name`
    const name = isMap(module) ? module['name'] : undefined
    if (typeof name === 'string' && ITEM_NAME.test(name)) return [{ name, place }]
    problems.push({ place, text: `must be the name of a module, got ${shown(name)}` })
    return []
  })
}

/** Maps key by key, everything else from `over` where that says something. */
function merged(base: unknown, over: unknown): unknown {
  if (over === undefined || over === null) return base
  if (!isMap(base) || !isMap(over)) return over
  return Object.fromEntries([...new Set([...Object.keys(base), ...Object.keys(over)])].map((key) => [key, merged(base[key], over[key])]))
}

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
