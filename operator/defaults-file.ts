/** The operator's defaults file: spec fields between the built-in defaults and each spec. */
import { readFile } from 'node:fs/promises'
import { InvalidArgumentError } from 'commander'
import { isJsonObject, type JsonObject } from '../runtime/object.ts'
import { parseGoYaml } from './spec/go-yaml.ts'

/** Undefined without a file. Throws InvalidArgumentError where it holds no map, and what reading and YAML report. */
export async function readDefaults(file: string | undefined): Promise<JsonObject | undefined> {
  if (file === undefined) return undefined
  const [document] = parseGoYaml(await readFile(file, 'utf8'), file)
  if (!isJsonObject(document)) throw new InvalidArgumentError(`${file}: must hold a map of spec fields.`)
  return document
}
