/** SlimeBoots from `-f FILE|-`, for the commands that work on a file. */
import { InvalidArgumentError, Option } from 'commander'
import type { KubeObject } from '../../runtime/object.ts'
import { API_VERSION, KIND } from '../api/slimeboot.ts'
import type { Warning } from '../spec/problems.ts'
import { readManifestFile } from '../spec/yaml-file.ts'

export const fileOption = (): Option =>
  new Option(
    '-f, --filename <file>',
    'file with the SlimeBoot, - for standard input; read exactly as kubectl reads it',
  ).makeOptionMandatory()
export const namespaceOption = (): Option =>
  new Option('-n, --namespace <namespace>', 'namespace of a SlimeBoot that names none').default('default')
export const defaultsOption = (): Option =>
  new Option('--defaults <file>', "YAML of spec fields between the built-in defaults and the spec: the operator's --defaults")

/** The SlimeBoots of a file, in order; other kinds are left out. Throws when there is none. */
export async function readBoots(file: string, namespace: string): Promise<readonly KubeObject[]> {
  const objects = await readManifestFile(file)
  const boots = objects.filter((object) => object.kind === KIND && object.apiVersion === API_VERSION)
  if (boots.length === 0) {
    const kinds = [...new Set(objects.map((object) => `${object.kind} (${object.apiVersion})`))].join(', ') || 'nothing'
    throw new InvalidArgumentError(`${file === '-' ? 'standard input' : file} holds no ${KIND} (${API_VERSION}), but ${kinds}.`)
  }
  return boots.map((boot) => (boot.metadata.namespace === undefined ? { ...boot, metadata: { ...boot.metadata, namespace } } : boot))
}

export function printWarnings(boot: KubeObject, warnings: readonly Warning[]): void {
  for (const { reason, message } of warnings)
    process.stderr.write(`warning: ${KIND}/${boot.metadata.namespace}/${boot.metadata.name}: ${reason}: ${message}\n`)
}
