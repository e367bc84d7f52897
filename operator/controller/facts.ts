/** Reads the facts of the cluster: its version and the mesh's root namespace. */
import type { Client } from '../../runtime/client.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { type ClusterFacts, lacksPolicies } from '../spec/cluster-facts.ts'
import { readMeshRoot } from './mesh-root.ts'

/** The mesh's root namespace hardly ever changes. */
const FRESH_MS = 10 * 60_000
const DEFAULT_ISTIO_NAMESPACE = 'istio-system'

export type FactReader = ReturnType<typeof createFactReader>

/** `operatorNamespace`: of the operator's pod; undefined outside a pod, where who runs it decides what it serves. */
export function createFactReader(client: Pick<Client, 'get' | 'list' | 'version'>, operatorNamespace?: string) {
  let version: Promise<ClusterFacts['kubernetesVersion']> | undefined
  const roots = new Map<string, { readonly until: number; readonly value: Promise<string | undefined> }>()

  function rootOf(namespace: string): Promise<string | undefined> {
    const known = roots.get(namespace)
    if (known !== undefined && known.until > performance.now()) return known.value
    const value = readMeshRoot(client, namespace)
    roots.set(namespace, { until: performance.now() + FRESH_MS, value })
    return value
  }

  return {
    /** Reads anew the next time. */
    forget: (): void => roots.clear(),

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
        ...(operatorNamespace !== undefined && kubernetesVersion !== undefined && lacksPolicies(kubernetesVersion)
          ? { honouredNamespace: operatorNamespace }
          : {}),
        ...(rootNamespace === undefined ? {} : { rootNamespace }),
      }
    },
  }
}

function istioNamespaceOf(boot: KubeObject): string {
  const value = (boot['spec'] as { istioNamespace?: unknown } | null | undefined)?.istioNamespace
  return typeof value === 'string' && value !== '' ? value : DEFAULT_ISTIO_NAMESPACE
}
