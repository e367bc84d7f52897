/** What the cluster says that a spec alone cannot: checks that need it are left out where it is not known. */
import type { DefaultExportTo } from './export-to.ts'
import type { FoundPort, PortConflict } from './found-ports.ts'
import type { EarlierScope } from './module-scope.ts'

export interface KubernetesVersion {
  readonly major: number
  readonly minor: number
}

/** What validation knows of the cluster; empty on the command line. */
export interface ClusterFacts {
  /** Root namespace of the mesh, where it is known. */
  readonly rootNamespace?: string
  /** To where the mesh exports what says nothing of it. */
  readonly exportTo?: DefaultExportTo
  /** Only SlimeBoots in this namespace are honoured: nothing checks the rights of who writes one (Kubernetes before 1.30). */
  readonly honouredNamespace?: string
  readonly kubernetesVersion?: KubernetesVersion
  /** Modules of SlimeBoots that come before this one, and whose fences it would serve too. */
  readonly earlier?: readonly EarlierScope[]
  /** What `wormholePort: auto` serves. */
  readonly foundPorts?: readonly FoundPort[]
  /** Ports that it does not serve, because some Services speak TCP or TLS there. */
  readonly portConflicts?: readonly PortConflict[]
  /** Ports that it does not serve, because there are too many. */
  readonly portsLeftOut?: readonly number[]
  /** Services or Namespaces may not be watched: ports that come and go are not noticed. */
  readonly portsUnseen?: boolean
}

/** ValidatingAdmissionPolicy is in every cluster from this version on: https://kubernetes.io/blog/2024/04/24/validating-admission-policy-ga/ */
const FIRST_MINOR_WITH_POLICIES = 30

/** Whether the API server cannot check the rights of who writes a SlimeBoot. */
export function lacksPolicies({ major, minor }: KubernetesVersion): boolean {
  return major === 1 && minor < FIRST_MINOR_WITH_POLICIES
}
