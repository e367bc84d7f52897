/** Bindings that are stale, but that the pods of a module still work with until its Deployment has rolled out. */
import { objectId, type KubeObject } from '../../runtime/object.ts'

export interface RightsInUse {
  readonly bindings: readonly KubeObject[]
  /** `Deployment/namespace/name`, sorted. */
  readonly by: readonly string[]
}

/** Those of `stale` whose ServiceAccount a Deployment of `staying` runs under: of the same name and namespace, as modules are rendered. */
export function rightsInUse(stale: readonly KubeObject[], staying: readonly KubeObject[]): RightsInUse {
  const rolling = new Map(staying.filter(hasEarlierPods).map((each) => [`${each.metadata.namespace}/${each.metadata.name}`, each]))
  const users = (binding: KubeObject): readonly KubeObject[] => accountsOf(binding).flatMap((account) => rolling.get(account) ?? [])
  const bindings = stale.filter((object) => users(object).length > 0)
  return { bindings, by: [...new Set(bindings.flatMap(users).map(objectId))].sort() }
}

/** ServiceAccounts, as `namespace/name`; none of what is no binding. */
function accountsOf({ kind, ...object }: KubeObject): readonly string[] {
  if (kind !== 'ClusterRoleBinding' && kind !== 'RoleBinding') return []
  const subjects = (object['subjects'] ?? []) as readonly { readonly kind?: string; readonly name?: string; readonly namespace?: string }[]
  return subjects.filter((subject) => subject.kind === 'ServiceAccount').map(({ namespace, name }) => `${namespace}/${name}`)
}

/** Whether pods of an earlier template may still run. */
function hasEarlierPods({ metadata, ...object }: KubeObject): boolean {
  const status = (object['status'] ?? {}) as {
    readonly observedGeneration?: number
    readonly replicas?: number
    readonly updatedReplicas?: number
  }
  return (status.observedGeneration ?? 0) < (metadata.generation ?? 1) || (status.replicas ?? 0) > (status.updatedReplicas ?? 0)
}
