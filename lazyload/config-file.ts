/**
 * The files that the operator mounts: `cfg` is the module, or a bundle that lists its modules by name; their own files are
 * `cfg_<name>` beside it (spec 6, 8). Of a bundle this program runs the one module of kind lazyload.
 */
import { readFileSync } from 'node:fs'
import { load } from 'js-yaml'
import { chooseItem, withBundle } from '../module/bundle.ts'
import { isBundle } from '../module/element.ts'
import { sentenceOf } from '../module/problem.ts'
import { ConfigError } from './config-error.ts'

export interface ModuleFile {
  /** As it is written; that of a bundle with the bundle's `global` below its own. */
  readonly module: unknown
  /** Where it was read. */
  readonly file: string
  /** Enabled modules of the bundle that another program would have to run. */
  readonly notRun: readonly string[]
}

/** Reads JSON or YAML; a missing `file` is an empty module. Throws ConfigError, and what reading and parsing throw. */
export function readModuleFile(file: string): ModuleFile {
  const main = read(file) ?? {}
  if (!isBundle(main)) return { module: main, file, notRun: [] }
  const bundle = main as Readonly<Record<string, unknown>>
  const { item, notRun, problems } = chooseItem(bundle, (name) => read(`${file}_${name}`))
  if (item === undefined)
    throw new ConfigError(`${file}: ${problems.map(sentenceOf).join('; ')}. The module of each name is beside it, as ${file}_<name>.`)
  return { module: withBundle(item, bundle), file: `${file}_${item.name}`, notRun }
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
