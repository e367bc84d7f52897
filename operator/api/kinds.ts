/** The kinds that the operator knows, as resource types. */
import type { KubeObject } from '../../runtime/object.ts'
import { type ResourceType, typeKey } from '../../runtime/resource.ts'
import { API_VERSION, KIND } from './slimeboot.ts'

const namespaced = (apiVersion: string, kind: string, plural: string): ResourceType => ({ apiVersion, kind, plural, namespaced: true })

export const SLIMEBOOT: ResourceType = namespaced(API_VERSION, KIND, 'slimeboots')
export const NAMESPACE: ResourceType = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }
export const POD: ResourceType = namespaced('v1', 'Pod', 'pods')
export const EVENT: ResourceType = namespaced('v1', 'Event', 'events')
export const CONFIG_MAP: ResourceType = namespaced('v1', 'ConfigMap', 'configmaps')
export const DEPLOYMENT: ResourceType = namespaced('apps/v1', 'Deployment', 'deployments')
export const DAEMON_SET: ResourceType = namespaced('apps/v1', 'DaemonSet', 'daemonsets')
export const HORIZONTAL_POD_AUTOSCALER: ResourceType = namespaced('autoscaling/v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers')
export const MUTATING_WEBHOOK: ResourceType = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingWebhookConfiguration',
  plural: 'mutatingwebhookconfigurations',
  namespaced: false,
}
/** Read only: hosts that a dispatch must not take. */
export const SERVICE: ResourceType = namespaced('v1', 'Service', 'services')
export const SERVICE_ENTRY: ResourceType = namespaced('networking.istio.io/v1beta1', 'ServiceEntry', 'serviceentries')
export const VIRTUAL_SERVICE: ResourceType = namespaced('networking.istio.io/v1beta1', 'VirtualService', 'virtualservices')
/** Read by `slimeboot preflight` alone. */
export const ENDPOINT_SLICE: ResourceType = namespaced('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices')

export const DESTINATION_RULE: ResourceType = namespaced('networking.istio.io/v1beta1', 'DestinationRule', 'destinationrules')
export const SIDECAR: ResourceType = namespaced('networking.istio.io/v1beta1', 'Sidecar', 'sidecars')
export const ENVOY_FILTER: ResourceType = namespaced('networking.istio.io/v1alpha3', 'EnvoyFilter', 'envoyfilters')
/** Never watched: read when a SlimeBoot lets go of fences. */
export const SERVICE_FENCE: ResourceType = namespaced('microservice.slime.io/v1alpha1', 'ServiceFence', 'servicefences')

/** Kinds that the templates render, in the order in which they are deleted last to first; the operator watches and may write just these. */
export const MANAGED_TYPES: readonly ResourceType[] = [
  namespaced('v1', 'ServiceAccount', 'serviceaccounts'),
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', namespaced: false },
  namespaced('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings'),
  CONFIG_MAP,
  SERVICE,
  SIDECAR,
  DESTINATION_RULE,
  namespaced('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies'),
  namespaced('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  ENVOY_FILTER,
  DEPLOYMENT,
]

const managed = new Set(MANAGED_TYPES.map(typeKey))

/** Whether templates render objects of this kind: only those can be ours. */
export function isManaged(object: Pick<KubeObject, 'apiVersion' | 'kind'>): boolean {
  return managed.has(typeKey(object))
}

const byKey = new Map([...MANAGED_TYPES, SLIMEBOOT, NAMESPACE, SERVICE_FENCE].map((type) => [typeKey(type), type]))

/** The resource type of an object of one of our kinds. Throws for any other: templates and this table must agree. */
export function typeOf(object: Pick<KubeObject, 'apiVersion' | 'kind'>): ResourceType {
  const type = byKey.get(typeKey(object))
  if (type === undefined) throw new Error(`${object.apiVersion} ${object.kind} is not in operator/api/kinds.ts`)
  return type
}
