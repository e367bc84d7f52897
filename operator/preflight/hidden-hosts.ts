/** Whether a global-sidecar for the whole mesh sees the mesh: it can serve only what is exported to its namespace. */
import { type DefaultExportTo, hiddenFrom } from '../spec/export-to.ts'
import type { Values } from '../spec/values.ts'
import type { Finding } from './findings.ts'

/** For type cluster only: elsewhere it serves callers that see as much as it does. */
export function hiddenFindings(exportTo: DefaultExportTo, values: Pick<Values, 'mode' | 'globalSidecars'>): readonly Finding[] {
  const [place] = values.globalSidecars
  if (values.mode !== 'cluster' || place === undefined) return []
  const { namespace } = place
  return hiddenFrom(exportTo, namespace).map(({ kinds, setting, isServices }) => ({
    check: 'Exported hosts',
    level: isServices ? 'error' : 'warning',
    detail: isServices
      ? `${setting} in the mesh's configuration: the global-sidecar in ${namespace} would not see ${kinds} of other namespaces, so calls to them through it get 404 and nothing is learned. Add ${namespace} to that list, export single ones to it (annotation networking.istio.io/exportTo of a Service), or use type namespaced.`
      : `${setting} in the mesh's configuration: the global-sidecar in ${namespace} would not see ${kinds} of other namespaces, so a first call goes without them. Add ${namespace} to that list, or export those that matter to it.`,
  }))
}
