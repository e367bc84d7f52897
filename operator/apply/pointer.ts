/** Ways into an object: JSON pointers (RFC 6901) and the merge keys of associative lists. */
import { isJsonObject } from '../../runtime/object.ts'

/** A key as a part of a JSON pointer. */
export function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The merge key of an element as the API's list-map keys say: containers, env and volumes by name, ports by number and protocol, mounts by path. */
export function listKeyOf(element: unknown, path: string): string | undefined {
  if (!isJsonObject(element)) return undefined
  const list = path.slice(path.lastIndexOf('/') + 1)
  if (list === 'ports') {
    const port = element['containerPort'] ?? element['port']
    const protocol = element['protocol'] ?? 'TCP'
    return typeof port === 'number' && typeof protocol === 'string' ? `${port}/${protocol}` : undefined
  }
  const key = list === 'volumeMounts' ? element['mountPath'] : element['name']
  return typeof key === 'string' ? key : undefined
}
