/** Where a global-sidecar sends its access log: one cluster of Envoy's bootstrap for each lazyload module that learns from it there. */
import type { JsonObject } from '../../runtime/object.ts'
import type { AccessLogReceiver, Values } from '../spec/values.ts'

/** Without it Envoy goes on sending to a pod that vanished with its node until the kernel gives up, after a quarter of an hour. */
const KEEPALIVE = { connection_keepalive: { interval: '10s', timeout: '5s' } }

/** The receivers for the global-sidecar of `namespace`: the modules that serve fences there. */
export function receiversIn(values: Values, namespace: string): readonly AccessLogReceiver[] {
  return values.accessLogs.filter(({ namespaces }) => values.mode === 'cluster' || namespaces?.includes(namespace) !== false)
}

/** A cluster of Envoy (https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto). */
export function accessLogCluster({ cluster, address, port }: AccessLogReceiver, shape: Values['shape']): JsonObject {
  return {
    name: cluster,
    type: 'STRICT_DNS',
    connect_timeout: '5s',
    http2_protocol_options: shape === 'stock' ? KEEPALIVE : {},
    dns_lookup_family: 'V4_ONLY',
    respect_dns_ttl: true,
    load_assignment: {
      cluster_name: cluster,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value: port } } } }] }],
    },
  }
}
