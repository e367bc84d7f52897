/** Host names of the mesh: short names completed, addresses and nonsense told apart. */
import { remember } from '../../runtime/remember.ts'

export const CLUSTER_DOMAIN = 'svc.cluster.local'

const MAX_LENGTH = 253

/** A wildcard over every Service of the cluster (`*.local`) would bring the whole mesh into a Sidecar. */
export function coversCluster(host: string): boolean {
  return host.startsWith('*.') && (CLUSTER_DOMAIN === host.slice(2) || CLUSTER_DOMAIN.endsWith(host.slice(1)))
}

export function serviceHost(name: string, namespace: string): string {
  return `${name}.${namespace}.${CLUSTER_DOMAIN}`
}

/** `namespace/name` of `name.namespace.svc.cluster.local`; undefined for another host. */
export function serviceOf(host: string): string | undefined {
  const labels = host.split('.')
  return labels.length === 5 && labels.slice(2).join('.') === CLUSTER_DOMAIN ? `${labels[1]}/${labels[0]}` : undefined
}

/** As a metric writes it (spec 3.4): one label is a service of `namespace`, two are service and namespace. */
export function completeHost(host: string, namespace: string): string {
  const labels = host.split('.').length
  if (labels === 1) return serviceHost(host, namespace)
  return labels === 2 ? `${host}.${CLUSTER_DOMAIN}` : host
}

/** As Istio reads a VirtualService: only a name without a dot is short (`ResolveShortnameToFQDN` in istio.io/istio/pilot/pkg/model). */
export function completeShortName(host: string, namespace: string): string {
  return host.includes('.') || host === '*' ? host : serviceHost(host, namespace)
}

/** `authority` of a request without port, closing dot and the brackets of IPv6, lower case: `details`, `details.default`, `::1`. */
export const withoutPort = remember((authority) => {
  const text = authority.slice(0, MAX_LENGTH + 10).toLowerCase()
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(text)
  if (bracketed !== null) return bracketed[1]!
  // several colons without brackets: an IPv6 address that somebody wrote without its port
  return text.indexOf(':') === text.lastIndexOf(':') ? text.replace(/:\d*$/, '').replace(/\.$/, '') : text
})

/** `*.b.c`, `*.c`, `*` for `a.b.c`. */
export function wildcardsFor(host: string): readonly string[] {
  const labels = host.split('.')
  return [...labels.keys()]
    .slice(1)
    .map((from) => `*.${labels.slice(from).join('.')}`)
    .concat('*')
}
