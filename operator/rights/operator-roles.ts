/**
 * The operator's own roles, generated from the templates: just the kinds they render, names where these are fixed.
 * On server-side apply the API server also asks for `create` with the object's name when the object is not there
 * (kube-apiserver, patch handler, `CreateAuthorizerAttributes`; seen with 1.36), so that such a rule may carry resourceNames.
 */
import { groupOf } from '../../runtime/object.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import {
  EVENT,
  HORIZONTAL_POD_AUTOSCALER,
  NAMESPACE,
  POD,
  SERVICE_ENTRY,
  SERVICE_FENCE,
  SIDECAR,
  SLIMEBOOT,
  VIRTUAL_SERVICE,
} from '../api/kinds.ts'
import {
  LAZYLOAD_CLUSTER_ROLE,
  LAZYLOAD_LEASES_ROLE,
  LAZYLOAD_READER_ROLE,
  OBJECTS_ROLE,
  OPERATOR_NAME,
  OPERATOR_NAMESPACE,
  PILOT_CLUSTER_ROLE,
} from './names.ts'
import { byGroup, type Role, rule, type Rule } from './rule.ts'
import type { RenderedType } from './template-objects.ts'

const READ = ['get', 'list', 'watch']
const WRITE = ['create', 'patch', 'delete']
const RBAC = 'rbac.authorization.k8s.io'

/** Roles for what `types` (renderedTypes) holds: cluster-wide, in the namespaces of SlimeBoots, in the operator's own namespace. */
export function operatorRoles(types: readonly RenderedType[]): readonly [cluster: Role, objects: Role, own: Role] {
  return [clusterRole(types), objectsRole(types), ownRole()]
}

function clusterRole(types: readonly RenderedType[]): Role {
  return {
    name: OPERATOR_NAME,
    description: "What the operator needs in the whole cluster. Write access to SlimeBoots' namespaces is in slime-boot-objects.",
    rules: [
      on(SLIMEBOOT, ['list', 'watch', 'patch'], 'Serve SlimeBoots; the patch is for the finalizer only.'),
      rule(groupOf(SLIMEBOOT.apiVersion), [`${SLIMEBOOT.plural}/status`], ['patch'], 'Tell the state of each SlimeBoot.'),
      ...byGroup(types.map(({ type }) => type)).map(([group, each]) => rule(group, plurals(each), READ, readReason(group))),
      ...types
        .filter(({ type }) => !type.namespaced)
        .map((rendered) =>
          writeRule([rendered], 'Bind the ServiceAccounts of modules and pilot to their roles; the names are those of modules.'),
        ),
      rule(RBAC, ['clusterroles'], ['bind'], 'The roles that may be bound: these and no other.', [
        LAZYLOAD_CLUSTER_ROLE,
        LAZYLOAD_READER_ROLE,
        LAZYLOAD_LEASES_ROLE,
        PILOT_CLUSTER_ROLE,
      ]),
      on(
        NAMESPACE,
        ['get', 'list', 'watch', 'create'],
        'See that target namespaces exist; make them where the SlimeBoot asks for it; see which are in the mesh, for wormholePort: auto.',
      ),
      rule(
        groupOf(SERVICE_ENTRY.apiVersion),
        plurals([SERVICE_ENTRY, VIRTUAL_SERVICE]),
        ['list'],
        'Compare dispatch domains with the hosts of the mesh: one domain twice and Envoy rejects the route config.',
      ),
      on(SERVICE_FENCE, ['list'], 'Find the fences that nobody serves any more, before their catch-all goes.'),
      on(EVENT, ['create'], 'Tell what changed as Events on the SlimeBoot.'),
      rule(
        'authorization.k8s.io',
        ['selfsubjectrulesreviews', 'selfsubjectaccessreviews'],
        ['create'],
        'Find all missing rights before the first write.',
      ),
    ],
  }
}

/** The core group has ConfigMaps and Services, of which those of others are read too. */
function readReason(group: string): string {
  const others = group === '' ? "; read Istio's ConfigMap for the mesh's root namespace, and Services whose host a dispatch names" : ''
  return `Notice changes to our objects (selected by label), see whether a name is taken, and that nothing is left before a SlimeBoot goes${others}.`
}

function objectsRole(types: readonly RenderedType[]): Role {
  const namespaced = types.filter(({ type }) => type.namespaced)
  const groups = [...Map.groupBy(namespaced, ({ type, names }) => `${groupOf(type.apiVersion)} ${names?.join() ?? '*'}`).values()]
  return {
    name: OBJECTS_ROLE,
    description:
      'What the operator writes where SlimeBoots say so. Bound in the whole cluster; bind it namespace by namespace instead to confine the operator.',
    rules: [
      ...groups.map((group) =>
        writeRule(
          group,
          group[0]?.names === undefined
            ? "Install modules and global-sidecars; modules' names are free."
            : 'Install global-sidecars; the names are fixed.',
        ),
      ),
      on(SIDECAR, ['delete'], 'Let go of fences: their Sidecars go before the catch-all that serves their pods.'),
      rule(
        groupOf(SERVICE_FENCE.apiVersion),
        [`${SERVICE_FENCE.plural}/status`],
        ['patch'],
        'Tell on a fence that nobody serves it any more.',
      ),
      on(
        POD,
        ['list', 'watch'],
        'Name the cause when a workload is not ready, and wait for the end of global-sidecar pods on removal; see whether a namespace without labels is in the mesh, for wormholePort: auto.',
      ),
      on(HORIZONTAL_POD_AUTOSCALER, ['list'], 'Leave the replicas of a Deployment to its autoscaler.'),
    ],
  }
}

function ownRole(): Role {
  return {
    name: OPERATOR_NAME,
    namespace: OPERATOR_NAMESPACE,
    description: 'What the operator needs in its own namespace.',
    rules: [
      rule('coordination.k8s.io', ['leases'], ['create'], 'Elect the leader: make its Lease once.'),
      rule('coordination.k8s.io', ['leases'], ['get', 'update'], 'Elect the leader: hold its Lease.', [OPERATOR_NAME]),
    ],
  }
}

/** Objects of these types: one group, the same names. */
function writeRule(types: readonly RenderedType[], reason: string): Rule {
  const [first] = types
  return rule(groupOf(first?.type.apiVersion ?? ''), plurals(types.map(({ type }) => type)), WRITE, reason, first?.names)
}

function on(type: ResourceType, verbs: readonly string[], reason: string, names?: readonly string[]): Rule {
  return rule(groupOf(type.apiVersion), [type.plural], verbs, reason, names)
}

function plurals(types: readonly ResourceType[]): readonly string[] {
  return types.map(({ plural }) => plural)
}
