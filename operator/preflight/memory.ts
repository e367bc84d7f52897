/** Whether the memory limit of the global-sidecar holds what the mesh makes it hold. For `slimeboot preflight`: it lists all Services. */
import type { Client } from '../../runtime/client.ts'
import { ApiError, hasCode } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { amountOf } from '../../runtime/quantity.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import { CONFIG_MAP, DESTINATION_RULE, ENDPOINT_SLICE, SERVICE, SERVICE_ENTRY } from '../api/kinds.ts'
import { defaultExportTo } from '../spec/export-to.ts'
import type { Values } from '../spec/values.ts'
import type { Finding } from './findings.ts'
import { globalSidecarMemory, HEADROOM } from './global-sidecar-memory.ts'
import { parseMesh, readMeshText } from './mesh-config.ts'
import { type MeshObjects, mostClusters, type SeenClusters } from './seen-clusters.ts'

const CHECK = 'Memory'
const LIMIT = 'component.globalSidecar.resources.limits.memory'
const MIB = 2 ** 20

/** One finding where there is a global-sidecar. Needs the right to list Services, EndpointSlices, ServiceEntries and DestinationRules. */
export async function memoryFindings(client: Pick<Client, 'get' | 'list'>, values: Values): Promise<readonly Finding[]> {
  if (values.globalSidecars.length === 0) return []
  try {
    const [objects, mesh, limit] = await Promise.all([
      readMesh(client),
      readMeshText(client, values.istioNamespace, values.globalSidecar.revision),
      limitOf(client, values),
    ])
    const exportTo = defaultExportTo(parseMesh(mesh)).defaultServiceExportTo
    // the pilot shape has no Sidecar that narrows it to the wormhole ports
    const ports = values.shape === 'stock' ? new Set(values.ports.map(({ port }) => port)) : undefined
    const seen = mostClusters(
      objects,
      values.globalSidecars.map(({ namespace }) => ({ namespace, ports, exportTo })),
    )
    return [memoryFinding(seen, limit)]
  } catch (error) {
    if (!hasCode(error, 403)) throw error
    return [{ check: CHECK, level: 'warning', detail: `${error.message} So what the global-sidecar needs is not known.` }]
  }
}

export interface MemoryLimit {
  /** As it is written; undefined: none. */
  readonly limit: string | undefined
  /** The SlimeBoot says none, so injection gives the mesh's. */
  readonly isInjected: boolean
}

export function memoryFinding({ clusters, endpoints }: SeenClusters, { limit, isInjected }: MemoryLimit): Finding {
  const each = clusters === 0 ? 0 : endpoints / clusters
  const { needMiB, limitMiB } = globalSidecarMemory({ services: clusters, ports: 1, endpoints: each })
  const need = `a global-sidecar holds up to ${clusters} clusters (each Service on each wormhole port) with ${Math.round(each)} endpoints on average, which takes about ${needMiB}Mi`
  const amount = limit === undefined ? undefined : amountOf(limit)
  if (amount === undefined) return { check: CHECK, level: 'ok', detail: `${need}; it has no memory limit` }
  const where = isInjected ? `its limit, the mesh's own for proxies, is ${limit}` : `its limit is ${limit}`
  if (amount >= needMiB * HEADROOM * MIB) return { check: CHECK, level: 'ok', detail: `${need}; ${where}` }
  const effect =
    amount < needMiB * MIB ? 'so it would be OOM-killed' : 'which leaves too little for the moment in which a large change arrives'
  const detail = `${need}; ${where}, ${effect}. Set ${LIMIT} to ${limitMiB}Mi or more (measured with Envoy 1.40, docs/performance.md).`
  return { check: CHECK, level: 'warning', detail }
}

async function readMesh(client: Pick<Client, 'list'>): Promise<MeshObjects> {
  const [services, slices, entries, rules] = await Promise.all([
    listSome(client, SERVICE, ({ spec }) => ({ spec: { ports: (spec as { ports?: unknown } | undefined)?.ports } })),
    // of an endpoint nothing but that it is there
    listSome(client, ENDPOINT_SLICE, ({ endpoints }) => ({
      endpoints: (endpoints as readonly unknown[] | null | undefined)?.map(() => 0),
    })),
    listSome(client, SERVICE_ENTRY, ({ spec }) => ({ spec })),
    listSome(client, DESTINATION_RULE, ({ spec }) => ({ spec })),
  ])
  return { services, slices, entries, rules }
}

/** Of each object its name, labels, annotations and what `keep` takes; nothing of a kind that the API server does not know. */
async function listSome(
  client: Pick<Client, 'list'>,
  type: ResourceType,
  keep: (object: KubeObject) => object,
): Promise<readonly KubeObject[]> {
  const map = (object: KubeObject): KubeObject => {
    const { name, namespace, labels, annotations } = object.metadata
    const metadata = { name, ...(namespace && { namespace }), ...(labels && { labels }), ...(annotations && { annotations }) }
    return { apiVersion: object.apiVersion, kind: object.kind, metadata, ...keep(object) }
  }
  try {
    return (await client.list(type, { map })).items
  } catch (error) {
    if (error instanceof ApiError && error.unknownKind) return []
    throw error
  }
}

/** What the SlimeBoot says; in the stock shape injection fills in what it does not. */
async function limitOf(client: Pick<Client, 'get'>, { globalSidecar, shape, istioNamespace }: Values): Promise<MemoryLimit> {
  const said = memoryOf(globalSidecar.resources)
  if (said !== undefined || shape !== 'stock') return { limit: said, isInjected: false }
  const suffix = globalSidecar.revision === undefined ? '' : `-${globalSidecar.revision}`
  const map = await client.get({ type: CONFIG_MAP, namespace: istioNamespace, name: `istio-sidecar-injector${suffix}` })
  const text = (map?.['data'] as { values?: string } | undefined)?.values
  return { limit: memoryOf(proxyResources(text)), isInjected: true }
}

/** `global.proxy.resources` of the injector's values; undefined for what is no JSON. */
function proxyResources(text: string | undefined): unknown {
  try {
    return (JSON.parse(text ?? '') as { global?: { proxy?: { resources?: unknown } } } | null)?.global?.proxy?.resources
  } catch {
    return undefined
  }
}

function memoryOf(resources: unknown): string | undefined {
  const memory = (resources as { limits?: { memory?: string | number | null } | null } | null | undefined)?.limits?.memory
  return memory === undefined || memory === null ? undefined : String(memory)
}
