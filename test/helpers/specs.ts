/** SlimeBoots for tests of `operator/spec`: the smallest valid one, and changes to it. */
import type { JsonObject } from '../../runtime/object.ts'
import { API_VERSION, KIND, type SlimeBoot } from '../../operator/api/slimeboot.ts'

/** `mesh-operator/lazyload` with any spec. */
export function bootWith(spec: unknown): SlimeBoot {
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name: 'lazyload', namespace: 'mesh-operator' }, spec }
}

/** A valid spec: one lazyload module, port 9080, a global-sidecar in `default`. `parts` replace top-level keys. */
export function validSpec(parts: JsonObject = {}): JsonObject {
  return {
    image: { repository: 'docker.io/slimeio/slime-lazyload', tag: 'v1' },
    module: [lazyload()],
    component: { globalSidecar: { enable: true, type: 'namespaced', namespace: ['default'] } },
    ...parts,
  }
}

/** A lazyload module that learns from Prometheus. */
export function lazyload(parts: JsonObject = {}): JsonObject {
  return {
    name: 'lazyload',
    enable: true,
    fence: { wormholePort: ['9080'] },
    metric: { prometheus: { address: 'http://prometheus:9090', handlers: { destination: { query: 'sum(x) by (destination_service)' } } } },
    ...parts,
  }
}

/** A global-sidecar component of type cluster. */
export const CLUSTER: JsonObject = { globalSidecar: { enable: true, type: 'cluster' } }
