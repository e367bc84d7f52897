/** The queries of a fence: what its variables stand for, and whose a sample of an aggregated query is. Pure. */
import type { Sample } from './client.ts'

/** Knows the caller by its name, in whatever quotes. */
const BY_NAME = /source_app\s*=\s*(["'`])\$source_app\1/g

/**
 * All occurrences, as text (spec 3.3). Names of Kubernetes objects hold nothing that PromQL would read otherwise. Where the name is
 * not unique and the query says nothing of namespaces, as the tutorial's, it is narrowed to the namespace of the caller: else
 * fences of one name would learn each other's hosts.
 */
export function fillQuery(query: string, namespace: string, name: string, unique = true): string {
  const narrow = !unique && !query.includes('$namespace') && !NAMESPACE_LABELS.some((label) => query.includes(label))
  return (narrow ? query.replaceAll(BY_NAME, `$&,${NAMESPACE_LABELS[0]}="$namespace"`) : query)
    .replaceAll('$namespace', namespace)
    .replaceAll('$source_app', name)
}

const NAMESPACE_LABELS = ['source_workload_namespace', 'source_namespace'] as const

/**
 * Gives each sample of an aggregated query to its fence, and takes the labels that say so away from it. A sample without a
 * namespace belongs to the only fence of its name; where there are several it is nobody's.
 */
export function splitByFence(samples: readonly Sample[], fences: readonly string[]): ReadonlyMap<string, readonly Sample[]> {
  const known = new Set(fences)
  const byName = Map.groupBy(fences, (key) => key.slice(key.indexOf('/') + 1))
  const split = new Map<string, Sample[]>()
  for (const { labels, value } of samples) {
    const { source_app: name = '', ...rest } = labels
    const namespace = NAMESPACE_LABELS.map((label) => labels[label]).find((text) => text !== undefined && text !== '')
    const sameName = byName.get(name) ?? []
    const key = namespace === undefined ? (sameName.length === 1 ? sameName[0]! : '') : `${namespace}/${name}`
    if (!known.has(key)) continue
    const own = Object.fromEntries(Object.entries(rest).filter(([label]) => !(NAMESPACE_LABELS as readonly string[]).includes(label)))
    const found = split.get(key)
    if (found === undefined) split.set(key, [{ labels: own, value }])
    else found.push({ labels: own, value })
  }
  return split
}
