/** A rendered object and what the operator must know about it to apply it in order. */
import type { KubeObject } from '../../runtime/object.ts'

/** 1 ServiceAccounts, bindings; 2 ConfigMaps, Services, Sidecar, guard, access-log filter; 3 Deployments; 4 the catch-all. */
export type Wave = 1 | 2 | 3 | 4

export interface Manifest {
  readonly object: KubeObject
  readonly wave: Wave
  /** Template it came from, relative to the project: `templates/module/deployment.yaml.hbs`. */
  readonly template: string
  /** SlimeBoot field that gave metadata.namespace: `spec.component.globalSidecar.namespace[2]`. */
  readonly namespaceField?: string
  /** Set on the EnvoyFilter that takes over a route config's unknown hosts. */
  readonly catchAll?: CatchAll
}

export interface CatchAll {
  /** Namespace whose proxies it reaches; `*` for the whole mesh. */
  readonly scope: string
  /** Wormhole ports, ascending. */
  readonly ports: readonly number[]
  /** Namespace of the Deployment `global-sidecar` that must be available first. */
  readonly globalSidecarNamespace: string
}
