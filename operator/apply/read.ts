/** Reads objects that the cache does not hold, before they are written for the first time. */
import type { Client } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import { identityOf, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { typeOf } from '../api/kinds.ts'
import { failureOf } from './failure.ts'

/** From this many objects of one kind and name on (a global-sidecar in many namespaces) one list is cheaper than a read of each. */
const LIST_FROM = 5

/** The live objects among `objects`, by identity. Throws ReconcileError. */
export async function readObjects(client: Client, objects: readonly KubeObject[]): Promise<ReadonlyMap<string, KubeObject>> {
  const found = new Map<string, KubeObject>()
  const groups = Map.groupBy(objects, (object) => `${object.apiVersion} ${object.kind} ${object.metadata.name}`)
  await Promise.all(
    [...groups.values()].map(async (group) => {
      const first = group[0]!
      try {
        if (group.length >= LIST_FROM) {
          const { items } = await client.list(typeOf(first), { fieldSelector: `metadata.name=${first.metadata.name}` })
          for (const item of items) found.set(identityOf(item), item)
          return
        }
        for (const live of await Promise.all(group.map((object) => client.get(refOf(typeOf(object), object))))) if (live !== undefined) found.set(identityOf(live), live)
      } catch (error) {
        if (error instanceof ApiError && error.unknownKind) return
        throw failureOf(error, 'get', first)
      }
    }),
  )
  return found
}
