/** The configuration of the mesh as istiod reads it: ConfigMap `istio`, or the one of a revision, in Istio's namespace. */
import { load } from 'js-yaml'
import type { Client } from '../../runtime/client.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { CONFIG_MAP } from '../api/kinds.ts'
import { OWNER_LABEL } from '../api/slimeboot.ts'

const REVISION_LABEL = 'istio.io/rev'

/** Its YAML, the one of `revision` first; undefined where there is none. Throws what the API server answers. */
export async function readMeshText(
  client: Pick<Client, 'list' | 'get'>,
  namespace: string,
  revision: string | undefined,
): Promise<string | undefined> {
  for (const name of [...(revision === undefined ? [] : [`istio-${revision}`]), 'istio']) {
    const text = meshText(await client.get({ type: CONFIG_MAP, namespace, name }))
    if (text !== undefined) return text
  }
  const { items } = await client.list(CONFIG_MAP, { namespace, labelSelector: REVISION_LABEL })
  return items.filter(({ metadata }) => metadata.name === `istio-${metadata.labels?.[REVISION_LABEL]}`).map(meshText)[0]
}

/** Undefined for what is no YAML. */
export function parseMesh(text: string | undefined): unknown {
  try {
    return load(text ?? '')
  } catch {
    return undefined
  }
}

/** The tutorial's pilot has a ConfigMap of that name too, which is ours and no mesh. */
function meshText(config: KubeObject | undefined): string | undefined {
  if (config?.metadata.labels?.[OWNER_LABEL] !== undefined) return undefined
  return (config?.['data'] as { mesh?: string } | undefined)?.mesh
}
