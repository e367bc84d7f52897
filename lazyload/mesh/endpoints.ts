/** Which Services an address belongs to: from EndpointSlices, addresses that are not ready included, because a starting pod calls already. */
import { keyOf, type KubeObject } from '../../runtime/object.ts'

/** Label of an EndpointSlice: the Service that it is of. */
export const SERVICE_NAME = 'kubernetes.io/service-name'

const NONE: readonly string[] = []

export interface EndpointIndex {
  /** Takes in a change of the cache of EndpointSlices. */
  readonly change: (previous: KubeObject | undefined, current: KubeObject | undefined) => void
  /** `namespace/name` of every Service behind which `address` is. */
  readonly servicesOf: (address: string) => readonly string[]
}

export function createEndpointIndex(): EndpointIndex {
  /** Address to slices; most addresses are in one or two. */
  const slices = new Map<string, Map<string, string>>()
  /** Of the addresses that were asked for. */
  const services = new Map<string, readonly string[]>()
  return {
    change(previous, current) {
      const key = keyOf((current ?? previous)!)
      for (const address of [...addressesOf(previous), ...addressesOf(current)]) services.delete(address)
      for (const address of addressesOf(previous)) {
        const found = slices.get(address)
        found?.delete(key)
        if (found?.size === 0) slices.delete(address)
      }
      const service = current?.['service'] as string | undefined
      if (service === undefined || service === '') return
      for (const address of addressesOf(current)) slices.set(address, (slices.get(address) ?? new Map<string, string>()).set(key, service))
    },
    servicesOf(address) {
      const found = services.get(address)
      if (found !== undefined) return found
      const slicesOf = slices.get(address)
      // addresses that nobody has are not remembered: a sender may make up any number of them
      if (slicesOf === undefined) return NONE
      const distinct = [...new Set(slicesOf.values())]
      services.set(address, distinct)
      return distinct
    },
  }
}

function addressesOf(slice: KubeObject | undefined): readonly string[] {
  return (slice?.['addresses'] ?? []) as readonly string[]
}

/** Of one endpoint: Kubernetes writes one, and its own proxies read the first. */
const MAX_ADDRESSES = 2

/** For the cache: Service and addresses. */
export function slimEndpointSlice(object: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '', labels } = object.metadata
  const { addressType, endpoints } = object as {
    readonly addressType?: string
    readonly endpoints?: readonly { readonly addresses?: readonly string[] | null }[] | null
  }
  const service = labels?.[SERVICE_NAME]
  // all addresses of an endpoint are those of one pod; a slice has at most 1,000 endpoints, but 100 addresses in each
  const addresses =
    addressType === 'FQDN'
      ? []
      : (endpoints ?? []).flatMap((endpoint) => (endpoint.addresses ?? []).slice(0, MAX_ADDRESSES).map(canonicalAddress))
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: { name, namespace, uid, resourceVersion },
    service: service === undefined ? '' : `${namespace}/${service}`,
    addresses,
  }
}

/** One spelling for each address: IPv4 out of IPv6, IPv6 as RFC 5952 writes it, no zone. */
export function canonicalAddress(address: string): string {
  if (!address.includes(':')) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped !== null) return mapped[1]!
  const url = `http://[${address.replace(/%.*$/, '')}]/`
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : address
}
