/** Defaults of `spec`: the one place where they live. An operator's defaults file and the spec itself come on top (merge.ts). */
import type { JsonObject } from '../../runtime/object.ts'

/** Defaults of the tutorial-day chart (spec 9), and of the stock global-sidecar. */
export const DEFAULTS: JsonObject = {
  image: { pullPolicy: 'Always' },
  namespace: 'mesh-operator',
  istioNamespace: 'istio-system',
  replicaCount: 1,
  resources: {
    limits: { cpu: 1, memory: '1Gi' },
    requests: { cpu: '200m', memory: '200Mi' },
  },
  serviceAccount: { create: true },
  service: { type: 'ClusterIP', port: 80, logSourcePort: 8082 },
  healthProbePort: 8081,
  logSourcePort: 8082,
}

/** Defaults of `component.globalSidecar`, read where the key is absent: the component itself must not appear by default. */
export const GLOBAL_SIDECAR_DEFAULTS = { replicas: 1, networkPolicy: false, unknownHosts: 'passthrough' } as const

/** ClusterRole of lazyload modules; it ships with the operator. */
export const LAZYLOAD_CLUSTER_ROLE = 'slime-lazyload'
