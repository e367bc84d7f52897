/** Roles of what a SlimeBoot installs, and of the people who write SlimeBoots. They ship with the operator; it binds them, it cannot make or change any. */
import { SLIMEBOOT } from '../api/kinds.ts'
import { groupOf } from '../../runtime/object.ts'
import {
  BINDER_ROLE,
  INSTALL_VERB,
  INSTALLER_ROLE,
  LAZYLOAD_CLUSTER_ROLE,
  LAZYLOAD_LEASES_ROLE,
  LAZYLOAD_READER_ROLE,
  PILOT_CLUSTER_ROLE,
} from './names.ts'
import { type Role, type Rule, rule } from './rule.ts'

/** The EnvoyFilter that sends unknown hosts to a global-sidecar (templates/global-sidecar). */
const CATCH_ALL_NAME = 'to-global-sidecar'
const READ = ['get', 'list', 'watch']
const FENCES = 'microservice.slime.io'
const ISTIO = 'networking.istio.io'

/**
 * Ours uses none of these. A takeover leaves the pods of an earlier image running, and a tag of the tutorial's day may stand in a
 * SlimeBoot: they must go on. Nothing here is more than what ours needs: whoever may patch may update.
 */
export const OLDER_IMAGES: readonly Rule[] = [
  rule(FENCES, ['servicefences/status'], ['update'], "Images of the tutorial's day only: they replace the status as a whole."),
  rule(ISTIO, ['sidecars'], ['update'], "Images of the tutorial's day only: they replace a Sidecar as a whole."),
  rule('', ['endpoints'], ['list', 'watch'], "Images of the tutorial's day only: what EndpointSlices are today."),
]

/**
 * The lazyload controller (spec 2, 3, 4): fences in all namespaces become Sidecars. test/integration/lazyload/rights.test.ts compares
 * it with what lazyload does.
 */
export const LAZYLOAD_ROLE: Role = {
  name: LAZYLOAD_CLUSTER_ROLE,
  description:
    'What the lazyload controller needs: it turns ServiceFences into Sidecars and learns from who calls whom. Bound in each namespace that its SlimeBoot lists, or in the whole cluster where it lists none.',
  rules: [
    rule(FENCES, ['servicefences'], ['list', 'watch'], 'Serve the fences of all namespaces.'),
    rule(FENCES, ['servicefences'], ['create', 'delete'], 'Make and remove the fences that labels of Services and Namespaces ask for.'),
    rule(
      FENCES,
      ['servicefences'],
      ['get'],
      'Look how a fence is right now: before a reset, and before the Sidecar of one that is gone is removed.',
    ),
    rule(FENCES, ['servicefences'], ['patch'], 'Let the fences that labels made follow the revision of Istio.'),
    rule(FENCES, ['servicefences/status'], ['patch'], 'Keep what was learned in the status of the fence.'),
    rule(FENCES, ['servicefences/finalizers'], ['update'], 'Make the fence the owner of its Sidecar, with blockOwnerDeletion.'),
    rule(ISTIO, ['sidecars'], ['list', 'watch', 'create', 'patch', 'delete'], 'Write the Sidecar of each fence.'),
    rule(ISTIO, ['virtualservices', 'serviceentries'], ['list', 'watch'], 'Follow the destinations behind a learned host.'),
    rule(ISTIO, ['envoyfilters'], ['list', 'watch'], 'See whether a catch-all serves a namespace, before pods there get a Sidecar.', [
      CATCH_ALL_NAME,
    ]),
    rule('', ['services', 'namespaces'], ['list', 'watch'], 'Fence Services by label; tell which host belongs to which Service.'),
    rule('', ['services', 'namespaces'], ['get'], 'Look whether labels really ask for a fence no more, before it is removed.'),
    rule(
      'discovery.k8s.io',
      ['endpointslices'],
      ['list', 'watch'],
      'Tell which Service an address in the access log belongs to, and whether a global-sidecar is ready.',
    ),
    rule(
      '',
      ['pods'],
      ['list'],
      'Tell whether a fence selects any pods, whether they take its Sidecar, and whose an address in the access log is that no Service has.',
    ),
    rule(
      'admissionregistration.k8s.io',
      ['mutatingwebhookconfigurations'],
      ['list', 'watch'],
      'Tell which revision of Istio a tag stands for.',
    ),
    rule('', ['pods'], ['watch'], 'See in which namespaces without a label of Istio pods are in the mesh.'),
    rule('', ['configmaps'], ['list', 'watch'], 'Read the mesh configuration: which hosts proxies call themselves.', ['istio']),
    rule('', ['events'], ['create'], 'Tell on the fence what happened.'),
    ...OLDER_IMAGES,
  ],
}

/**
 * The rules of LAZYLOAD_ROLE without what writes. Hosts, callers and the mesh are everywhere, so they are read everywhere; bound
 * cluster-wide where LAZYLOAD_ROLE itself is bound in single namespaces.
 */
export const LAZYLOAD_READER: Role = {
  name: LAZYLOAD_READER_ROLE,
  description: 'What the lazyload controller reads of the whole cluster where it may write in some namespaces only.',
  rules: LAZYLOAD_ROLE.rules.flatMap((each) => {
    const verbs = each.verbs.filter((verb) => READ.includes(verb))
    return verbs.length === 0 ? [] : [{ ...each, verbs }]
  }),
}

/** Bound in the namespace of each module: elsewhere Leases lead others. */
export const LAZYLOAD_LEASES: Role = {
  name: LAZYLOAD_LEASES_ROLE,
  description: 'Elect the leader among replicas of a lazyload controller; bound in its own namespace only.',
  rules: [
    rule('coordination.k8s.io', ['leases'], ['create', 'get', 'update'], 'Make and hold the Lease, which has the name of the module.'),
  ],
}

/**
 * The global-sidecar's pilot, a modified istiod 1.7 (spec 7.3). It only reads: its pod has no istio-token, so it runs no CA; it has
 * no injection or validation webhook, no ingress controller (ingressControllerMode OFF), and
 * DISABLE_CA_CERT_NAMESPACE_CONFIG_UPDATE keeps it from writing ConfigMaps.
 */
export const PILOT_ROLE: Role = {
  name: PILOT_CLUSTER_ROLE,
  description: "What the global-sidecar's pilot needs: it reads the mesh and configures global-sidecars.",
  rules: [
    rule('', ['namespaces', 'nodes', 'pods', 'services', 'endpoints'], READ, 'The service registry.'),
    rule('discovery.k8s.io', ['endpointslices'], READ, 'The service registry, where EndpointSlices are used.'),
    rule('apiextensions.k8s.io', ['customresourcedefinitions'], READ, 'Watch just those Istio kinds that are installed.'),
    rule(
      ISTIO,
      ['destinationrules', 'envoyfilters', 'gateways', 'serviceentries', 'sidecars', 'virtualservices', 'workloadentries'],
      READ,
      'Traffic configuration of the mesh.',
    ),
    rule(
      'security.istio.io',
      ['authorizationpolicies', 'peerauthentications', 'requestauthentications'],
      READ,
      'Security configuration of the mesh.',
    ),
    rule(
      'config.istio.io',
      ['httpapispecs', 'httpapispecbindings', 'quotaspecs', 'quotaspecbindings'],
      READ,
      'Kinds that istiod 1.7 still waits for where their CRDs exist.',
    ),
    rule(
      'rbac.istio.io',
      ['clusterrbacconfigs', 'rbacconfigs', 'serviceroles', 'servicerolebindings'],
      READ,
      'Kinds that istiod 1.7 still waits for where their CRDs exist.',
    ),
  ],
}

/** For a person or a pipeline; bound in each namespace that it may install into, cluster-wide for type cluster. */
export const INSTALLER: Role = {
  name: INSTALLER_ROLE,
  description: `Write SlimeBoots, and install into the namespace where this is bound (verb ${INSTALL_VERB}; the admission policy asks for it).`,
  rules: [
    rule(
      groupOf(SLIMEBOOT.apiVersion),
      [SLIMEBOOT.plural],
      [...READ, 'create', 'update', 'patch', 'delete', INSTALL_VERB],
      'Write SlimeBoots here, and let SlimeBoots install into this namespace.',
    ),
    rule(groupOf(SLIMEBOOT.apiVersion), [`${SLIMEBOOT.plural}/status`], ['get'], 'Read their state.'),
  ],
}

/** Bound cluster-wide, because ClusterRoles have no namespace. */
export const BINDER: Role = {
  name: BINDER_ROLE,
  description: 'Let SlimeBoots bind modules and pilot to their ClusterRoles (the admission policy asks for it).',
  rules: [
    rule('rbac.authorization.k8s.io', ['clusterroles'], ['bind'], 'The roles that SlimeBoots bind.', [
      LAZYLOAD_CLUSTER_ROLE,
      PILOT_CLUSTER_ROLE,
    ]),
  ],
}
