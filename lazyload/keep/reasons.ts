/** Why a host is kept in Sidecars though nobody has called it; docs/lazyload.md is made to say the same. */

import type { KeepScope } from '../../module/settings.ts'

export const KEEP_REASONS = {
  Provider: 'the mesh configuration names it (extension providers, tracing): proxies call it themselves, and no catch-all sees that',
  CallerRoutes: 'a VirtualService routes it by who calls (`sourceLabels`, `sourceNamespace`, `gateways` of a match)',
  Wildcard: 'a ServiceEntry of all hosts of a domain',
  Headless: 'a headless Service: its pods are called one by one',
  NoResolution: 'a ServiceEntry with `resolution: NONE`: it is called by address',
  NotHTTP: 'a port speaks something else than HTTP, or nobody says what',
  Port: 'an HTTP port is no wormhole port',
  Hidden: 'the global-sidecar does not see it (`exportTo`)',
} as const satisfies Readonly<Record<string, string>>

export type KeepReason = keyof typeof KEEP_REASONS

const SCOPES: readonly KeepScope[] = ['none', 'namespace', 'all']

export function isKeepScope(value: unknown): value is KeepScope {
  return SCOPES.includes(value as KeepScope)
}

/** The one that keeps most: for fences that share one Sidecar. */
export function widestScope(scopes: readonly KeepScope[]): KeepScope {
  return SCOPES[Math.max(...scopes.map((scope) => SCOPES.indexOf(scope)))] ?? 'all'
}
