/** Target namespaces: must exist and not be going before anything is written; made only when asked. */
import type { Client } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { NAMESPACE } from '../api/kinds.ts'
import { FIELD_MANAGER } from '../api/slimeboot.ts'
import { failureOf, ReconcileError } from '../apply/failure.ts'

/** From this many namespaces on one list (names only) is cheaper than a read of each. */
const LIST_FROM = 8

export interface NamespaceState {
  readonly missing: readonly string[]
  readonly terminating: readonly string[]
}

/** How the namespaces of `objects` stand. Throws ReconcileError where they cannot be read. */
export async function namespaceState(client: Client, objects: readonly KubeObject[]): Promise<NamespaceState> {
  const names = [...new Set(objects.map((object) => object.metadata.namespace).filter((name) => name !== undefined))].sort()
  const live = await readNamespaces(client, names)
  return {
    missing: names.filter((name) => !live.has(name)),
    terminating: names.filter((name) => live.get(name)?.metadata.deletionTimestamp !== undefined),
  }
}

/** What keeps objects from being created there, one problem for each namespace; a missing namespace is none when it is to be created. */
export function namespaceProblems({ missing, terminating }: NamespaceState, create: boolean): readonly NamespaceProblem[] {
  return [
    ...terminating.map((namespace) => ({
      namespace,
      problem: new ReconcileError(
        'NamespaceTerminating',
        `Namespace ${namespace} is terminating. Wait until it is gone and create it anew, or take it from the SlimeBoot.`,
        'heals',
      ),
    })),
    ...(create ? [] : missing).map((namespace) => ({
      namespace,
      problem: new ReconcileError(
        'NamespaceMissing',
        `Namespace ${namespace} does not exist. Create it, or set annotation config.netease.com/create-namespaces: "true" on the SlimeBoot.`,
        'heals',
      ),
    })),
  ]
}

/** What stands against objects in one namespace. */
export interface NamespaceProblem {
  /** Empty for what stands against a cluster-scoped object. */
  readonly namespace: string
  readonly problem: ReconcileError
}

/** One that exists already is as good. Returns what was refused. */
export async function createNamespaces(client: Client, names: readonly string[]): Promise<readonly NamespaceProblem[]> {
  const refused: NamespaceProblem[] = []
  for (const name of names) {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
    try {
      await client.create(NAMESPACE, namespace, FIELD_MANAGER)
    } catch (error) {
      if (!hasCode(error, 409)) refused.push({ namespace: name, problem: failureOf(error, 'apply', namespace) })
    }
  }
  return refused
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
