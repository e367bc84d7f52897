/**
 * Keys of today's upstream chart that mean nothing here: what one needs instead, so that it can be told once. Looked up in
 * https://github.com/slime-io/slime (lazyload's fence_module.proto, the charts slimeboot and global-sidecar), February 2025.
 */
import { type Json, isJsonObject } from '../../runtime/object.ts'
import { textAt } from '../../module/read.ts'

/** By path without indexes. Each sentence follows the path. */
export const NOTES: ReadonlyMap<string, string> = new Map([
  ['spec.module[].general.enableShortDomain', 'is not needed: short names are understood as their callers mean them.'],
  [
    'spec.module[].general.disableIpv4Passthrough',
    'is not needed: addresses of the mesh are understood, others go on to where they were called.',
  ],
  ['spec.module[].general.addEnvHeaderViaLua', 'is not needed: no Lua filter adds headers here.'],
  ['spec.module[].general.supportH2', 'is not needed: first calls keep their protocol, gRPC and HTTP/2 among them.'],
  ['spec.module[].general.render', 'is not needed: the operator renders everything.'],
  ['spec.module[].general.proxyVersion', 'is not read: the catch-all reaches the proxies of every version that Istio supports.'],
  [
    'spec.module[].general.fenceLabelKeyAlias',
    'is not read: write a fence with spec.workloadSelector.labels for pods without a Service; they learn like others.',
  ],
  [
    'spec.component.globalSidecar.sidecarInject',
    'is not needed but for the label istio.io/rev: the pod says itself that it is to be injected. Write component.globalSidecar.revision for a revision.',
  ],
  ['spec.component.globalSidecar.probePort', "is not needed: the proxy's own port 15021 answers the probes."],
  ['spec.component.globalSidecar.port', 'is not needed: the proxy listens on the wormhole ports.'],
  ['spec.args', 'is not read: the program takes its settings from spec.module. Remove it.'],
  ['spec.service.auxiliaryPort', 'is not needed: probes and metrics are reached at the pod, not through the Service.'],
  ['spec.service.mcpOverXdsPort', 'is not needed: lazyload serves no MCP.'],
])

/** What stands instead of an unknown key of the upstream chart; undefined for other keys. */
export function upstreamNote(path: string): string | undefined {
  return NOTES.get(path.replaceAll(/\[\d+\]/g, '[]'))
}

/** Upstream's image of a global-sidecar is an application of its own beside an injected proxy; here the global-sidecar is the proxy itself. */
export function isUpstreamApplication(image: unknown): boolean {
  return /(^|\/)slime-global-sidecar$/.test(textAt(image, 'repository') ?? '')
}

/** The revision that upstream's `sidecarInject.labels` asks for. */
export function upstreamRevision(globalSidecar: Json): string | undefined {
  if (!isJsonObject(globalSidecar)) return undefined
  const revision = textAt(globalSidecar, 'sidecarInject', 'labels', 'istio.io/rev')
  return revision === '' ? undefined : revision
}
