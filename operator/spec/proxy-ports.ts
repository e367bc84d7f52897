/** Ports that an Istio proxy uses itself: https://istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio */
export const PROXY_PORTS = { first: 15_000, last: 15_099 }

export function isProxyPort(port: number): boolean {
  return port >= PROXY_PORTS.first && port <= PROXY_PORTS.last
}
