/** Target namespaces: must exist and not be going before anything is written; made only when asked. */
import type { Client } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { NAMESPACE } from '../api/kinds.ts'
import { FIELD_MANAGER } from '../api/slimeboot.ts'
import { failureOf, ReconcileError } from '../apply/failure.ts'

/** From this many namespaces on one list (names only) is cheaper than a read of each. */
const LIST_FROM = 8

/** Throws ReconcileError that names all missing or terminating namespaces of `created` at once. */
export async function ensureNamespaces(client: Client, created: readonly KubeObject[], create: boolean): Promise<void> {
  const names = [...new Set(created.map((object) => object.metadata.namespace).filter((name) => name !== undefined))].sort()
  const live = await readNamespaces(client, names)
  const going = names.filter((name) => live.get(name)?.metadata.deletionTimestamp !== undefined)
  if (going.length > 0) {
    throw new ReconcileError('NamespaceTerminating', `Namespace ${going.join(', ')} is terminating. Wait until it is gone and create it anew, or take it from the SlimeBoot; nothing was applied.`, 'heals')
  }
  const missing = names.filter((name) => !live.has(name))
  if (missing.length === 0) return
  if (!create) {
    throw new ReconcileError('NamespaceMissing', `Namespace ${missing.join(', ')} does not exist. Create it, or set annotation config.netease.com/create-namespaces: "true" on the SlimeBoot; nothing was applied.`, 'heals')
  }
  for (const name of missing) {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
    try {
      await client.create(NAMESPACE, namespace, FIELD_MANAGER)
    } catch (error) {
      if (!hasCode(error, 409)) throw failureOf(error, 'apply', namespace)
    }
  }
}

async function readNamespaces(client: Client, names: readonly string[]): Promise<ReadonlyMap<string, KubeObject>> {
  try {
    if (names.length >= LIST_FROM) {
      const { items } = await client.list(NAMESPACE, { metadataOnly: true })
      return new Map(items.map((item) => [item.metadata.name, item]))
    }
    const read = await Promise.all(names.map((name) => client.get({ type: NAMESPACE, name })))
    return new Map(read.filter((item) => item !== undefined).map((item) => [item.metadata.name, item]))
  } catch (error) {
    throw failureOf(error, 'get', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: names.join(', ') } })
  }
}
