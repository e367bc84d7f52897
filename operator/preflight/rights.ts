/** Rights: everything that applying, repairing and deleting these objects takes, asked of the API server before the first write. */
import type { Client } from '../../runtime/client.ts'
import { groupOf, type KubeObject } from '../../runtime/object.ts'
import { resourceName, type ResourceType } from '../../runtime/resource.ts'
import { typeOf } from '../api/kinds.ts'

/** One thing that must be allowed. `namespace` is empty for cluster-scoped resources. */
export interface Need {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly name: string
  readonly namespace: string
}

interface ResourceRule {
  readonly verbs: readonly string[]
  readonly apiGroups?: readonly string[]
  readonly resources?: readonly string[]
  readonly resourceNames?: readonly string[]
}

/** Up to so many namespaces are asked for their rules; beyond, the cluster-wide rights are asked for one by one. */
const RULES_NAMESPACES = 6
const VERBS = ['create', 'patch', 'delete'] as const
const REVIEW = (kind: string, plural: string): ResourceType => ({ apiVersion: 'authorization.k8s.io/v1', kind, plural, namespaced: false })
const RULES_REVIEW = REVIEW('SelfSubjectRulesReview', 'selfsubjectrulesreviews')
const SUBJECT_REVIEW = REVIEW('SubjectAccessReview', 'subjectaccessreviews')
const ACCESS_REVIEW = REVIEW('SelfSubjectAccessReview', 'selfsubjectaccessreviews')

/** What writing `objects` needs: create, patch and delete of each, and `bind` on the roles that bindings name. */
export function needsOf(objects: readonly KubeObject[]): readonly Need[] {
  const needs = new Map<string, Need>()
  const add = (need: Need): void => void needs.set(`${need.verb} ${describeNeed(need)} ${need.name}`, need)
  for (const object of objects) {
    const type = typeOf(object)
    const target = {
      group: groupOf(type.apiVersion),
      resource: type.plural,
      name: object.metadata.name,
      namespace: object.metadata.namespace ?? '',
    }
    for (const verb of VERBS) add({ verb, ...target })
    const role = (object['roleRef'] as { kind?: string; name?: string } | undefined)?.name
    if (role !== undefined) add({ verb: 'bind', group: 'rbac.authorization.k8s.io', resource: 'clusterroles', name: role, namespace: '' })
  }
  return [...needs.values()]
}

/** The needs that are not granted to the client's own user. */
export async function missingRights(client: Pick<Client, 'create'>, needs: readonly Need[]): Promise<readonly Need[]> {
  const namespaces = [...new Set(needs.map((need) => need.namespace).filter((namespace) => namespace !== ''))].sort()
  if (namespaces.length > RULES_NAMESPACES) return await missingByAccess(client, needs)
  const rules = new Map(
    await Promise.all(
      (namespaces.length === 0 ? ['default'] : namespaces).map(async (namespace) => [namespace, await rulesIn(client, namespace)] as const),
    ),
  )
  const any = [...rules.values()][0]!
  // rules say what is granted; what they do not list may be granted by other means (system:masters, a webhook)
  const doubtful = needs.filter((need) => !(rules.get(need.namespace) ?? any).rules.some((rule) => grants(rule, need)))
  return await missingByAccess(client, doubtful)
}

/** `create deployments.apps in namespace shop`, one line per resource and namespace with all its verbs. */
export function describeMissing(missing: readonly Need[]): readonly string[] {
  const lines = Map.groupBy(missing, (need) => describeNeed(need))
  return [...lines].map(([target, needs]) => `${[...new Set(needs.map((need) => need.verb))].join(', ')} ${target}`).sort()
}

function describeNeed({ group, resource, name, namespace, verb }: Need): string {
  const type = resourceName({ apiVersion: group === '' ? 'v1' : `${group}/v1`, kind: '', plural: resource, namespaced: true })
  if (verb === 'bind') return `${type}/${name}`
  return namespace === '' ? type : `${type} in namespace ${namespace}`
}

interface Rules {
  readonly rules: readonly ResourceRule[]
}

/** What was answered so lately is not asked again: many SlimeBoots that come together live in few namespaces. */
const FRESH_MS = 1000
const recentRules = new WeakMap<object, Map<string, { readonly until: number; readonly rules: Promise<Rules> }>>()

function rulesIn(client: Pick<Client, 'create'>, namespace: string): Promise<Rules> {
  const known = recentRules.get(client) ?? new Map<string, { until: number; rules: Promise<Rules> }>()
  recentRules.set(client, known)
  const fresh = known.get(namespace)
  if (fresh !== undefined && fresh.until > performance.now()) return fresh.rules
  for (const [old, { until }] of known) if (until <= performance.now()) known.delete(old)
  const rules = askRules(client, namespace)
  known.set(namespace, { until: performance.now() + FRESH_MS, rules })
  rules.catch(() => known.delete(namespace))
  return rules
}

async function askRules(client: Pick<Client, 'create'>, namespace: string): Promise<Rules> {
  const answer = await client.create(RULES_REVIEW, {
    apiVersion: RULES_REVIEW.apiVersion,
    kind: RULES_REVIEW.kind,
    metadata: { name: '' },
    spec: { namespace },
  })
  const status = (answer['status'] ?? {}) as { resourceRules?: readonly ResourceRule[] | null }
  return { rules: status.resourceRules ?? [] }
}

function grants(rule: ResourceRule, need: Need): boolean {
  const has = (list: readonly string[] | undefined, value: string): boolean =>
    list?.includes('*') === true || list?.includes(value) === true
  const named = rule.resourceNames === undefined || rule.resourceNames.length === 0 || rule.resourceNames.includes(need.name)
  return named && has(rule.verbs, need.verb) && has(rule.apiGroups, need.group) && has(rule.resources, need.resource)
}

/**
 * Asks for each verb and resource cluster-wide; where that is not granted, for the single object. For the client's own
 * user, or for `user` (`system:serviceaccount:mesh-operator:slime-boot`), which takes the right to create subjectaccessreviews.
 */
export async function missingByAccess(client: Pick<Client, 'create'>, needs: readonly Need[], user?: string): Promise<readonly Need[]> {
  const groups = [...Map.groupBy(needs, ({ verb, group, resource, name }) => `${verb} ${group} ${resource} ${name}`).values()]
  const missing = await Promise.all(
    groups.map(async (group) => {
      if (await isAllowed(client, { ...group[0]!, namespace: '' }, user)) return []
      const answers = await Promise.all(group.map(async (need) => ((await isAllowed(client, need, user)) ? [] : [need])))
      return answers.flat()
    }),
  )
  return missing.flat()
}

async function isAllowed(client: Pick<Client, 'create'>, need: Need, user: string | undefined): Promise<boolean> {
  const type = user === undefined ? ACCESS_REVIEW : SUBJECT_REVIEW
  const spec = { resourceAttributes: need, ...(user === undefined ? {} : { user, groups: groupsOf(user) }) }
  const answer = await client.create(type, { apiVersion: type.apiVersion, kind: type.kind, metadata: { name: '' }, spec })
  return (answer['status'] as { allowed?: boolean } | undefined)?.allowed === true
}

/** Groups of a ServiceAccount (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens). */
function groupsOf(user: string): readonly string[] {
  const [, , namespace] = user.split(':')
  return user.startsWith('system:serviceaccount:')
    ? ['system:serviceaccounts', `system:serviceaccounts:${namespace ?? ''}`, 'system:authenticated']
    : ['system:authenticated']
}
