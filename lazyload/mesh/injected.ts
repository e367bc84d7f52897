/** Lazyload belongs outside of the mesh: in an injected pod the address of every caller is that of the proxy beside it. */

/** What Istio's proxy connects from, since Istio 1.10 (`InboundPassthroughBindIpv4` in istio.io/istio/pilot/pkg/networking/util). */
const PROXY_ADDRESSES: ReadonlySet<string> = new Set(['127.0.0.6', '::6'])

/** `address` in its canonical spelling. */
export function isProxyAddress(address: string): boolean {
  return PROXY_ADDRESSES.has(address)
}

export const FROM_PROXY =
  'This came through an Istio proxy in lazyload\'s pod, which hides who sent it. Keep the pod out of the mesh: its label sidecar.istio.io/inject must be "false", as the operator renders it.'
