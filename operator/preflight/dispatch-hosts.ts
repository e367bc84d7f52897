/**
 * Dispatch domains against the mesh's own hosts: a domain that two virtual hosts of one route config have (compared
 * case-insensitively) makes Envoy reject the whole route config.
 */
import type { Client } from '../../runtime/client.ts'
import { ApiError } from '../../runtime/errors.ts'
import { objectId, type KubeObject } from '../../runtime/object.ts'
import { SERVICE, SERVICE_ENTRY, VIRTUAL_SERVICE } from '../api/kinds.ts'
import type { Values } from '../spec/values.ts'

export interface TakenHost {
  readonly domain: string
  /** `Service/shop/cart` */
  readonly object: string
}

/** The dispatch domains that a Service, ServiceEntry or VirtualService has already. */
export async function takenHosts(client: Pick<Client, 'get' | 'list'>, values: Values): Promise<readonly TakenHost[]> {
  const domains = [
    ...new Set(values.ports.flatMap((port) => port.dispatches.flatMap((dispatch) => dispatch.domains)).filter((domain) => domain !== '*')),
  ]
  if (domains.length === 0) return []
  const namespaces = values.globalSidecars.map((place) => place.namespace)
  const [services, ...lists] = await Promise.all([
    servicesOf(client, domains, namespaces),
    listOrNone(client, SERVICE_ENTRY),
    listOrNone(client, VIRTUAL_SERVICE),
  ])
  const byHost = new Map(lists.flat().flatMap((object) => hostsOf(object).map((host) => [host.toLowerCase(), objectId(object)] as const)))
  return domains
    .flatMap((domain) => {
      const object = services.get(domain) ?? byHost.get(domain.toLowerCase())
      return object === undefined ? [] : [{ domain, object }]
    })
    .sort((a, b) => (a.domain < b.domain ? -1 : 1))
}

/** Istio gives a Service the domains `name`, `name.ns`, `name.ns.svc` and `name.ns.svc.cluster.local`. */
export function serviceNamed(
  domain: string,
  namespaces: readonly string[],
): readonly { readonly namespace: string; readonly name: string }[] {
  const match = /^([a-z]([-a-z0-9]*[a-z0-9])?)(?:\.([a-z0-9]([-a-z0-9]*[a-z0-9])?)(?:\.svc(?:\.cluster\.local)?)?)?$/.exec(
    domain.toLowerCase(),
  )
  if (match === null) return []
  const [, name = '', , namespace] = match
  return namespace === undefined ? namespaces.map((each) => ({ namespace: each, name })) : [{ namespace, name }]
}

async function servicesOf(
  client: Pick<Client, 'get'>,
  domains: readonly string[],
  namespaces: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = await Promise.all(
    domains.flatMap((domain) =>
      serviceNamed(domain, namespaces).map(async ({ namespace, name }) => {
        const service = await client.get({ type: SERVICE, namespace, name })
        return service === undefined ? [] : [[domain, objectId(service)] as const]
      }),
    ),
  )
  return new Map(found.flat())
}

async function listOrNone(client: Pick<Client, 'list'>, type: typeof SERVICE_ENTRY): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(type)).items
  } catch (error) {
    if (error instanceof ApiError && error.unknownKind) return []
    throw error
  }
}

function hostsOf(object: KubeObject): readonly string[] {
  const hosts = (object['spec'] as { hosts?: unknown } | undefined)?.hosts
  return Array.isArray(hosts) ? hosts.filter((host) => typeof host === 'string') : []
}
