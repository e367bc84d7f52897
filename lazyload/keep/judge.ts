/** Must a host stay in Sidecars, because the catch-all cannot serve what is called there? Pure. */
import { coversCluster } from '../mesh/host-name.ts'
import type { Exposure } from './exposure.ts'
import type { KeepReason } from './reasons.ts'
import { type ExportTo, isVisible } from './visibility.ts'

/** A host of the mesh, with what decides about it. */
export interface Candidate {
  readonly host: string
  /** Of the object that it is from. */
  readonly namespace: string
  readonly exportTo: ExportTo
  readonly exposure: Exposure
  readonly kind: 'Service' | 'ServiceEntry'
}

/** How fences of one namespace see the mesh. */
export interface View {
  readonly namespace: string
  /** Namespace of their global-sidecar; undefined where there is none to be. */
  readonly home: string | undefined
  /** Ports on which the global-sidecar serves HTTP; undefined: HTTP is learned on every port. */
  readonly ports: ReadonlySet<number> | undefined
  /** Of the mesh, by kind. */
  readonly exportTo: { readonly Service: ExportTo }
}

/** For a fence that sees the host. */
export function reasonToKeep(
  { host, namespace, exportTo, exposure, kind }: Candidate,
  { home, ports, ...view }: View,
): KeepReason | undefined {
  if (host.startsWith('*')) return coversCluster(host) ? undefined : 'Wildcard'
  if (exposure.direct) return kind === 'Service' ? 'Headless' : 'NoResolution'
  if (exposure.other) return 'NotHTTP'
  if (ports !== undefined && exposure.http.some((port) => !ports.has(port))) return 'Port'
  return home === undefined || isVisible(exportTo, view.exportTo.Service, namespace, home) ? undefined : 'Hidden'
}
