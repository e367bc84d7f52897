/** What the mesh configuration says that Sidecars must heed: hosts that proxies call themselves, default visibility, the root namespace. Pure. */
import { load } from 'js-yaml'
import { isHostName } from '../../module/names.ts'
import { withoutPort } from '../mesh/host-name.ts'
import type { ExportTo } from './visibility.ts'

export interface MeshConfig {
  /** As written, without port and namespace: `zipkin.istio-system`, `authz.auth.svc.cluster.local`. Sorted. */
  readonly hosts: readonly string[]
  readonly exportTo: { readonly Service: ExportTo; readonly VirtualService: ExportTo }
  readonly rootNamespace: string | undefined
}

type JsonMap = Readonly<Record<string, unknown>>

/** `text` is the key `mesh` of Istio's ConfigMap. Throws what the YAML parser throws. */
export function parseMeshConfig(text: string): MeshConfig {
  const mesh = text.trim() === '' ? {} : mapOf(load(text))
  const defaults = mapOf(mesh['defaultConfig'])
  const providers = (Array.isArray(mesh['extensionProviders']) ? mesh['extensionProviders'] : []) as readonly unknown[]
  const named = [
    // every kind of provider calls it `service`: https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/
    ...providers.flatMap((provider) => Object.values(mapOf(provider)).map((kind) => mapOf(kind)['service'])),
    ...Object.values(mapOf(defaults['tracing'])).map((tracer) => mapOf(tracer)['address']),
    ...['envoyAccessLogService', 'envoyMetricsService'].map((service) => mapOf(defaults[service])['address']),
    defaults['zipkinAddress'],
  ]
  const hosts = named.flatMap((name) => (typeof name === 'string' ? [hostOf(name)] : [])).filter(isHostName)
  const root = mesh['rootNamespace']
  return {
    hosts: [...new Set(hosts)].sort(),
    exportTo: { Service: listOf(mesh['defaultServiceExportTo']), VirtualService: listOf(mesh['defaultVirtualServiceExportTo']) },
    rootNamespace: typeof root === 'string' && root !== '' ? root : undefined,
  }
}

/** `host`, `namespace/host`, `host:port`, or `dns:///host:port` as gRPC writes it. */
function hostOf(address: string): string {
  return withoutPort(
    address
      .trim()
      .replace(/^[a-z]+:\/*(?=[a-z])/i, '')
      .replace(/^[^/]*\//, ''),
  )
}

function mapOf(value: unknown): JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonMap) : {}
}

function listOf(value: unknown): ExportTo {
  return Array.isArray(value) && value.length > 0 ? value.map(String) : undefined
}
