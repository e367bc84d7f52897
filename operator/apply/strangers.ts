/**
 * Fields of `spec` that another manager added to one of our objects, read from managedFields
 * (https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management; format: structured-merge-diff, FieldsV1).
 */
import { isDeepStrictEqual } from 'node:util'
import { isJsonObject, type KubeObject, type ManagedFieldsEntry } from '../../runtime/object.ts'
import { FIELD_MANAGER } from '../api/slimeboot.ts'
import { escapePointer, listKeyOf } from './pointer.ts'

export interface StrangerField {
  /** JSON pointer into the live object. */
  readonly path: string
  readonly value: unknown
  readonly manager: string
}

/** `kubectl rollout restart` leaves this on purpose: taking it away would restart the pods a second time. */
const TOLERATED: ReadonlySet<string> = new Set(['/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt'])

/** Highest paths below `spec` that strangers own, the live object has and the desired one has not; status and scale apart. */
export function strangerPaths(desired: KubeObject, live: KubeObject): readonly StrangerField[] {
  const found = new Map<string, StrangerField>()
  for (const entry of live.metadata.managedFields ?? []) {
    if (!isStranger(entry)) continue
    const fields = entry.fieldsV1?.['f:spec']
    if (isJsonObject(fields)) collect(fields, desired['spec'], live['spec'], '/spec', entry.manager ?? 'unknown', found)
  }
  return [...found.values()]
}

export function isStranger(entry: ManagedFieldsEntry): boolean {
  return entry.manager !== FIELD_MANAGER && entry.subresource !== 'status' && entry.subresource !== 'scale'
}

function collect(
  fields: Readonly<Record<string, unknown>>,
  desired: unknown,
  live: unknown,
  path: string,
  manager: string,
  found: Map<string, StrangerField>,
): void {
  for (const [key, below] of Object.entries(fields)) {
    const step = follow(key, desired, live, path)
    if (step === undefined || TOLERATED.has(step.path)) continue
    const { path: at, live: value, desired: wanted } = step
    if (wanted === undefined) {
      // a map that only leads to what strangers own is reported at its deepest single branch, so that tolerated fields stay
      const inner = isJsonObject(below) && isJsonObject(value) && !('.' in below)
      if (inner) collect(below, undefined, value, at, manager, found)
      else found.set(at, { path: at, value, manager })
    } else if (isJsonObject(below)) collect(below, wanted, value, at, manager, found)
  }
}

/** Where `f:field`, `k:{…}` or `v:value` leads in the live and the desired object; undefined where the live object has nothing. */
function follow(key: string, desired: unknown, live: unknown, path: string): { path: string; desired: unknown; live: unknown } | undefined {
  const text = key.slice(2)
  if (key.startsWith('f:')) {
    if (!isJsonObject(live) || live[text] === undefined) return undefined
    return { path: `${path}/${escapePointer(text)}`, live: live[text], desired: isJsonObject(desired) ? desired[text] : undefined }
  }
  if (!Array.isArray(live)) return undefined
  const wanted: readonly unknown[] = Array.isArray(desired) ? (desired as unknown[]) : []
  if (key.startsWith('k:')) {
    const keys = parsed(text)
    if (!isJsonObject(keys)) return undefined
    const index = live.findIndex(
      (element) => isJsonObject(element) && Object.entries(keys).every(([name, value]) => isDeepStrictEqual(element[name], value)),
    )
    if (index < 0) return undefined
    const element: unknown = live[index]
    const name = listKeyOf(element, path)
    return { path: `${path}/${index}`, live: element, desired: wanted.find((other) => listKeyOf(other, path) === name) }
  }
  if (key.startsWith('v:')) {
    const value = parsed(text)
    const index = live.findIndex((element) => isDeepStrictEqual(element, value))
    if (index < 0) return undefined
    return { path: `${path}/${index}`, live: value, desired: wanted.find((other) => isDeepStrictEqual(other, value)) }
  }
  return undefined
}

/** Who may write an object may write its managedFields too: what is no JSON leads nowhere. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
