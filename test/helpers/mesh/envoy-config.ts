/**
 * The configuration that istiod gives to a global-sidecar's Envoy, as one static file: a listener per wormhole port, a virtual host per
 * Service and port, clusters under Istio's names. The access log and the cluster that it goes to are those that the operator renders.
 */
import type { Mode, Shape } from '../../../operator/spec/values.ts'
import { render } from '../../../operator/render/render.ts'
import type { JsonObject } from '../../../runtime/object.ts'
import { valuesOf } from '../shapes.ts'

export interface MeshService {
  /** `details.default.svc.cluster.local`, or a host of a ServiceEntry. */
  readonly host: string
  readonly ports: readonly number[]
  /** A VirtualService sends its calls to this subset, or to this other host. */
  readonly subset?: string
  readonly routedTo?: string
  /** Where calls end. */
  readonly address: string
}

export interface GlobalSidecarConfig {
  readonly shape: Shape
  readonly mode: Mode
  /** Of the global-sidecar. */
  readonly namespace: string
  readonly pod: string
  readonly ip: string
  readonly services: readonly MeshService[]
  /** Without an access log to lazyload when false. */
  readonly log?: boolean
}

const ADMIN_PORT = 15_000
const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router'

/** The bootstrap of Envoy, to be written as JSON. */
export function globalSidecarBootstrap(config: GlobalSidecarConfig): object {
  const { namespace, pod, ip, services } = config
  const ports = [...new Set(services.flatMap((service) => service.ports))].sort((a, b) => a - b)
  const { accessLog, clusters } = renderedAccessLog(config)
  return {
    node: {
      id: `sidecar~${ip}~${pod}.${namespace}~${namespace}.svc.cluster.local`,
      cluster: `global-sidecar.${namespace}`,
      metadata: metadataOf(config),
    },
    admin: { address: socketAddress('127.0.0.1', ADMIN_PORT) },
    static_resources: {
      listeners: ports.map((port) => listener(port, config, accessLog)),
      clusters: [...unique(services.flatMap((service) => service.ports.map((port) => cluster(service, port)))), ...clusters],
    },
  }
}

/** What an Istio proxy says about itself. */
function metadataOf({ namespace, pod, ip, shape }: GlobalSidecarConfig): object {
  return {
    NAME: pod,
    NAMESPACE: namespace,
    INSTANCE_IPS: ip,
    CLUSTER_ID: 'Kubernetes',
    MESH_ID: 'cluster.local',
    INTERCEPTION_MODE: 'NONE',
    ISTIO_VERSION: shape === 'pilot' ? '1.7.0' : '1.31.0',
    ...(shape === 'pilot' ? { ROUTER_MODE: 'sni-dnat' } : {}),
    LABELS: { app: 'qz-ingress', 'security.istio.io/tlsMode': 'disabled' },
    SERVICE_ACCOUNT: 'global-sidecar',
    WORKLOAD_NAME: 'global-sidecar',
    OWNER: `kubernetes://apis/apps/v1/namespaces/${namespace}/deployments/global-sidecar`,
    PROXY_CONFIG: {
      binaryPath: '/usr/local/bin/envoy',
      configPath: './etc/istio/proxy',
      discoveryAddress: 'istiod.istio-system.svc:15012',
    },
  }
}

function listener(port: number, { shape, services, namespace }: GlobalSidecarConfig, accessLog: readonly object[]): object {
  const gateway = shape === 'pilot'
  return {
    name: `0.0.0.0_${port}`,
    address: socketAddress('0.0.0.0', port),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': HCM,
              stat_prefix: `outbound_0.0.0.0_${port}`,
              // the tutorial's pilot runs with PILOT_SIDECAR_USE_REMOTE_ADDRESS; a sidecar of istiod believes x-forwarded-for
              use_remote_address: gateway,
              access_log: accessLog,
              route_config: {
                name: String(port),
                ignore_port_in_host_matching: !gateway,
                virtual_hosts: services
                  .filter((service) => service.ports.includes(port))
                  .map((service) => ({
                    name: `${service.host}:${port}`,
                    domains: domainsOf(service.host, namespace, gateway ? port : undefined),
                    routes: [{ name: 'default', match: { prefix: '/' }, route: { cluster: clusterName(service, port), timeout: '0s' } }],
                  })),
              },
              http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER } }],
            },
          },
        ],
      },
    ],
  }
}

/** As istiod writes them for a proxy in `namespace`; short names only for Services of that namespace. */
function domainsOf(host: string, namespace: string, port: number | undefined): readonly string[] {
  const [name, of, svc] = host.split('.')
  const service = svc === 'svc' && host.endsWith('.svc.cluster.local')
  const names = service ? [host, ...(of === namespace ? [name!] : []), `${name}.${of}`, `${name}.${of}.svc`] : [host]
  return port === undefined ? names : names.flatMap((each) => [each, `${each}:${port}`])
}

function unique<Item extends { readonly name: string }>(items: readonly Item[]): readonly Item[] {
  return [...new Map(items.map((item) => [item.name, item])).values()]
}

function cluster(service: MeshService, port: number): JsonObject & { readonly name: string } {
  const name = clusterName(service, port)
  const endpoint = { address: socketAddress(service.address, port) }
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
  }
}

function clusterName({ host, subset = '', routedTo = host }: MeshService, port: number): string {
  return `outbound|${port}|${subset}|${routedTo}`
}

function socketAddress(address: string, port: number): JsonObject {
  return { socket_address: { address, port_value: port } }
}

/** Out of the EnvoyFilter and the ConfigMap that the operator renders for this shape. */
function renderedAccessLog({ shape, mode, namespace, log = true }: GlobalSidecarConfig): {
  readonly accessLog: readonly object[]
  readonly clusters: readonly object[]
} {
  if (!log) return { accessLog: [], clusters: [] }
  const boot = valuesOf({ shape, mode, source: 'accesslog', volumes: false, dispatches: false, namespaces: [namespace] })
  const objects = render(boot).map(({ object }) => object as any)
  const filter = objects.find(({ kind, metadata }) => kind === 'EnvoyFilter' && metadata.name === 'global-sidecar-accesslog')
  const bootstrap = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'lazyload-accesslog-source')
  return {
    accessLog: filter.spec.configPatches[0].patch.value.typed_config.access_log,
    clusters: JSON.parse(bootstrap.data['custom_bootstrap.json']).static_resources.clusters,
  }
}
