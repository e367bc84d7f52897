/**
 * The mesh's root namespace, read from Istio's mesh configuration (istio.io/api, MeshConfig.root_namespace) where istiod reads it: ConfigMap
 * `istio`, or `istio-<revision>`, in the Istio namespace. Anybody can make a ConfigMap of that name elsewhere, so nothing else is looked at.
 */
import { load } from 'js-yaml'
import type { Client } from '../../runtime/client.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { CONFIG_MAP } from '../api/kinds.ts'
import { OWNER_LABEL } from '../api/slimeboot.ts'

const REVISION_LABEL = 'istio.io/rev'

/** Where a SlimeBoot says that its mesh is. */
export interface MeshPlace {
  readonly namespace: string
  /** Revisions of istiod that it names, the most telling first; often none. */
  readonly revisions: readonly string[]
}

/** Undefined when it cannot be known. */
export async function readMeshRoot(client: Pick<Client, 'get' | 'list'>, { namespace, revisions }: MeshPlace): Promise<string | undefined> {
  try {
    for (const name of new Set([...revisions.map(configMapOf), 'istio'])) {
      const config = await client.get({ type: CONFIG_MAP, namespace, name })
      if (isMesh(config)) return rootOf(config)
    }
    // a revision that the SlimeBoot does not name, or names by a tag: it counts where all that are there agree
    const { items } = await client.list(CONFIG_MAP, { namespace, labelSelector: REVISION_LABEL })
    const meshes = items.filter((item) => item.metadata.name === configMapOf(item.metadata.labels?.[REVISION_LABEL] ?? '') && isMesh(item))
    const roots = new Set(meshes.map(rootOf))
    return roots.size === 1 ? [...roots][0] : undefined
  } catch {
    return undefined
  }
}

/** Name of the ConfigMap that istiod of this revision reads. */
function configMapOf(revision: string): string {
  return revision === '' || revision === 'default' ? 'istio' : `istio-${revision}`
}

/** The tutorial's pilot has a ConfigMap of that name too, which is ours and no mesh. */
function isMesh(config: KubeObject | undefined): config is KubeObject {
  return config !== undefined && config.metadata.labels?.[OWNER_LABEL] === undefined && typeof meshOf(config) === 'string'
}

function meshOf(config: KubeObject): unknown {
  return (config['data'] as { mesh?: unknown } | undefined)?.mesh
}

/** Its default is the namespace of istiod itself. */
function rootOf(config: KubeObject): string | undefined {
  const mesh = load(String(meshOf(config))) as { rootNamespace?: unknown } | null | undefined
  return typeof mesh?.rootNamespace === 'string' && mesh.rootNamespace !== '' ? mesh.rootNamespace : config.metadata.namespace
}
