/** Reads the facts of the cluster: its version, the mesh's root namespace, and what the mesh exports. */
import { at } from '../../module/read.ts'
import type { Client } from '../../runtime/client.ts'
import { isJsonObject, type KubeObject } from '../../runtime/object.ts'
import { parseMesh, readMeshText } from '../preflight/mesh-config.ts'
import { type ClusterFacts, lacksPolicies } from '../spec/cluster-facts.ts'
import { type DefaultExportTo, defaultExportTo } from '../spec/export-to.ts'
import { resolveMode } from '../spec/mode.ts'
import { type MeshPlace, readMeshRoot } from './mesh-root.ts'

/** The mesh's root namespace hardly ever changes. */
const FRESH_MS = 10 * 60_000
const DEFAULT_ISTIO_NAMESPACE = 'istio-system'

export type FactReader = ReturnType<typeof createFactReader>

/** `operatorNamespace`: of the operator's pod; undefined outside a pod, where who runs it decides what it serves. */
export function createFactReader(client: Pick<Client, 'get' | 'list' | 'version'>, operatorNamespace?: string) {
  let version: Promise<ClusterFacts['kubernetesVersion']> | undefined
  const exported = new Map<string, { readonly until: number; readonly value: Promise<DefaultExportTo | undefined> }>()
  const roots = new Map<string, { readonly until: number; readonly value: Promise<string | undefined> }>()

  function rootOf(place: MeshPlace): Promise<string | undefined> {
    const key = [place.namespace, ...place.revisions].join(' ')
    const known = roots.get(key)
    if (known !== undefined && known.until > performance.now()) return known.value
    for (const [old, { until }] of roots) if (until <= performance.now()) roots.delete(old)
    const value = read(place)
    roots.set(key, { until: performance.now() + FRESH_MS, value })
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

  /** Istio's usual namespace is its administrators' too: a mesh there tells that the SlimeBoot names a namespace without one. */
  async function read(place: MeshPlace): Promise<string | undefined> {
    const root = await readMeshRoot(client, place)
    if (root !== undefined || place.namespace === DEFAULT_ISTIO_NAMESPACE) return root
    return await readMeshRoot(client, { ...place, namespace: DEFAULT_ISTIO_NAMESPACE })
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
      const place = meshPlaceOf(boot)
      const rootNamespace = await rootOf(place)
      // only a global-sidecar for the whole mesh has to see what others export
      const exportTo = isCluster(boot) ? await exportsOf(place.namespace, revisionOf(boot)) : undefined
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

/** Read loosely: the spec may be invalid. */
function meshPlaceOf(boot: KubeObject): MeshPlace {
  const spec = jsonAt(boot['spec'])
  const { istioNamespace: namespace } = spec
  const modules = Array.isArray(spec['module']) ? (spec['module'] as readonly unknown[]) : []
  const revisions = [
    jsonAt(jsonAt(spec['component'])['globalSidecar'])['revision'],
    ...modules.map((module) => jsonAt(jsonAt(module)['global'])['istioRev']),
  ]
  return {
    namespace: typeof namespace === 'string' && namespace !== '' ? namespace : DEFAULT_ISTIO_NAMESPACE,
    revisions: [...new Set(revisions.flatMap((value) => (typeof value === 'string' ? value.split(',') : [])))]
      .map((revision) => revision.trim())
      .filter((revision) => REVISION.test(revision))
      .slice(0, REVISIONS),
  }
}

/** As part of the name of a ConfigMap. */
const REVISION = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const REVISIONS = 5

function jsonAt(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function isCluster({ spec }: KubeObject): boolean {
  return isJsonObject(spec) && resolveMode(spec).mode === 'cluster'
}

function revisionOf({ spec }: KubeObject): string | undefined {
  const revision = at(spec, 'component', 'globalSidecar', 'revision')
  return typeof revision === 'string' && /^[a-z0-9-]{1,63}$/.test(revision) ? revision : undefined
}
