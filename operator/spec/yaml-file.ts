/** `-f FILE|-`: Kubernetes objects from a file or from standard input, read as kubectl reads them (go-yaml.ts). */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'

import { isJsonObject, type Json, type KubeObject } from '../../runtime/object.ts'
import { parseGoYaml, YamlError } from './go-yaml.ts'
import { show } from './problems.ts'

export { YamlError } from './go-yaml.ts'

/** Objects of a file in order, Lists taken apart. `-` reads `input`. Throws YamlError naming file, and line or document. */
export async function readManifestFile(file: string, input: NodeJS.ReadableStream = process.stdin): Promise<KubeObject[]> {
  if (file === '-') return parseManifests(await text(input), 'standard input')
  return parseManifests(await readText(file), file)
}

/** The same for text that is already here; `name` stands in messages. */
export function parseManifests(source: string, name: string): KubeObject[] {
  const documents = parseGoYaml(source, name)
  const where = (index: number): string => (documents.length > 1 ? `${name}, document ${index + 1}` : name)
  return documents.flatMap((document, index) => (document === null ? [] : objectsOf(document, where(index))))
}

function objectsOf(document: Json, where: string): KubeObject[] {
  if (!isJsonObject(document)) throw new YamlError(`${where}: must be a Kubernetes object, got ${show(document)}`)
  const { apiVersion, kind, items } = document
  for (const [key, value] of Object.entries({ apiVersion, kind })) {
    if (typeof value !== 'string' || value === '') throw new YamlError(`${where}: ${key} must be text, got ${show(value)}`)
  }
  if (Array.isArray(items) && typeof kind === 'string' && kind.endsWith('List')) {
    return (items as readonly Json[]).flatMap((item, index) => objectsOf(item, `${where}: items[${index}]`))
  }
  const { metadata } = document
  if (!isJsonObject(metadata)) throw new YamlError(`${where}: metadata must be a map, got ${show(metadata)}`)
  const { name, namespace } = metadata
  if (typeof name !== 'string' || name === '') throw new YamlError(`${where}: metadata.name must be text, got ${show(name)}`)
  if (namespace !== undefined && typeof namespace !== 'string')
    throw new YamlError(`${where}: metadata.namespace must be text, got ${show(namespace)}`)
  return [document as unknown as KubeObject]
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const why = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'is a folder; name a file in it' : (error as Error).message
    throw new YamlError(`${file}: ${why}`, { cause: error })
  }
}
