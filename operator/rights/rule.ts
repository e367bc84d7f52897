/** RBAC rules with their reasons: what the generated roles, their comments and the table in docs/security.md are made from. */
import { groupOf } from '../../runtime/object.ts'
import { resourceName, type ResourceType } from '../../runtime/resource.ts'

export interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  /** Only these objects; absent: all. */
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
  /** One sentence: what it is needed for. */
  readonly reason: string
}

/** A ClusterRole, or a Role where `namespace` is given. */
export interface Role {
  readonly name: string
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly description: string
  readonly rules: readonly Rule[]
}

/** A rule on resources of one API group. */
export function rule(
  group: string,
  resources: readonly string[],
  verbs: readonly string[],
  reason: string,
  resourceNames?: readonly string[],
): Rule {
  return { apiGroups: [group], resources, ...(resourceNames === undefined ? {} : { resourceNames }), verbs, reason }
}

/** The types by API group, groups and types in the order in which they come. */
export function byGroup(types: readonly ResourceType[]): readonly (readonly [string, readonly ResourceType[]])[] {
  return [...Map.groupBy(types, (type) => groupOf(type.apiVersion))]
}

/** What a rule allows, one entry per resource and verb: `patch deployments.apps`. */
export function grantsOf({ apiGroups, resources, verbs }: Rule): readonly string[] {
  return apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${qualified(group, resource)}`)))
}

/** `deployments.apps`, `configmaps`, `slimeboots.config.netease.com/status`. */
export function qualified(group: string, resource: string): string {
  const [plural = '', subresource] = resource.split('/')
  const name = resourceName({ apiVersion: group === '' ? 'v1' : `${group}/v1`, kind: '', plural, namespaced: true })
  return subresource === undefined || subresource === '' ? name : `${name}/${subresource}`
}
