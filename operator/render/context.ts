/** What a template sees: values of one install, module or global-sidecar. Absent values are null, so that an undefined one is always a mistake. */
import { accessLogCluster, receiversIn } from './access-log.ts'
import { FORWARD_CLUSTERS, FORWARDING, FROM_1_20 } from './forwarding.ts'
import type { DispatchValues, GlobalSidecarPlace, GlobalSidecarValues, ModuleValues, Values, WormholePort } from '../spec/values.ts'

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
  | { readonly kind: 'moduleNamespace'; readonly module: ModuleValues; readonly place: { readonly namespace: string } }
  | { readonly kind: 'globalSidecar'; readonly place: GlobalSidecarPlace }

/** Context of the templates of one unit. */
export function contextOf(values: Values, unit: Unit, checksum: string | null): Context {
  const { namespace, controller, shape } = values
  const shared = { namespace, controller, stock: shape === 'stock', checksum, foundPorts: values.foundPorts ?? null }
  if (unit.kind === 'module') return { ...shared, module: unit.module, servedNamespaces: unit.module.namespaces?.join(',') ?? null }
  if (unit.kind === 'moduleNamespace') return { ...shared, module: unit.module, place: unit.place }
  if (unit.kind === 'install') return { ...shared, pilot: values.pilot ?? null }
  return {
    ...shared,
    place: unit.place,
    clusterWide: values.mode === 'cluster',
    ports: values.ports.map((port) => portContext(port, values)),
    forward: forwards(values) ? FORWARDING : null,
    forwardClusters: forwards(values) ? FORWARD_CLUSTERS : [],
    testedVersions: FROM_1_20,
    allowedVhosts: ALLOWED_VHOSTS,
    blockedVhost: BLOCKED_VHOST,
    globalSidecar: globalSidecarContext(values.globalSidecar),
    accessLogs: receiversIn(values, unit.place.namespace),
    accessLogClusters: receiversIn(values, unit.place.namespace).map((receiver) => accessLogCluster(receiver, shape)),
    // The tutorial puts it beside the catch-all; a selector works from there too, but only one namespace needs it.
    accessLogNamespace: shape === 'stock' ? unit.place.namespace : unit.place.filterNamespace,
  }
}

/** Whether a call to an unknown host goes on to where it was going (forwarding.ts). */
function forwards({ shape, globalSidecar }: Values): boolean {
  return shape === 'stock' && globalSidecar.unknownHosts === 'passthrough'
}

/**
 * `vhosts`: virtual hosts that the catch-all adds to this port's route config. `handOn`: Istio's own virtual hosts for all other hosts
 * stay, and get a first route to the global-sidecar that carries the address which was called. `removed`: else these go. `guarded`: what
 * the guard takes away from the global-sidecar, each once.
 */
function portContext({ port, dispatches }: WormholePort, values: Values) {
  const stock = values.shape === 'stock'
  const byDomain = dispatches.filter(({ domains }) => domains.length > 0)
  const all = byDomain.length === 0 ? [DEFAULT_VHOST] : byDomain
  const handOn = forwards(values) && all.some(takesTheRest)
  const vhosts = handOn ? all.map(withoutTheRest).filter(({ domains }) => domains.length > 0) : all
  const names = [...new Set(vhosts.map(({ name }) => name))]
  return {
    port,
    handOn,
    vhosts: vhosts.map(({ name, domains, cluster }) => ({
      name,
      domains,
      cluster: cluster ?? null,
      toGlobalSidecar: cluster === undefined,
    })),
    regexRoutes: regexRoutes(dispatches, [
      ...ALLOWED_VHOSTS,
      BLOCKED_VHOST,
      ...all.filter(({ domains }) => domains.includes('*')).map(({ name }) => name),
    ]).map((route) => {
      const told = forwards(values) && route.toGlobalSidecar
      const allowed = ALLOWED_VHOSTS.some((name) => name === route.vhost)
      return { ...route, handsOn: told && allowed, keepsBack: told && !allowed }
    }),
    removed: stock ? [...ALLOWED_VHOSTS, BLOCKED_VHOST] : [ALLOWED_VHOSTS[0], BLOCKED_VHOST],
    guarded: stock ? [...new Set([...ALLOWED_VHOSTS, BLOCKED_VHOST, DEFAULT_VHOST.name, ...names])] : names,
  }
}

/** What Istio calls its virtual host for all other hosts, by outboundTrafficPolicy: ALLOW_ANY, ALLOW_ANY_DYNAMIC_DNS (from 1.31 on). */
const ALLOWED_VHOSTS = ['allow_any', 'allow_any_dynamic_dns'] as const
/** The same for REGISTRY_ONLY. */
const BLOCKED_VHOST = 'block_all'

/** The catch-all virtual host without dispatches (behaviour 7.4). */
const DEFAULT_VHOST: DispatchValues = { name: 'to_global_sidecar', domains: ['*'], cluster: undefined }

/** Names of virtual hosts that no dispatch has. */
export const OWN_VHOSTS: ReadonlySet<string> = new Set([...ALLOWED_VHOSTS, BLOCKED_VHOST, DEFAULT_VHOST.name])

/** For each virtual host with the domain `*` the routes by regular expression, the last one first: each is inserted before the others. */
function regexRoutes(dispatches: readonly DispatchValues[], vhosts: readonly string[]) {
  const routes = dispatches.flatMap(({ name, domainRegex, cluster }) =>
    domainRegex === undefined ? [] : [{ name, regex: domainRegex, cluster: cluster ?? null, toGlobalSidecar: cluster === undefined }],
  )
  return [...new Set(vhosts)].flatMap((vhost) => routes.toReversed().map((route) => ({ vhost, ...route })))
}

/** Whether it sends every host that nothing else names to the global-sidecar. */
function takesTheRest({ domains, cluster }: DispatchValues): boolean {
  return cluster === undefined && domains.includes('*')
}

function withoutTheRest(dispatch: DispatchValues): DispatchValues {
  return takesTheRest(dispatch) ? { ...dispatch, domains: dispatch.domains.filter((domain) => domain !== '*') } : dispatch
}

function globalSidecarContext(values: GlobalSidecarValues) {
  const { image = null, revision = null, priorityClassName = null } = values
  return { ...values, image, revision, priorityClassName }
}
