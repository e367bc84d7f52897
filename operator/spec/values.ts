/** Values: what the templates see. A validated spec over the defaults, with every decision (mode, shape, ports, dispatches) already taken. */
import type { Json, JsonObject } from '../../runtime/object.ts'
import type { PodPorts } from './pod-ports.ts'

export type Mode = 'namespaced' | 'cluster' | 'none'
/** `pilot`: the tutorial's global-sidecar with its own istiod 1.7. `stock`: an ordinary Istio proxy of the mesh's own istiod. */
export type Shape = 'pilot' | 'stock'
export type UnknownHosts = 'passthrough' | 'refuse'

export interface Values {
  /** Name and namespace of the SlimeBoot itself. */
  readonly boot: { readonly name: string; readonly namespace: string }
  /** The merged spec as the user wrote it over the defaults: `.Values` of a dispatch template. */
  readonly raw: JsonObject
  /** M: namespace of the modules, `spec.namespace`. */
  readonly namespace: string
  /** I: the mesh's root namespace, `spec.istioNamespace`. */
  readonly istioNamespace: string
  readonly mode: Mode
  readonly shape: Shape
  readonly controller: ControllerValues
  /** Enabled modules in list order. */
  readonly modules: readonly ModuleValues[]
  /** Wormhole ports of all enabled modules, each once, in module then list order; empty in mode `none`. */
  readonly ports: readonly WormholePort[]
  /** What `auto` found, for the annotation that remembers it (found-ports.ts); absent without `auto`. */
  readonly foundPorts?: string
  /** One per global-sidecar: every listed namespace in mode namespaced, M alone in mode cluster, none in mode none, without ports, or without an enabled module. */
  readonly globalSidecars: readonly GlobalSidecarPlace[]
  readonly globalSidecar: GlobalSidecarValues
  /** Only with shape `pilot`. */
  readonly pilot?: PilotValues
  /** Modules that the global-sidecars send their access log to, in list order; empty where nobody learns from it. */
  readonly accessLogs: readonly AccessLogReceiver[]
}

export interface AccessLogReceiver {
  /** Name of the Envoy cluster. */
  readonly cluster: string
  /** `<module>.<M>` */
  readonly address: string
  /** The Service port `service.logSourcePort`. */
  readonly port: number
  /** Of the module (ModuleValues.namespaces). */
  readonly namespaces?: readonly string[]
}

/** Pod settings that the controller's Deployment copies as they are. */
export interface ControllerValues {
  /** `repository:tag`, or the repository alone. */
  readonly image: string
  readonly imagePullPolicy: string
  readonly replicas: number
  readonly resources: JsonObject
  readonly imagePullSecrets: readonly Json[]
  readonly nodeSelector: JsonObject
  readonly tolerations: readonly Json[]
  readonly affinity: JsonObject
  readonly podSecurityContext: JsonObject
  readonly containerSecurityContext: JsonObject
  readonly createServiceAccount: boolean
  readonly service: { readonly type: string; readonly port: number; readonly logSourcePort: number }
  readonly volumes: readonly Json[]
  readonly volumeMounts: readonly Json[]
  /** After the operator's own. */
  readonly env: readonly Json[]
}

export interface ModuleValues {
  readonly name: string
  /** A BundleItem has no Deployment of its own. */
  readonly bundleItem: boolean
  /** Data of the ConfigMap: `cfg`, and `cfg_<name>` per item of a bundle; each one line of JSON (keys sorted, `<` `>` `&` escaped as Go does) and a final newline. */
  readonly config: Readonly<Record<string, string>>
  /** ClusterRole that its ServiceAccount is bound to. */
  readonly clusterRole: string
  /** It serves fences of these namespaces only, and is bound to its role there only; absent: everywhere. */
  readonly namespaces?: readonly string[]
  /** Of its pod. */
  readonly ports: PodPorts
}

export interface WormholePort {
  readonly port: number
  /** What the catch-all of this port does instead of sending everything to the global-sidecar; empty for that default. */
  readonly dispatches: readonly DispatchValues[]
}

export interface DispatchValues {
  readonly name: string
  /** RE2: requests whose host matches go to the cluster too, before what `domains` say. */
  readonly domainRegex?: string
  readonly domains: readonly string[]
  /** Final cluster text, Go template already run, or undefined for `_GLOBAL_SIDECAR`: the global-sidecar's cluster of the port at hand. */
  readonly cluster: string | undefined
}

export interface GlobalSidecarPlace {
  /** GS: where its Deployment, Service, Sidecar and guard live. */
  readonly namespace: string
  /** EF: where the catch-all EnvoyFilter lives: GS, or I in mode cluster. */
  readonly filterNamespace: string
}

export interface GlobalSidecarValues {
  /** Absent: injection decides (`auto`), stock shape only. */
  readonly image?: string
  readonly imagePullSecrets: readonly Json[]
  /** Empty: no `resources` key at all. */
  readonly resources: JsonObject
  readonly replicas: number
  /** `istio.io/rev` of the mesh, stock shape: label instead of `sidecar.istio.io/inject`. */
  readonly revision?: string
  readonly nodeSelector: JsonObject
  readonly tolerations: readonly Json[]
  readonly affinity: JsonObject
  readonly priorityClassName?: string
  /** Render a NetworkPolicy that lets only the mesh's pods reach the wormhole ports. */
  readonly networkPolicy: boolean
  /** What becomes of a call to a host that the mesh does not know: on to the address that the application called, or 404. Shape pilot: always 404. */
  readonly unknownHosts: UnknownHosts
}

export interface PilotValues {
  readonly image: string
  readonly imagePullSecrets: readonly Json[]
  readonly resources: JsonObject
}
