/**
 * Difference: what a live object lacks of the desired one, and what it has that nobody asked for.
 * Mesh objects, ConfigMaps and bindings must be exactly as desired; other kinds must contain it, since the API server adds defaults.
 */
import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, type KubeObject } from '../../runtime/object.ts'
import { escapePointer, listKeyOf } from './pointer.ts'
import { sameQuantity } from '../../runtime/quantity.ts'
import { strangerPaths } from './strangers.ts'

export interface Difference {
  /** JSON pointer (RFC 6901) into the live object. */
  readonly path: string
  /** `missing`: absent or another value, an apply mends it. `extra`: to be removed, an apply leaves it. */
  readonly type: 'missing' | 'extra'
  readonly desired?: unknown
  readonly live?: unknown
}

/** Sections that must be exactly as desired, by kind. */
const EXACT: Readonly<Record<string, readonly string[]>> = {
  EnvoyFilter: ['spec'],
  Sidecar: ['spec'],
  DestinationRule: ['spec'],
  ConfigMap: ['data', 'binaryData'],
  ClusterRoleBinding: ['subjects', 'roleRef'],
  RoleBinding: ['subjects', 'roleRef'],
}
/** Kinds whose owners may add fields: image pull secrets of a ServiceAccount are the administrator's. */
const OPEN: ReadonlySet<string> = new Set(['ServiceAccount'])
const IDENTITY: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'status'])

/** Empty when `live` is what an apply of `desired` would give. */
export function differences(desired: KubeObject, live: KubeObject): readonly Difference[] {
  const found: Difference[] = []
  const exact = EXACT[desired.kind]
  for (const part of ['labels', 'annotations'] as const)
    contain(desired.metadata[part] ?? {}, live.metadata[part] ?? {}, `/metadata/${part}`, found)
  if (exact !== undefined) {
    for (const section of exact) {
      const wanted = desired[section]
      const actual = live[section]
      if (isDeepStrictEqual(wanted, actual) || (isEmpty(wanted) && isEmpty(actual))) continue
      const lacking: Difference[] = []
      if (!isEmpty(wanted)) contain(wanted, actual, `/${section}`, lacking)
      // nothing lacks, so something is too much: the whole section is replaced
      if (lacking.length === 0) found.push({ path: `/${section}`, type: 'extra', desired: wanted, live: actual })
      else found.push(...lacking)
    }
    return found
  }
  for (const [section, wanted] of Object.entries(desired)) if (!IDENTITY.has(section)) contain(wanted, live[section], `/${section}`, found)
  if (!OPEN.has(desired.kind)) for (const { path, value } of strangerPaths(desired, live)) found.push({ path, type: 'extra', live: value })
  return found
}

function contain(desired: unknown, live: unknown, path: string, found: Difference[]): void {
  if (isEmpty(desired) && isEmpty(live)) return
  if (Array.isArray(desired) && Array.isArray(live)) return containList(desired, live, path, found)
  if (isJsonObject(desired) && isJsonObject(live)) {
    for (const [key, value] of Object.entries(desired)) contain(value, live[key], `${path}/${escapePointer(key)}`, found)
    return
  }
  if (isDeepStrictEqual(desired, live)) return
  if (isQuantityPath(path) && sameQuantity(desired, live)) return
  found.push({ path, type: 'missing', desired, live })
}

function containList(desired: readonly unknown[], live: readonly unknown[], path: string, found: Difference[]): void {
  const positions = matchByKey(desired, live, path)
  if (positions === undefined) {
    if (desired.length === live.length) return desired.forEach((value, index) => contain(value, live[index], `${path}/${index}`, found))
    found.push({ path, type: 'missing', desired, live })
    return
  }
  desired.forEach((value, index) => {
    const at = positions[index]!
    if (at < 0) found.push({ path: `${path}/-`, type: 'missing', desired: value })
    else contain(value, live[at], `${path}/${at}`, found)
  })
}

/** Position in `live` of each desired element of an associative list (-1: absent), or undefined for a plain list. */
function matchByKey(desired: readonly unknown[], live: readonly unknown[], path: string): readonly number[] | undefined {
  const keys = desired.map((element) => listKeyOf(element, path))
  if (keys.includes(undefined) || new Set(keys).size !== keys.length) return undefined
  const liveKeys = live.map((element) => listKeyOf(element, path))
  return keys.map((key) => liveKeys.indexOf(key))
}

/** Null, empty text, empty list and empty map are what the API server stores as absent. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function isQuantityPath(path: string): boolean {
  return /\/(limits|requests|overhead)\/[^/]+$|\/sizeLimit$/.test(path)
}
