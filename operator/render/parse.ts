/** Rendered text -> object: read as YAML that knows JSON's types only, then checked to be an object that the API server can address. */
import { JSON_SCHEMA, load, YAMLException } from 'js-yaml'
import { isJsonObject, type KubeObject } from '../../runtime/object.ts'
import { RenderError } from './render-error.ts'

/** Kinds of ours that have no namespace. */
const CLUSTER_SCOPED = new Set(['ClusterRoleBinding'])
/** https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const SEE_RAW = 'See the text with "slimeboot template -f boot.yaml --raw".'

/** The object that `text`, rendered from the template `file`, holds. Throws RenderError. */
export function parseManifest(file: string, text: string): KubeObject {
  const object = parseYaml(file, text)
  const fault = identityFault(object)
  if (fault !== undefined) throw new RenderError(file, undefined, `${fault}. ${SEE_RAW}`)
  return object as KubeObject
}

function parseYaml(file: string, text: string): unknown {
  try {
    return load(text, { schema: JSON_SCHEMA })
  } catch (error) {
    if (!(error instanceof YAMLException))
      throw new RenderError(file, undefined, `${(error as Error).message}. ${SEE_RAW}`, { cause: error })
    const place = error.mark === undefined ? 'the rendered text' : `line ${error.mark.line + 1} of the rendered text`
    throw new RenderError(file, undefined, `${place} is not YAML: ${error.reason}. ${SEE_RAW}`, { cause: error })
  }
}

function identityFault(object: unknown): string | undefined {
  if (!isJsonObject(object)) return 'the rendered text is not one object'
  const { apiVersion, kind, metadata } = object
  if (typeof apiVersion !== 'string' || apiVersion === '') return 'apiVersion is missing'
  if (typeof kind !== 'string' || kind === '') return 'kind is missing'
  if (!isJsonObject(metadata)) return 'metadata is missing'
  const { name, namespace } = metadata
  if (!isName(name, DNS_SUBDOMAIN, 253)) return `metadata.name ${JSON.stringify(name)} is not a DNS name`
  if (CLUSTER_SCOPED.has(kind)) return namespace === undefined ? undefined : `${kind} has no namespace, got ${JSON.stringify(namespace)}`
  if (!isName(namespace, DNS_LABEL, 63))
    return `metadata.namespace ${JSON.stringify(namespace)} of ${kind}/${name as string} is not a DNS label`
  return undefined
}

function isName(value: unknown, pattern: RegExp, longest: number): boolean {
  return typeof value === 'string' && value.length <= longest && pattern.test(value)
}
