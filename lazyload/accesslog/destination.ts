/** Which host a logged request was for, as its caller must know it (spec 3.2, for global-sidecars that are Envoy). */
import { learnableHost } from '../learn/metric-key.ts'
import { isHostName } from '../../module/names.ts'
import { remember } from '../../runtime/remember.ts'
import { withoutPort } from '../mesh/host-name.ts'
import type { LogEntry } from './decode.ts'

export interface DestinationLookup {
  /** The hosts of the mesh that a caller in this namespace means with a name or an address. */
  readonly hostsFor: (name: string, namespace: string) => readonly string[]
  readonly destinationsOf: (host: string) => readonly string[]
}

/**
 * The hosts that a caller in `namespace` depends on: the one that it asked for, if the mesh knows it, since that is the one whose
 * routes its proxy lacks; and the one of the cluster that answered, unless routes lead there anyway. Where no cluster of the mesh
 * answered, because the global-sidecar cannot serve that host (it is headless, no HTTP, not exported to it, or means something else in
 * its namespace), the one that was asked for all the same. None for what the mesh does not know.
 */
export function destinationsOf({ upstreamCluster, authority }: LogEntry, namespace: string, lookup: DestinationLookup): readonly string[] {
  // a call to the global-sidecar's own pod
  if (upstreamCluster.startsWith('inbound')) return NONE
  const reached = hostOfCluster(upstreamCluster)
  const asked = lookup.hostsFor(withoutPort(authority), namespace)
  if (reached === '') return asked.filter(isLearnable)
  if (asked.includes(reached)) return isLearnable(reached) ? [reached] : NONE
  const covered = asked.some((host) => lookup.destinationsOf(host).includes(reached))
  return (covered ? asked : [...asked, reached]).filter(isLearnable)
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
