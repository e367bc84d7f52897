/** What the cluster says that a spec alone cannot: its version and the mesh's root namespace. */
import { load } from 'js-yaml'
import type { Client } from '../../runtime/client.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { CONFIG_MAP } from '../api/kinds.ts'
import type { ClusterFacts } from '../spec/problems.ts'

/** The mesh's root namespace hardly ever changes. */
const FRESH_MS = 10 * 60_000
const DEFAULT_ISTIO_NAMESPACE = 'istio-system'

export type FactReader = ReturnType<typeof createFactReader>

export function createFactReader(client: Pick<Client, 'get' | 'version'>) {
  let version: Promise<ClusterFacts['kubernetesVersion']> | undefined
  const roots = new Map<string, { readonly until: number; readonly value: Promise<string | undefined> }>()

  function rootOf(namespace: string): Promise<string | undefined> {
    const known = roots.get(namespace)
    if (known !== undefined && known.until > performance.now()) return known.value
    const value = readRoot(client, namespace)
    roots.set(namespace, { until: performance.now() + FRESH_MS, value })
    return value
  }

  return {
    /** Reads what most SlimeBoots need, so that the first one need not wait for it. */
    async warm(): Promise<void> {
      await this.read({ apiVersion: '', kind: '', metadata: { name: '' } })
    },

    /** Facts for this SlimeBoot; what cannot be read is left out. */
    async read(boot: KubeObject): Promise<ClusterFacts> {
      version ??= client.version().then(
        ({ major, minor }) => ({ major, minor }),
        () => undefined,
      )
      const kubernetesVersion = await version
      if (kubernetesVersion === undefined) version = undefined
      const rootNamespace = await rootOf(istioNamespaceOf(boot))
      return {
        ...(kubernetesVersion === undefined ? {} : { kubernetesVersion }),
        ...(rootNamespace === undefined ? {} : { rootNamespace }),
      }
    },
  }
}

/** `rootNamespace` of Istio's mesh configuration; its default is istiod's own namespace (istio.io/api, MeshConfig.root_namespace). */
async function readRoot(client: Pick<Client, 'get'>, namespace: string): Promise<string | undefined> {
  try {
    const config = await client.get({ type: CONFIG_MAP, namespace, name: 'istio' })
    const mesh = (config?.['data'] as { mesh?: string } | undefined)?.mesh
    if (mesh === undefined) return undefined
    const parsed = load(mesh) as { rootNamespace?: unknown } | undefined
    return typeof parsed?.rootNamespace === 'string' && parsed.rootNamespace !== '' ? parsed.rootNamespace : namespace
  } catch {
    return undefined
  }
}

function istioNamespaceOf(boot: KubeObject): string {
  const value = (boot['spec'] as { istioNamespace?: unknown } | null | undefined)?.istioNamespace
  return typeof value === 'string' && value !== '' ? value : DEFAULT_ISTIO_NAMESPACE
}
