/**
 * Who may send access logs. The port is plaintext and open in the cluster; whoever writes to it changes Sidecars. So a stream must
 * come from the address of a global-sidecar, and in namespace mode teaches only fences of the namespace that it serves.
 */
import { canonicalAddress } from '../mesh/endpoints.ts'
import type { GlobalSidecarMode } from '../../module/settings.ts'

export interface PeerOptions {
  readonly mode: GlobalSidecarMode
  /** In cluster mode: the namespace of the global-sidecar. */
  readonly clusterNamespace: string
  readonly servicesOf: (address: string) => readonly string[]
  /** False: everybody, for networks that hide the peer's address. */
  readonly check: boolean
}

/** What a peer may teach: fences of these namespaces, or of all where that is undefined. */
export interface Grant {
  readonly namespaces: ReadonlySet<string> | undefined
}

const GLOBAL_SIDECAR = 'global-sidecar'

/** The grant of a peer, or undefined where it has none (yet: its EndpointSlice may still come). */
export function grantOf(address: string, { mode, clusterNamespace, servicesOf, check }: PeerOptions): Grant | undefined {
  if (!check) return { namespaces: undefined }
  const namespaces = servicesOf(canonicalAddress(address))
    .map((service) => service.split('/'))
    .filter(([, name]) => name === GLOBAL_SIDECAR)
    .map(([namespace]) => namespace!)
  if (mode === 'cluster') return namespaces.includes(clusterNamespace) ? { namespaces: undefined } : undefined
  return mode === 'namespace' && namespaces.length > 0 ? { namespaces: new Set(namespaces) } : undefined
}

/** The address in what gRPC calls a peer: `10.0.0.1:1234`, `[::ffff:10.0.0.1]:1234`, `ipv6:[::1]:1234`; canonical, so the first two are one. */
export function addressOfPeer(peer: string): string {
  const text = peer.replace(/^ipv[46]:/, '').replace(/:\d+$/, '')
  return canonicalAddress(text.replace(/^\[/, '').replace(/\]$/, ''))
}
