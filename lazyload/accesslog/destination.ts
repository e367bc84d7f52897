/** Which host a logged request was for, as its caller must know it (spec 3.2, for global-sidecars that are Envoy). */
import { isHostName, withoutPort } from '../mesh/host-name.ts'
import { learnableHost } from '../learn/metric-key.ts'
import type { LogEntry } from './decode.ts'

export interface DestinationLookup {
  /** The full host of a name as a caller in this namespace means it. */
  readonly resolve: (name: string, namespace: string) => string | undefined
  readonly destinationsOf: (host: string) => readonly string[]
  readonly isExternal: (host: string) => boolean
}

/**
 * The hosts that a caller in `namespace` depends on: the one that it asked for, if the mesh knows it, since that is the one whose
 * routes its proxy lacks; and the one of the cluster that answered, unless routes lead there anyway. None for a request that
 * global-sidecar did not forward within the mesh.
 */
export function destinationsOf({ upstreamCluster, authority }: LogEntry, namespace: string, lookup: DestinationLookup): readonly string[] {
  const reached = hostOfCluster(upstreamCluster)
  if (reached === undefined) return []
  const asked = lookup.resolve(withoutPort(authority), namespace)
  const covered = asked !== undefined && (asked === reached || lookup.destinationsOf(asked).includes(reached))
  const hosts = covered ? [asked] : [asked, reached]
  return hosts.filter((host) => host !== undefined && learnableHost(host, namespace, () => true) !== undefined) as readonly string[]
}

/** `details.default.svc.cluster.local` of `outbound|9080|v1|details.default.svc.cluster.local`, also in the spelling of SNI routing, `outbound_.9080_.v1_.details…`. */
function hostOfCluster(cluster: string): string | undefined {
  const parts = cluster.startsWith('outbound_.') ? cluster.split('_.') : cluster.split('|')
  const host = parts.length === 4 && parts[0] === 'outbound' ? parts[3]!.toLowerCase() : ''
  return isHostName(host) && host.includes('.') ? host : undefined
}
