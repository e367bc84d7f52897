/** The mesh's root namespace, read from Istio's mesh configuration (istio.io/api, MeshConfig.root_namespace). */
import { load } from 'js-yaml'
import type { Client } from '../../runtime/client.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { CONFIG_MAP } from '../api/kinds.ts'
import { OWNER_LABEL } from '../api/slimeboot.ts'

const MESH_CONFIG = 'istio'

/**
 * Root namespace of the mesh whose ConfigMap `istio` is in `namespace`; where there is none, of the only other one in the
 * cluster, so that a wrong istioNamespace is noticed. The tutorial's pilot has a ConfigMap of that name too, which is ours
 * and no mesh. Undefined when it cannot be known.
 */
export async function readMeshRoot(client: Pick<Client, 'get' | 'list'>, namespace: string): Promise<string | undefined> {
  try {
    const named = await client.get({ type: CONFIG_MAP, namespace, name: MESH_CONFIG })
    if (isMesh(named)) return rootOf(named)
    const { items } = await client.list(CONFIG_MAP, { fieldSelector: `metadata.name=${MESH_CONFIG}` })
    const meshes = items.filter(isMesh)
    return meshes.length === 1 ? rootOf(meshes[0]!) : undefined
  } catch {
    return undefined
  }
}

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
