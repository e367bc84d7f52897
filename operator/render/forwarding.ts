/**
 * How a call to a host that the mesh does not know goes on: the caller's proxy writes the address that the application called into a
 * header, and the global-sidecar sends the call to exactly that address. Whoever reaches the global-sidecar without a proxy of ours can
 * write the header himself, so it leads to few places: the wormhole port alone, and no address that means a machine itself.
 */

const BEFORE_1_20 = String.raw`^1\.1\d.*`
/** Proxies of Istio 1.20 and later, from which on the global-sidecar without a pilot is tested. */
export const FROM_1_20 = String.raw`^1\.[2-9]\d.*`

/** Values must never be trusted further than `refusedAddresses` and `addresses` go. */
export const FORWARDING = {
  /** Carries the address, `10.0.0.1:80` or `[fd00::1]:80`. It never reaches the destination. */
  addressHeader: 'x-slime-original-destination',
  /** A character for each global-sidecar that has sent the call to an unknown host. The destination sees it: only so does a loop show. */
  hopHeader: 'x-slime-hops',
  cluster: 'slime_original_destination',
  /** A call that has come through four global-sidecars goes round. One that passes two is honest: a gateway that copies headers. */
  tooManyHops: '.*1111.*',
  /** Loopback, link-local (the metadata service of clouds), unspecified, multicast; the metadata services of AWS (IPv6) and Alibaba. */
  refusedAddresses: String.raw`(0|127|169\.254|22[4-9]|2[3-5]\d)\..*|100\.100\.100\.200:.*|\[[fF][dD]00:0?[eE][cC]2:.*`,
  /** IPv4; of IPv6 global unicast, unique local, and what NAT64 maps: not the many ways to write a loopback address. */
  addresses: String.raw`(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[([23][0-9a-fA-F]{3}|[fF][cCdD][0-9a-fA-F]{2}|64:[fF][fF]9[bB]):[0-9a-fA-F:.]+\])`,
  /** Istio versions that can change a header before the route is chosen. Before, a route sees all values of a header as one. */
  headerMutationVersions: FROM_1_20,
  /** Hosts by which a pod asks the machine that it runs on. Through the global-sidecar it would get the answer for another pod. */
  machineHosts: String.raw`(169\.254\.\d{1,3}\.\d{1,3}|100\.100\.100\.200|\[fd00:ec2::[0-9a-f]+\]|metadata\.goog|metadata\.google\.internal)(:\d+)?`,
} as const

/** Istio's build of Envoy has the filter that takes the header away from 1.19 on. Before, an unknown host sees the address as well. */
export const FORWARD_CLUSTERS = [
  { proxyVersion: BEFORE_1_20, removesHeader: false },
  { proxyVersion: FROM_1_20, removesHeader: true },
] as const
