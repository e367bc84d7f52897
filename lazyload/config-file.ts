/**
 * The files that the operator mounts: `cfg` is the module, or a bundle that lists its modules by name; their own files are
 * `cfg_<name>` beside it (spec 6, 8). Of a bundle this program runs the one module of kind lazyload.
 */
import { readFileSync } from 'node:fs'
import { load } from 'js-yaml'
import { ConfigError } from './config-error.ts'

type JsonMap = Readonly<Record<string, unknown>>

export interface ModuleFile {
  /** As it is written; that of a bundle with the bundle's `global` below its own. */
  readonly module: unknown
  /** Where it was read. */
  readonly file: string
  /** Enabled modules of the bundle that another program would have to run. */
  readonly notRun: readonly string[]
}

interface Item {
  readonly name: string
  readonly file: string
  readonly module: JsonMap
}

const ITEM_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?$/

/** Reads JSON or YAML; a missing `file` is an empty module. Throws ConfigError, and what reading and parsing throw. */
export function readModuleFile(file: string): ModuleFile {
  const main = read(file) ?? {}
  if (!isMap(main) || !isMap(main['bundle'])) return { module: main, file, notRun: [] }
  const items = namesOf(main['bundle'], file).map((name) => readItem(name, file))
  const enabled = items.filter(({ module }) => isEnabled(module))
  const ours = enabled.filter(({ module }) => isLazyload(module))
  const [item] = ours
  if (item === undefined) throw new ConfigError(`${file}: bundle.modules names no enabled module of kind lazyload`)
  if (ours.length > 1)
    throw new ConfigError(
      `${file}: bundle.modules names several modules of kind lazyload: ${ours.map(({ name }) => name).join(', ')}; one process runs one`,
    )
  const global = merged(main['global'], item.module['global'])
  return {
    module: { ...item.module, name: item.name, global },
    file: item.file,
    notRun: enabled.filter((other) => other !== item).map(({ name }) => name),
  }
}

function namesOf(bundle: JsonMap, file: string): readonly string[] {
  const modules = Array.isArray(bundle['modules']) ? (bundle['modules'] as readonly unknown[]) : []
  return modules.map((module, index) => {
    const name = isMap(module) ? module['name'] : undefined
    if (typeof name === 'string' && ITEM_NAME.test(name)) return name
    throw new ConfigError(`${file}: bundle.modules[${index}].name must be the name of a module, got ${JSON.stringify(name)}`)
  })
}

function readItem(name: string, main: string): Item {
  const file = `${main}_${name}`
  const module = read(file)
  if (module === undefined) throw new ConfigError(`${file}, which bundle.modules names, is not there`)
  if (!isMap(module)) throw new ConfigError(`${file}: the configuration must be an object`)
  return { name, file, module }
}

/** Undefined where there is no such file. */
function read(file: string): unknown {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  return load(text, { filename: file })
}

function isEnabled({ enable, fence }: JsonMap): boolean {
  return (enable ?? (isMap(fence) ? fence['enable'] : undefined)) === true
}

/** As the operator tells them apart: it says so, it has a fence, or it does not say that it is anything else. */
function isLazyload({ kind, fence, limiter, plugin }: JsonMap): boolean {
  if (kind !== undefined && kind !== null) return kind === 'lazyload'
  return isMap(fence) || (limiter === undefined && plugin === undefined)
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
