/** Types of SlimeBoot, generated from crds/slimeboots.config.netease.com.yaml by tools/generate-api-types.ts. Do not edit. */

/** What to install. Keys not listed here are kept, so that dispatch templates can read them as `.Values.<key>`. */
export interface SlimeBootSpec {
  /** Image of the module controllers. */
  readonly image?: {
    /** Image without its tag. Required. */
    readonly repository?: string
    /** Tag. Without it the repository is used alone. */
    readonly tag?: string | null
    /** When the kubelet pulls. Default Always. */
    readonly pullPolicy?: 'Always' | 'IfNotPresent' | 'Never'
  }
  /** Namespace of the module controllers, of a cluster-wide global-sidecar and of the pilot. Default mesh-operator. */
  readonly namespace?: string
  /** Root namespace of the mesh. Default istio-system. */
  readonly istioNamespace?: string
  /** Replicas of each module controller. Default 1. */
  readonly replicaCount?: number
  /** Requests and limits of the module controllers. Default limits cpu 1, memory 1Gi; requests 200m, 200Mi. */
  readonly resources?: { readonly [key: string]: unknown } | null
  /** Secrets for pulling the controller's image, as `name` entries. */
  readonly imagePullSecrets?: readonly { readonly [key: string]: unknown }[] | null
  /** Node labels for the controller's pods. */
  readonly nodeSelector?: { readonly [key: string]: string } | null
  /** Tolerations of the controller's pods. */
  readonly tolerations?: readonly { readonly [key: string]: unknown }[] | null
  /** Affinity of the controller's pods. */
  readonly affinity?: { readonly [key: string]: unknown } | null
  /** Security context of the controller's pods. */
  readonly podSecurityContext?: { readonly [key: string]: unknown } | null
  /** Security context of the container `slime`. */
  readonly containerSecurityContext?: { readonly [key: string]: unknown } | null
  /** ServiceAccount of each module. */
  readonly serviceAccount?: {
    /** Whether to create it. Default true. The Deployment names it in any case. */
    readonly create?: boolean
  }
  /** Service of each module. */
  readonly service?: {
    /** Type of the Service. Default ClusterIP. */
    readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer'
    /** Port `http`. Default 80. */
    readonly port?: number
    /** Port that global-sidecars send their access log to. Default 8082. */
    readonly logSourcePort?: number
  }
  /** Container port of the probes. Default 8081. */
  readonly healthProbePort?: number
  /** Container port that receives access logs. Default 8082. */
  readonly logSourcePort?: number
  /** Volumes added to the controller's pods. */
  readonly volumes?: readonly { readonly [key: string]: unknown }[] | null
  /** Another name of `containers.slime.volumeMounts`. */
  readonly volumeMounts?: readonly { readonly [key: string]: unknown }[] | null
  /** Environment variables of the container `slime`, beside those that the operator sets. */
  readonly env?: readonly { readonly [key: string]: unknown }[] | null
  /** Settings of single containers. */
  readonly containers?: {
    /** The controller's container. */
    readonly slime?: {
      /** Mounts of `spec.volumes` in the container. */
      readonly volumeMounts?: readonly { readonly [key: string]: unknown }[] | null
    } | null
  } | null
  /** Modules to run. Each enabled one becomes a controller of its own, or part of a bundle. Required. */
  readonly module?: readonly {
    /** Name of the module's Deployment, Service, ConfigMap and ServiceAccount. Required. */
    readonly name?: string
    /** Whether the module runs. Without it `fence.enable` decides. */
    readonly enable?: boolean | null
    /** Kind of module. Default lazyload. */
    readonly kind?: string | null
    /** BundleItem runs inside a bundle and has no Deployment of its own. Default Module. */
    readonly mode?: 'Module' | 'BundleItem'
    /** Another name of `global.misc.global-sidecar-mode`. */
    readonly globalSidecarMode?: unknown
    /** ClusterRole to bind the module's ServiceAccount to. Default slime-lazyload for lazyload modules; another kind must name one. */
    readonly clusterRole?: string | null
    /** Lazyload settings. */
    readonly fence?: {
      /** Enables the module where `enable` is absent. */
      readonly enable?: boolean | null
      /** Service ports of the applications, as text or numbers; only these are learned. `auto`, alone or in the list, is every port on which Services of the mesh speak HTTP and none speaks TCP or TLS; `"-8443"` leaves one out. */
      readonly wormholePort?: unknown
      /** Where requests for unknown hosts go, by host. With at least one, nothing goes to the global-sidecar that no entry sends there. */
      readonly dispatches?:
        | readonly {
            /** Name of the virtual host. Required. */
            readonly name?: number | string
            /** Hosts, exact, `*.suffix`, `prefix.*` or `*`. Required; each once per port. */
            readonly domains?: readonly string[] | null
            /** Regular expression (RE2) of hosts, beside or instead of `domains`. */
            readonly domainRegex?: string | null
            /** An Istio cluster, `_GLOBAL_SIDECAR`, `PassthroughCluster` or a template over `.Values`. Required. */
            readonly cluster?: string | null
            readonly [key: string]: unknown
          }[]
        | null
      readonly [key: string]: unknown
    } | null
    /** Further settings of the module. */
    readonly general?: {
      /** Where global-sidecars run: `namespace`, `cluster` or `no`. Default as `component.globalSidecar.type` says. Another name of `global.misc.global-sidecar-mode`. */
      readonly globalSidecarMode?: unknown
      /** Service ports of the applications, as text or numbers; only these are learned. `auto`, alone or in the list, is every port on which Services of the mesh speak HTTP and none speaks TCP or TLS; `"-8443"` leaves one out. */
      readonly wormholePort?: unknown
      /** True is the same as `auto` in `wormholePort`. Default false. */
      readonly autoPort?: unknown
      /** How long a port that `auto` found is still served after the last Service with it is gone. Default `1h`. */
      readonly portGrace?: unknown
      /** False serves a port that `auto` found for ever. Default true. */
      readonly cleanupWormholePort?: unknown
      /** Mode namespace, namespaces of the applications beside those of `component.globalSidecar.namespace`. */
      readonly namespace?: readonly string[] | null
      /** Where requests for unknown hosts go, by host. With at least one, nothing goes to the global-sidecar that no entry sends there. */
      readonly dispatches?:
        | readonly {
            /** Name of the virtual host. Required. */
            readonly name?: number | string
            /** Hosts, exact, `*.suffix`, `prefix.*` or `*`. Required; each once per port. */
            readonly domains?: readonly string[] | null
            /** Regular expression (RE2) of hosts, beside or instead of `domains`. */
            readonly domainRegex?: string | null
            /** An Istio cluster, `_GLOBAL_SIDECAR`, `PassthroughCluster` or a template over `.Values`. Required. */
            readonly cluster?: string | null
            readonly [key: string]: unknown
          }[]
        | null
      /** Requests for hosts that neither the proxy nor a dispatch knows go to `PassthroughCluster` instead of the global-sidecar. Default false. */
      readonly passthroughByDefault?: unknown
      /** What calls are learned from: `prometheus` or `accesslog`. Default `prometheus`. Another name of `global.misc.metric_source_type`. */
      readonly metricSourceType?: unknown
      /** Serve fences of these namespaces only; with `type: namespaced` they are among those of `component.globalSidecar.namespace`. Default all that the SlimeBoot lists. */
      readonly namespaces?: unknown
      /** Fences that this module leaves to others: `by` whom, and of which `namespaces` and `revisions`. Default written by the operator. */
      readonly servedElsewhere?: unknown
      /** Mode cluster: namespace of the global-sidecar. Default `spec.namespace`. */
      readonly clusterGsNamespace?: unknown
      /** Time between two rounds of queries, a day at most. Default `30s`. */
      readonly prometheusInterval?: unknown
      /** How long answers must lack a host before it is forgotten. Default an interval. */
      readonly prometheusAbsence?: unknown
      /** How long nothing is forgotten after Prometheus failed or had lost its data; longer where it scrapes rarely. Default `5m`. */
      readonly prometheusRecovery?: unknown
      /** Queries at once. Default 8. */
      readonly prometheusConcurrency?: unknown
      /** How long an answer may take. Default `10s`. */
      readonly prometheusTimeout?: unknown
      /** A host that was learned from the access log is forgotten after this time. Default never. */
      readonly maxIdle?: unknown
      /** Accept access logs only from the addresses of global-sidecars; false where the network hides addresses. Default true. */
      readonly checkLogSource?: unknown
      /** Make fences for Services and Namespaces with label `slime.io/serviceFenced`. Default true. */
      readonly autoFence?: unknown
      /** Make fences for Services about which no label says anything. Default false. */
      readonly defaultFence?: unknown
      /** How long nothing must ask for a fence by label before it is removed. Default `10s`. */
      readonly autoFenceGrace?: unknown
      /** Fences by label only in these namespaces. Default all. */
      readonly whiteNamespaceList?: unknown
      /** No fences by label in these namespaces. Default none. */
      readonly blackNamespaceList?: unknown
      /** Label selectors; fences by label only in namespaces that one of them selects. Default all. */
      readonly managementSelectors?: unknown
      /** Which hosts stay in Sidecars though nobody has called them, because the catch-all cannot serve them: `all`, only those of the namespace of the fence (`namespace`), or `none`. Default all. */
      readonly keep?: unknown
      /** Hosts, or `<namespace>/*`, in every Sidecar. Default none. */
      readonly stableHost?: unknown
      /** `{pattern, templates}`: further domains for those that match. Default none. */
      readonly domainAliases?: unknown
      readonly [key: string]: unknown
    } | null
    /** Settings common to all modules. */
    readonly global?: {
      /** Pod label that names the service. Default app. */
      readonly service?: string | null
      /** Namespace kept in every Sidecar. Default istio-system. */
      readonly istioNamespace?: string | null
      /** Namespace kept in every Sidecar. Default mesh-operator. */
      readonly slimeNamespace?: string | null
      /** Istio revision whose fences this module handles. */
      readonly istioRev?: string | null
      /** Leave out fences without a revision. Default false. */
      readonly strictRev?: boolean | null
      /** Multi-cluster setting of the module. */
      readonly multicluster?: string | null
      /** Logging of the module. */
      readonly log?: {
        /** Log level. Default info. */
        readonly logLevel?: string | null
        /** Verbosity of the Kubernetes client. Default 5. */
        readonly klogLevel?: number | null
        /** Log to a rotated file instead of standard output. Default false. */
        readonly logRotate?: boolean | null
        /** How the file is rotated. */
        readonly logRotateConfig?: {
          /** Default /tmp/log/slime.log. */
          readonly filePath?: string | null
          /** Size at which a file is rotated. Default 100. */
          readonly maxSizeMB?: number | null
          /** Rotated files to keep. Default 10. */
          readonly maxBackups?: number | null
          /** Days to keep rotated files. Default 10. */
          readonly maxAgeDay?: number | null
          /** Compress rotated files. Default true. */
          readonly compress?: boolean | null
          readonly [key: string]: unknown
        } | null
        readonly [key: string]: unknown
      } | null
      /** Text settings. Values may arrive as booleans or numbers and become text. */
      readonly misc?: {
        /** namespace, cluster or no. Without it the mode follows from `component.globalSidecar.type`. */
        readonly 'global-sidecar-mode'?: unknown
        /** prometheus or accesslog. Default prometheus. */
        readonly metric_source_type?: unknown
        /** Address of the access-log receiver. Default ":8082". */
        readonly log_source_port?: unknown
        /** Address of the metrics. Default ":8080". */
        readonly 'metrics-addr'?: unknown
        /** Address of the probes. Default ":8081". */
        readonly 'aux-addr'?: unknown
        /** on or off. Default on, as the command line of the pod says. */
        readonly 'enable-leader-election'?: unknown
        /** Another name of `global-sidecar-mode`. */
        readonly globalSidecarMode?: unknown
        /** Another name of `metric_source_type`. */
        readonly metricSourceType?: unknown
        /** Another name of `log_source_port`. */
        readonly logSourcePort?: unknown
        /** Another name of `metrics-addr`. */
        readonly metricsAddr?: unknown
        /** Another name of `aux-addr`. */
        readonly auxAddr?: unknown
        /** Another name of `enable-leader-election`. */
        readonly enableLeaderElection?: unknown
        readonly [key: string]: unknown
      } | null
      readonly [key: string]: unknown
    } | null
    /** Where metrics come from. */
    readonly metric?: {
      /** Prometheus as source of who calls whom. */
      readonly prometheus?: {
        /** URL of Prometheus. */
        readonly address?: string | null
        /** Queries by name. */
        readonly handlers?: {
          readonly [key: string]: {
            /** PromQL; `$source_app` and `$namespace` stand for the fence. */
            readonly query?: string | null
            /** Group or Value. */
            readonly type?: number | string
            /** Ask this query once for all fences. Default false. */
            readonly aggregate?: unknown
            readonly [key: string]: unknown
          }
        } | null
        readonly [key: string]: unknown
      } | null
      /** Kubernetes metrics. */
      readonly k8s?: { readonly [key: string]: unknown } | null
      readonly [key: string]: unknown
    } | null
    /** Makes this module the process of others. */
    readonly bundle?: {
      /** Modules that run in this process. */
      readonly modules?:
        | readonly {
            /** Name of an entry of `spec.module`. */
            readonly name?: string | null
            /** Kind of module. */
            readonly kind?: string | null
            readonly [key: string]: unknown
          }[]
        | null
      readonly [key: string]: unknown
    } | null
    /** Settings of another kind of module. */
    readonly limiter?: { readonly [key: string]: unknown } | null
    /** Settings of another kind of module. */
    readonly plugin?: { readonly [key: string]: unknown } | null
    readonly [key: string]: unknown
  }[]
  /** Additional components. */
  readonly component?: {
    /** The shared proxy that forwards what an application's own proxy does not know yet. */
    readonly globalSidecar?: {
      /** false installs none. */
      readonly enable?: boolean | null
      /** namespaced (one per listed namespace) or cluster (one for all). */
      readonly type?: unknown
      /** Namespaces of the applications, for type namespaced. */
      readonly namespace?: readonly string[] | null
      /** Proxy image. Required with the pilot; without the pilot Istio's injection supplies it. */
      readonly image?: {
        /** Image without its tag. */
        readonly repository?: string
        /** Tag. Without it the repository is used alone. */
        readonly tag?: string | null
      } | null
      /** Secrets for pulling the image, as `name` entries. */
      readonly imagePullSecrets?: readonly { readonly [key: string]: unknown }[] | null
      /** Requests and limits. */
      readonly resources?: { readonly [key: string]: unknown } | null
      /** Replicas of each global-sidecar. Default 1. */
      readonly replicas?: number
      /** Istio revision (`istio.io/rev`) that injects the proxy. Without the pilot only. */
      readonly revision?: string | null
      /** Node labels. Without the pilot only. */
      readonly nodeSelector?: { readonly [key: string]: string } | null
      /** Tolerations. Without the pilot only. */
      readonly tolerations?: readonly { readonly [key: string]: unknown }[] | null
      /** Affinity. Without the pilot only. */
      readonly affinity?: { readonly [key: string]: unknown } | null
      /** Priority class. Without the pilot only. */
      readonly priorityClassName?: string | null
      /** Render a NetworkPolicy that lets only pods of the mesh reach the wormhole ports. Default false. Without the pilot only. */
      readonly networkPolicy?: boolean
      /** What becomes of a call on a wormhole port to a host that the mesh does not know. passthrough sends it on to the address that the application called, as without lazyload; callers whose outboundTrafficPolicy is REGISTRY_ONLY still get 404. refuse answers 404 to everybody. Default passthrough. Without the pilot only. */
      readonly unknownHosts?: 'passthrough' | 'refuse'
      readonly [key: string]: unknown
    } | null
    /** The modified istiod 1.7 of the tutorial. It needs APIs that Kubernetes 1.22 removed; leave it out for a current cluster. */
    readonly pilot?: {
      /** true installs it and gives global-sidecars the tutorial's shape. */
      readonly enable?: boolean | null
      /** Image. Required when enabled. */
      readonly image?: {
        /** Image without its tag. */
        readonly repository?: string
        /** Tag. Without it the repository is used alone. */
        readonly tag?: string | null
      } | null
      /** Secrets for pulling the image, as `name` entries. */
      readonly imagePullSecrets?: readonly { readonly [key: string]: unknown }[] | null
      /** Requests and limits. */
      readonly resources?: { readonly [key: string]: unknown } | null
      readonly [key: string]: unknown
    } | null
    readonly [key: string]: unknown
  } | null
  readonly [key: string]: unknown
}

/** What the operator did and sees. Written by the operator only. */
export interface SlimeBootStatus {
  /** metadata.generation that this status is about. */
  readonly observedGeneration?: number
  /** Ready, Reconciling and Stalled. */
  readonly conditions?: readonly {
    readonly type: string
    readonly status: 'True' | 'False' | 'Unknown'
    readonly reason?: string
    readonly message?: string
    readonly lastTransitionTime?: string
    readonly observedGeneration?: number
  }[]
  /** Where global-sidecars run, namespaced, cluster or none. */
  readonly mode?: string
  /** Kind of global-sidecar, pilot (the tutorial's) or stock (Istio's own proxy). */
  readonly shape?: string
  /** Names of the enabled modules. */
  readonly modules?: readonly string[]
  /** The same names joined by commas, for the column MODULES. */
  readonly moduleNames?: string
  /** Counts of rendered objects. */
  readonly objects?: {
    /** Rendered objects. */
    readonly total?: number
    /** Of these, applied and ready. */
    readonly ready?: number
  }
  /** Namespaces of global-sidecars whose catch-all is withdrawn, because no replica was available for 15 s. */
  readonly withdrawn?: readonly string[]
  /** Objects that are not ready, at most 20. */
  readonly unready?: readonly {
    /** Kind/namespace/name. */
    readonly object?: string
    /** Cause in CamelCase. */
    readonly reason?: string
    /** What is wrong, with the pod and container where there is one. */
    readonly message?: string
  }[]
  /** What works but deserves attention, at most 20. */
  readonly warnings?: readonly {
    /** Cause in CamelCase. */
    readonly reason?: string
    /** Field that the warning is about. */
    readonly path?: string
    /** What it means. */
    readonly message?: string
  }[]
  readonly [key: string]: unknown
}
