/**
 * How much memory a global-sidecar needs. Unlike a lazy proxy it grows with the mesh: it holds a cluster of each Service
 * that has a wormhole port. Pure; measured with Envoy 1.40, the facts are in docs/performance.md.
 */

/** What a proxy needs whatever it holds, and for each cluster and each endpoint of a cluster; resident memory, and what Envoy itself counts (`server.memory_allocated`). */
export const ENVOY_MEMORY = {
  resident: { baseMiB: 71, clusterKiB: 63, endpointKiB: 5.8 },
  heap: { baseMiB: 7, clusterKiB: 62, endpointKiB: 2.5 },
} as const
/** pilot-agent, in the same container; its anonymous pages, as the kernel can take back those of its program file. */
export const AGENT_MIB = 22
/** Over the estimate: a push of everything, with which both programs hold the configuration more than once for a moment, and growth. */
export const HEADROOM = 1.25
const STEP_MIB = 64

export interface Held {
  /** Services that have a wormhole port. */
  readonly services: number
  /** Wormhole ports of each. */
  readonly ports: number
  /** Of each Service. */
  readonly endpoints: number
}

export interface MemoryEstimate {
  readonly clusters: number
  /** What Envoy counts. */
  readonly heapMiB: number
  /** What a limit counts: Envoy and pilot-agent, at rest. */
  readonly needMiB: number
  /** `needMiB` with headroom, in steps of 64 MiB. */
  readonly limitMiB: number
}

export function globalSidecarMemory({ services, ports, endpoints }: Held): MemoryEstimate {
  const clusters = services * ports
  const of = ({ baseMiB, clusterKiB, endpointKiB }: (typeof ENVOY_MEMORY)[keyof typeof ENVOY_MEMORY]): number =>
    baseMiB + (clusters * (clusterKiB + endpointKiB * endpoints)) / 1024
  const needMiB = of(ENVOY_MEMORY.resident) + AGENT_MIB
  return {
    clusters,
    heapMiB: Math.round(of(ENVOY_MEMORY.heap)),
    needMiB: Math.round(needMiB),
    limitMiB: Math.ceil((needMiB * HEADROOM) / STEP_MIB) * STEP_MIB,
  }
}
