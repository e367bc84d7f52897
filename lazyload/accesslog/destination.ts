/** Which host a logged request was for, as its caller must know it (spec 3.2, for global-sidecars that are Envoy). */
import { learnableHost } from '../learn/metric-key.ts'
import { isHostName, withoutPort } from '../mesh/host-name.ts'
import { remember } from '../mesh/remember.ts'
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
  if (reached === '') return NONE
  const asked = lookup.resolve(withoutPort(authority), namespace)
  const covered = asked !== undefined && (asked === reached || lookup.destinationsOf(asked).includes(reached))
  const hosts = asked === undefined ? [reached] : covered ? [asked] : [asked, reached]
  return hosts.filter(isLearnable)
}

const NONE: readonly string[] = []

/** Of a full host name. */
const isLearnable = remember((host) => learnableHost(host, '', () => true) !== undefined)

/**
 * `details.default.svc.cluster.local` of `outbound|9080|v1|details.default.svc.cluster.local`, also in the spelling of SNI routing,
 * `outbound_.9080_.v1_.details…`; empty for any other cluster.
 */
const hostOfCluster = remember((cluster) => {
  const parts = cluster.startsWith('outbound_.') ? cluster.split('_.') : cluster.split('|')
  const host = parts.length === 4 && parts[0] === 'outbound' ? parts[3]!.toLowerCase() : ''
  return isHostName(host) && host.includes('.') ? host : ''
})
