/** The cluster of a dispatch: `_GLOBAL_SIDECAR`, plain text, or a Go template over `.Values` (spec 5). */
import type { JsonObject } from '../../runtime/object.ts'
import { GoTemplateError, runGoTemplate } from './go-template.ts'
import { problem, type Problem, show } from './problems.ts'

/** Stands for the global-sidecar's cluster of the port at hand. */
export const GLOBAL_SIDECAR_CLUSTER = '_GLOBAL_SIDECAR'

const MAX_CLUSTER_LENGTH = 512

/** The final cluster, undefined for `_GLOBAL_SIDECAR`, or what is wrong with the text at `path`. */
export function dispatchCluster(
  text: string,
  path: string,
  values: JsonObject,
): { readonly cluster: string | undefined; readonly problems: readonly Problem[] } {
  if (text === GLOBAL_SIDECAR_CLUSTER) return { cluster: undefined, problems: [] }
  try {
    const cluster = runGoTemplate(text, values)
    return { cluster, problems: clusterProblems(cluster, text, path) }
  } catch (error) {
    if (!(error instanceof GoTemplateError)) throw error
    return { cluster: undefined, problems: [problem(path, `is a template that cannot be run: ${error.message}`)] }
  }
}

function clusterProblems(cluster: string, text: string, path: string): Problem[] {
  const origin = cluster === text ? '' : ` (from the template ${show(text)})`
  if (cluster === '')
    return [problem(path, `must name a cluster, got ""${origin}. Write an Istio cluster, PassthroughCluster or ${GLOBAL_SIDECAR_CLUSTER}.`)]
  if (cluster.length > MAX_CLUSTER_LENGTH)
    return [problem(path, `must be at most ${MAX_CLUSTER_LENGTH} characters, got ${cluster.length}${origin}.`)]
  if (/[\s\p{Cc}]/u.test(cluster))
    return [problem(path, `must be a cluster name without spaces or control characters, got ${show(cluster)}${origin}.`)]
  return []
}
