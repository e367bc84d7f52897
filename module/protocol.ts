/** Istio's own rules for the protocol of a port. Pure. https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/ */

export type Protocol = 'http' | 'tcp' | 'udp' | 'unknown'

/** `Parse` and `IsHTTP` in istio.io/istio/pkg/config/protocol (1.31). */
const PROTOCOLS: ReadonlyMap<string, Protocol> = new Map([
  ...['http', 'http2', 'http_proxy', 'grpc', 'grpc-web'].map((word) => [word, 'http'] as const),
  ...['tcp', 'tls', 'https', 'mongo', 'mysql', 'redis'].map((word) => [word, 'tcp'] as const),
  ['udp', 'udp'],
])

/** Names that Kubernetes defines for `appProtocol`. */
const OF_KUBERNETES: ReadonlyMap<string, Protocol> = new Map([
  ['kubernetes.io/h2c', 'http'],
  ['kubernetes.io/ws', 'http'],
  ['kubernetes.io/wss', 'tcp'],
])

/** SMTP, DNS, MySQL, MongoDB: Istio does not look into their streams. Elsewhere what is not known is detected. */
const NEVER_DETECTED: ReadonlySet<number> = new Set([25, 53, 3306, 27_017])

export interface ServicePort {
  readonly port: number
  readonly name?: string | null
  readonly protocol?: string | null
  readonly appProtocol?: string | null
}

/** Of a port of a Service (`ConvertProtocol` in istio.io/istio/pkg/config/kube): `appProtocol`, else what stands before the first `-` of the name. */
export function protocolOfService({ port, name, protocol, appProtocol }: ServicePort): Protocol {
  if (protocol !== undefined && protocol !== null && protocol !== 'TCP') return 'udp'
  const known = OF_KUBERNETES.get(appProtocol ?? '')
  if (known !== undefined) return known
  const said = (appProtocol ?? name ?? '').toLowerCase()
  if (said.startsWith('grpc-web')) return 'http'
  const parsed = parse(said.split('-')[0]!)
  return parsed === 'unknown' && NEVER_DETECTED.has(port) ? 'tcp' : parsed
}

/** Of a port of a ServiceEntry: its field `protocol` alone, whatever the port is called. */
export function protocolOfEntry(protocol: string | null | undefined): Protocol {
  return parse((protocol ?? '').toLowerCase())
}

function parse(word: string): Protocol {
  return PROTOCOLS.get(word) ?? 'unknown'
}
