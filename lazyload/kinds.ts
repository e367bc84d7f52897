/** Kinds that the lazyload controller reads and writes. */
import type { ResourceType } from '../runtime/resource.ts'

const namespaced = (apiVersion: string, kind: string, plural: string): ResourceType => ({ apiVersion, kind, plural, namespaced: true })

export const SERVICE_FENCE: ResourceType = namespaced('microservice.slime.io/v1alpha1', 'ServiceFence', 'servicefences')
/** The version that the tutorial shows; every Istio from 1.8 on serves it. */
export const SIDECAR: ResourceType = namespaced('networking.istio.io/v1beta1', 'Sidecar', 'sidecars')
export const VIRTUAL_SERVICE: ResourceType = namespaced('networking.istio.io/v1beta1', 'VirtualService', 'virtualservices')
export const SERVICE_ENTRY: ResourceType = namespaced('networking.istio.io/v1beta1', 'ServiceEntry', 'serviceentries')
export const SERVICE: ResourceType = namespaced('v1', 'Service', 'services')
export const NAMESPACE: ResourceType = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }
export const ENDPOINT_SLICE: ResourceType = namespaced('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices')
/** Watched only in namespaces where nothing else says whether they are in the mesh (module/in-mesh.ts); else asked for (mesh/pods.ts). */
export const POD: ResourceType = namespaced('v1', 'Pod', 'pods')
export const ENVOY_FILTER: ResourceType = namespaced('networking.istio.io/v1alpha3', 'EnvoyFilter', 'envoyfilters')
/** Injection; it says which revisions and tags of Istio there are. */
export const MUTATING_WEBHOOK: ResourceType = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingWebhookConfiguration',
  plural: 'mutatingwebhookconfigurations',
  namespaced: false,
}
export const CONFIG_MAP: ResourceType = namespaced('v1', 'ConfigMap', 'configmaps')
export const EVENT: ResourceType = namespaced('v1', 'Event', 'events')

/** The Service, and the pods behind it, through which unknown hosts are reached. */
export const GLOBAL_SIDECAR = 'global-sidecar'
/** The EnvoyFilter that sends unknown hosts to a global-sidecar. */
export const CATCH_ALL = 'to-global-sidecar'
/** The operator's mark on it: `<namespace of the proxies, or *>=<namespace of the global-sidecar>`. */
export const CATCH_ALL_ANNOTATION = 'config.netease.com/catch-all'
/** The operator's mark on a catch-all that is about to go. */
export const LEAVING_ANNOTATION = 'config.netease.com/leaving'
/** Who we are in managedFields. */
export const FIELD_MANAGER = 'slime-lazyload'
/** Which control plane an object is for (https://istio.io/latest/docs/reference/config/labels/). */
export const REVISION_LABEL = 'istio.io/rev'
