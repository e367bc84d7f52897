/**
 * Who writes a SlimeBoot acts through the operator, so the API server's own authorizer is asked whether the writer may: verb
 * `install` on slimeboots in every namespace that gets objects, `bind` on every ClusterRole that is bound. One check costs 350,000
 * of the 10,000,000 that a policy may spend and of the 1,000,000 of one expression (Kubernetes 1.36): no loops, but validations by
 * index, and a policy of its own for the roles.
 */
import { groupOf, type KubeObject } from '../../runtime/object.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import {
  ADOPT_ANNOTATION,
  CREATE_NAMESPACES_ANNOTATION,
  DELETION_POLICY_ANNOTATION,
  RECONCILE_AT_ANNOTATION,
  SUSPEND_ANNOTATION,
} from '../api/slimeboot.ts'
import { SETTINGS } from '../../module/settings.ts'
import { field, LISTING_MODULES, quoted, specVariables, statements } from './cel.ts'
import { BINDER_ROLE, INSTALL_VERB, INSTALLER_ROLE, LAZYLOAD_CLUSTER_ROLE, PILOT_CLUSTER_ROLE } from './names.ts'
import { policy, type Validation } from './policy.ts'

export interface PolicyDefaults {
  readonly namespace: string
  readonly istioNamespace: string
}

/** Namespaces of global-sidecars that are checked one by one; with more the right is needed in the whole cluster. */
export const CHECKED_NAMESPACES = 24
/** ClusterRoles that modules name themselves, checked one by one. */
const CHECKED_ROLES = 20

const ANNOTATIONS = [
  SUSPEND_ANNOTATION,
  RECONCILE_AT_ANNOTATION,
  ADOPT_ANNOTATION,
  CREATE_NAMESPACES_ANNOTATION,
  DELETION_POLICY_ANNOTATION,
]
const SLIMEBOOTS = `authorizer.group(${quoted(groupOf(SLIMEBOOT.apiVersion))}).resource(${quoted(SLIMEBOOT.plural)})`
const CLUSTER_ROLES = 'authorizer.group("rbac.authorization.k8s.io").resource("clusterroles")'
const RIGHT = `verb ${INSTALL_VERB} on ${SLIMEBOOT.plural}.${groupOf(SLIMEBOOT.apiVersion)}`

/** Looks when the spec or one of our annotations changes: finalizers, labels, status and deletion stay free, the operator's own writes too. */
const CHANGED = {
  name: 'spec-or-annotations-changed',
  expression: `request.operation == "CREATE" || object.?spec != oldObject.?spec || ${JSON.stringify(ANNOTATIONS)}.exists(a, object.metadata.?annotations[?a] != oldObject.metadata.?annotations[?a])`,
}

/** The two policies and their bindings. */
export function installPolicies(defaults: PolicyDefaults): readonly KubeObject[] {
  return [...namespacePolicy(defaults), ...rolePolicy(defaults)]
}

function namespacePolicy(defaults: PolicyDefaults): readonly KubeObject[] {
  const allowedIn = (namespace: string): string =>
    `variables.everywhere || ${SLIMEBOOTS}.namespace(${namespace}).check(${quoted(INSTALL_VERB)}).allowed()`
  const needsAll = (why: string): string =>
    `${why}: you need ${RIGHT} in the whole cluster. Ask for a ClusterRoleBinding of your user to ClusterRole ${INSTALLER_ROLE}.`
  const missingIn = (namespace: string): string =>
    `"SlimeBoots may not install into namespace " + ${namespace} + " for you: you need ${RIGHT} there. Ask for a RoleBinding of your user to ClusterRole ${INSTALLER_ROLE} in namespace " + ${namespace} + "."`
  const forbidden = (validation: Validation): Validation => ({ ...validation, reason: 'Forbidden' })
  return policy({
    name: 'slimeboot-namespaces',
    description: `Who writes a SlimeBoot needs ${RIGHT} in every namespace that it installs into.`,
    matchConditions: [CHANGED],
    variables: [
      ...specVariables(defaults),
      { name: 'everywhere', expression: `${SLIMEBOOTS}.check(${quoted(INSTALL_VERB)}).allowed()` },
      { name: 'type', expression: field('variables.sidecar', 'type', '""') },
      {
        name: 'statements',
        expression: `${statements('variables.modules', SETTINGS.mode.places)} + (variables.sidecarOff ? [] : [dyn(variables.type)])`,
      },
      {
        name: 'cluster',
        expression:
          '(variables.byDefault && size(variables.listed) == 0) || variables.statements.exists(s, type(s) == string && string(s).lowerAscii() == "cluster")',
      },
      { name: 'adopts', expression: `object.metadata.?annotations[?${quoted(ADOPT_ANNOTATION)}].orValue("") == "true"` },
    ],
    validations: [
      forbidden({
        expression: '!variables.cluster || variables.everywhere',
        message: needsAll('A global-sidecar of type cluster changes the proxies of all namespaces'),
      }),
      forbidden({
        expression: '!variables.adopts || variables.everywhere',
        message: needsAll(`Annotation ${ADOPT_ANNOTATION} takes over objects that others made`),
      }),
      forbidden({
        expression: `size(variables.listed) <= ${CHECKED_NAMESPACES} || variables.everywhere`,
        message: needsAll(
          `spec.component.globalSidecar.namespace lists more than ${CHECKED_NAMESPACES} namespaces, too many to check one by one`,
        ),
      }),
      forbidden({
        expression: `size(variables.moduleLists) <= ${LISTING_MODULES} || variables.everywhere`,
        message: needsAll(`More than ${LISTING_MODULES} modules list namespaces, too many to check one by one`),
      }),
      forbidden({
        expression: `variables.mesh == ${quoted(defaults.istioNamespace)} || variables.everywhere`,
        message: needsAll(`spec.istioNamespace is another than ${defaults.istioNamespace}: EnvoyFilters there may reach the whole mesh`),
      }),
      forbidden({ expression: allowedIn('variables.home'), messageExpression: missingIn('string(variables.home)') }),
      ...Array.from({ length: CHECKED_NAMESPACES }, (_, index) =>
        forbidden({
          expression: `size(variables.listed) <= ${index} || ${allowedIn(`variables.listed[${index}]`)}`,
          messageExpression: missingIn(`string(variables.listed[${index}])`),
        }),
      ),
    ],
  })
}

function rolePolicy(defaults: PolicyDefaults): readonly KubeObject[] {
  const bind = (role: string): string => `${CLUSTER_ROLES}.name(${role}).check("bind").allowed()`
  const known = (role: string): string =>
    `This SlimeBoot binds ClusterRole ${role}: you need verb bind on it. Ask for a ClusterRoleBinding of your user to ClusterRole ${BINDER_ROLE}.`
  const forbidden = (validation: Validation): Validation => ({ ...validation, reason: 'Forbidden' })
  const own = `has(m.clusterRole) && m.clusterRole != null && m.clusterRole != ${quoted(LAZYLOAD_CLUSTER_ROLE)}`
  return policy({
    name: 'slimeboot-roles',
    description: 'Who writes a SlimeBoot needs verb bind on every ClusterRole that it binds.',
    matchConditions: [CHANGED],
    variables: [
      ...specVariables(defaults),
      { name: 'lazyload', expression: `variables.modules.exists(m, !(${own}))` },
      { name: 'roles', expression: `variables.modules.filter(m, ${own}).map(m, m.clusterRole)` },
    ],
    validations: [
      forbidden({ expression: `!variables.lazyload || ${bind(quoted(LAZYLOAD_CLUSTER_ROLE))}`, message: known(LAZYLOAD_CLUSTER_ROLE) }),
      forbidden({ expression: `!variables.pilot || ${bind(quoted(PILOT_CLUSTER_ROLE))}`, message: known(PILOT_CLUSTER_ROLE) }),
      forbidden({
        expression: `size(variables.roles) <= ${CHECKED_ROLES} || ${CLUSTER_ROLES}.check("bind").allowed()`,
        message: `More than ${CHECKED_ROLES} modules name a clusterRole, too many to check one by one: you need verb bind on all ClusterRoles.`,
      }),
      ...Array.from({ length: CHECKED_ROLES }, (_, index) =>
        forbidden({
          expression: `size(variables.roles) <= ${index} || ${bind(`variables.roles[${index}]`)}`,
          messageExpression: `"This SlimeBoot binds ClusterRole " + string(variables.roles[${index}]) + ": you need verb bind on it, by a ClusterRole of an administrator's and a ClusterRoleBinding."`,
        }),
      ),
    ],
  })
}
