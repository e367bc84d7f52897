/** Reads objects that the cache does not hold, before they are written for the first time, with as few requests as they need. */
import type { Client } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import { identityOf, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { typeOf } from '../api/kinds.ts'
import { failureOf } from './failure.ts'

/** From this many objects of one kind and name on (a global-sidecar in many namespaces) one list is cheaper than a read of each. */
const NAMED_FROM = 5
/** From this many objects of one kind in one namespace on the names there are listed first; most are not there. */
const LISTED_FROM = 2
const LISTED_LIMIT = 500

/** The live objects among `objects`, by identity. Throws ReconcileError. */
export async function readObjects(client: Client, objects: readonly KubeObject[]): Promise<ReadonlyMap<string, KubeObject>> {
  const found = new Map<string, KubeObject>()
  const named = Map.groupBy(objects, (object) => `${object.apiVersion} ${object.kind} ${object.metadata.name}`)
  const spread = [...named.values()].filter((group) => group.length >= NAMED_FROM)
  const rest = [...named.values()].filter((group) => group.length < NAMED_FROM).flat()
  const placed = [...Map.groupBy(rest, (object) => `${object.apiVersion} ${object.kind} ${object.metadata.namespace ?? ''}`).values()]
  await Promise.all([
    ...spread.map((group) => guarded(group, () => byName(group))),
    ...placed.map((group) => guarded(group, () => byPlace(group))),
  ])
  return found

  async function byName(group: readonly KubeObject[]): Promise<void> {
    const first = group[0]!
    const { items } = await client.list(typeOf(first), { fieldSelector: `metadata.name=${first.metadata.name}` })
    for (const item of items) found.set(identityOf(item), item)
  }

  async function byPlace(group: readonly KubeObject[]): Promise<void> {
    const there = group.length >= LISTED_FROM && group[0]!.metadata.namespace !== undefined ? await thoseThere(group) : group
    const live = await Promise.all(there.map((object) => client.get(refOf(typeOf(object), object))))
    for (const object of live) if (object !== undefined) found.set(identityOf(object), object)
  }

  async function thoseThere(group: readonly KubeObject[]): Promise<readonly KubeObject[]> {
    const { items } = await client.list(typeOf(group[0]!), {
      namespace: group[0]!.metadata.namespace,
      metadataOnly: true,
      limit: LISTED_LIMIT,
    })
    if (items.length >= LISTED_LIMIT) return group
    const names = new Set(items.map((item) => item.metadata.name))
    return group.filter((object) => names.has(object.metadata.name))
  }
}

/** A kind that the server does not know has no objects. */
async function guarded(group: readonly KubeObject[], read: () => Promise<void>): Promise<void> {
  try {
    await read()
  } catch (error) {
    if (error instanceof ApiError && error.unknownKind) return
    throw failureOf(error, 'get', group[0]!)
  }
}
