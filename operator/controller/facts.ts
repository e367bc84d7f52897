/** Reads the facts of the cluster: its version, the mesh's root namespace, and what the mesh exports. */
import { at } from '../../module/read.ts'
import type { Client } from '../../runtime/client.ts'
import { isJsonObject, type KubeObject } from '../../runtime/object.ts'
import { parseMesh, readMeshText } from '../preflight/mesh-config.ts'
import { type ClusterFacts, lacksPolicies } from '../spec/cluster-facts.ts'
import { type DefaultExportTo, defaultExportTo } from '../spec/export-to.ts'
import { resolveMode } from '../spec/mode.ts'
import { readMeshRoot } from './mesh-root.ts'

/** The mesh's root namespace hardly ever changes. */
const FRESH_MS = 10 * 60_000
const DEFAULT_ISTIO_NAMESPACE = 'istio-system'

export type FactReader = ReturnType<typeof createFactReader>

/** `operatorNamespace`: of the operator's pod; undefined outside a pod, where who runs it decides what it serves. */
export function createFactReader(client: Pick<Client, 'get' | 'list' | 'version'>, operatorNamespace?: string) {
  let version: Promise<ClusterFacts['kubernetesVersion']> | undefined
  const exported = new Map<string, { readonly until: number; readonly value: Promise<DefaultExportTo | undefined> }>()
  const roots = new Map<string, { readonly until: number; readonly value: Promise<string | undefined> }>()

  function rootOf(namespace: string): Promise<string | undefined> {
    const known = roots.get(namespace)
    if (known !== undefined && known.until > performance.now()) return known.value
    const value = readMeshRoot(client, namespace)
    roots.set(namespace, { until: performance.now() + FRESH_MS, value })
    return value
  }

  /** Undefined where it cannot be read. */
  function exportsOf(namespace: string, revision: string | undefined): Promise<DefaultExportTo | undefined> {
    const key = `${namespace} ${revision ?? ''}`
    const known = exported.get(key)
    if (known !== undefined && known.until > performance.now()) return known.value
    for (const [old, { until }] of exported) if (until <= performance.now()) exported.delete(old)
    const value = readMeshText(client, namespace, revision).then(
      (text) => (text === undefined ? undefined : defaultExportTo(parseMesh(text))),
      () => undefined,
    )
    exported.set(key, { until: performance.now() + FRESH_MS, value })
    return value
  }

  return {
    /** Reads anew the next time. */
    forget(): void {
      roots.clear()
      exported.clear()
    },

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
      // only a global-sidecar for the whole mesh has to see what others export
      const exportTo = isCluster(boot) ? await exportsOf(istioNamespaceOf(boot), revisionOf(boot)) : undefined
      return {
        ...(kubernetesVersion === undefined ? {} : { kubernetesVersion }),
        ...(operatorNamespace !== undefined && kubernetesVersion !== undefined && lacksPolicies(kubernetesVersion)
          ? { honouredNamespace: operatorNamespace }
          : {}),
        ...(rootNamespace === undefined ? {} : { rootNamespace }),
        ...(exportTo === undefined ? {} : { exportTo }),
      }
    },
  }
}

function istioNamespaceOf(boot: KubeObject): string {
  const value = (boot['spec'] as { istioNamespace?: unknown } | null | undefined)?.istioNamespace
  return typeof value === 'string' && value !== '' ? value : DEFAULT_ISTIO_NAMESPACE
}

function isCluster({ spec }: KubeObject): boolean {
  return isJsonObject(spec) && resolveMode(spec).mode === 'cluster'
}

function revisionOf({ spec }: KubeObject): string | undefined {
  const revision = at(spec, 'component', 'globalSidecar', 'revision')
  return typeof revision === 'string' && /^[a-z0-9-]{1,63}$/.test(revision) ? revision : undefined
}
