/** What is remembered of a Service or a ServiceEntry to tell whether the catch-all can serve it. Pure. */
import type { KubeObject } from '../../runtime/object.ts'
import { remember } from '../../runtime/remember.ts'
import { protocolOfEntry, protocolOfService, type Protocol, type ServicePort } from '../../module/protocol.ts'
import { EXPORT_TO, type ExportTo, exportToOf } from './visibility.ts'

export interface Exposure {
  /** Numbers of its HTTP ports. */
  readonly http: readonly number[]
  /** It has a port of another protocol than HTTP, or of one that nobody knows; UDP does not count. */
  readonly other: boolean
  /** Callers connect to a pod of their choice: a headless Service, or an entry with `resolution: NONE`. */
  readonly direct: boolean
  readonly exportTo?: ExportTo
}

/** Most Services are exposed in one of a few ways. */
const shared = remember((text) => JSON.parse(text) as Exposure)

/** Undefined for a Service that no proxy serves: without ports but for UDP, or an ExternalName, of which Istio makes an alias of its target. */
export function exposureOfService(service: KubeObject): Exposure | undefined {
  const { ports, type, clusterIP } = (service['spec'] ?? {}) as {
    readonly ports?: readonly (ServicePort | null)[] | null
    readonly type?: string
    readonly clusterIP?: string
  }
  if (type === 'ExternalName') return undefined
  const found = (ports ?? []).flatMap((port) => (port === null ? [] : [[port.port, protocolOfService(port)] as const]))
  return exposure(found, clusterIP === 'None', exportToOf(service.metadata.annotations?.[EXPORT_TO]))
}

export function exposureOfEntry(entry: KubeObject): Exposure | undefined {
  const { ports, resolution, exportTo } = (entry['spec'] ?? {}) as {
    readonly ports?: readonly ({ readonly number?: number; readonly protocol?: string | null } | null)[] | null
    readonly resolution?: string | null
    readonly exportTo?: readonly string[] | null
  }
  const found = (ports ?? []).flatMap((port) => [[port?.number ?? 0, protocolOfEntry(port?.protocol)] as const])
  return exposure(found, (resolution ?? 'NONE') === 'NONE', exportTo ?? undefined)
}

function exposure(ports: readonly (readonly [number, Protocol])[], direct: boolean, exportTo: ExportTo): Exposure | undefined {
  const served = ports.filter(([, protocol]) => protocol !== 'udp')
  if (served.length === 0) return undefined
  const http = served.filter(([, protocol]) => protocol === 'http').map(([port]) => port)
  return shared(JSON.stringify({ http, other: http.length < served.length, direct, ...(exportTo === undefined ? {} : { exportTo }) }))
}
