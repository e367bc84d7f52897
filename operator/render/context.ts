/** What a template sees: values of one install, module or global-sidecar. Absent values are null, so that an undefined one is always a mistake. */
import type { GlobalSidecarPlace, GlobalSidecarValues, ModuleValues, Values, WormholePort } from '../spec/values.ts'

/** `checksum`: SHA-256 (hex) of the data of the ConfigMap that the template's pods read, or null. */
export interface Context {
  readonly namespace: string
  readonly controller: Values['controller']
  readonly stock: boolean
  readonly checksum: string | null
  readonly [name: string]: unknown
}

export type Unit =
  | { readonly kind: 'install' }
  | { readonly kind: 'module'; readonly module: ModuleValues }
  | { readonly kind: 'globalSidecar'; readonly place: GlobalSidecarPlace }

/** Context of the templates of one unit. */
export function contextOf(values: Values, unit: Unit, checksum: string | null): Context {
  const { namespace, controller, shape } = values
  const shared = { namespace, controller, stock: shape === 'stock', checksum }
  if (unit.kind === 'module') return { ...shared, module: unit.module }
  if (unit.kind === 'install') return { ...shared, pilot: values.pilot ?? null }
  return {
    ...shared,
    place: unit.place,
    clusterWide: values.mode === 'cluster',
    ports: values.ports.map(portContext),
    globalSidecar: globalSidecarContext(values.globalSidecar),
    accessLog: values.accessLog ?? null,
    accessLogKeepalive: shape === 'stock' ? { connection_keepalive: ACCESS_LOG_KEEPALIVE } : {},
    // The tutorial puts it beside the catch-all; a selector works from there too, but only one namespace needs it.
    accessLogNamespace: shape === 'stock' ? unit.place.namespace : unit.place.filterNamespace,
  }
}

/** Without it Envoy goes on sending to a pod that vanished with its node until the kernel gives up, after a quarter of an hour. */
const ACCESS_LOG_KEEPALIVE = { interval: '10s', timeout: '5s' }

/** `guarded`: names of the virtual hosts that the catch-all adds to this port's route config, each once. */
function portContext({ port, dispatches }: WormholePort) {
  const vhosts = dispatches.map(({ name, domains, cluster }) => ({
    name,
    domains,
    cluster: cluster ?? null,
    toGlobalSidecar: cluster === undefined,
  }))
  const guarded = vhosts.length === 0 ? [DEFAULT_VHOST] : [...new Set(vhosts.map(({ name }) => name))]
  return { port, vhosts: vhosts.length === 0 ? [defaultVhost()] : vhosts, guarded }
}

/** Name of the catch-all virtual host without dispatches (behaviour 7.4). */
const DEFAULT_VHOST = 'to_global_sidecar'

function defaultVhost() {
  return { name: DEFAULT_VHOST, domains: ['*'], cluster: null, toGlobalSidecar: true }
}

function globalSidecarContext(values: GlobalSidecarValues) {
  const { image = null, revision = null, priorityClassName = null } = values
  return { ...values, image, revision, priorityClassName }
}
