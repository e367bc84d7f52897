/** The configuration of the program: the file that the operator mounts, read by module/. */
import { load } from 'js-yaml'
import { type ModuleConfig, readModule } from '../module/config.ts'
import { sentenceOf } from '../module/problem.ts'
import { messageOf } from '../runtime/errors.ts'
import { ConfigError } from './config-error.ts'
import { readModuleFile } from './config-file.ts'

export const CONFIG_FILE = '/etc/slime/config/cfg'

export interface LazyloadConfig extends ModuleConfig {
  /** Enabled modules of the same bundle that this program does not run. */
  readonly notRun: readonly string[]
}

/** Reads the file, and of a bundle the one of its lazyload item; a missing one gives the defaults. Throws ConfigError with every problem. */
export function loadConfig(file: string): LazyloadConfig {
  try {
    const found = readModuleFile(file)
    return read(found.module, found.file, found.notRun)
  } catch (error) {
    throw error instanceof ConfigError ? error : new ConfigError(`${file}: ${messageOf(error)}`, { cause: error })
  }
}

/** `text` is JSON or YAML; `file` is for messages. Throws ConfigError with every problem. */
export function parseConfig(text: string, file: string): LazyloadConfig {
  return read(load(text, { filename: file }), file)
}

function read(module: unknown, file: string, notRun: readonly string[] = []): LazyloadConfig {
  const { config, problems } = readModule(module)
  if (problems.length > 0) throw new ConfigError(`${file}: ${problems.map(sentenceOf).join('; ')}. Correct spec.module of the SlimeBoot.`)
  return { ...config, notRun }
}
