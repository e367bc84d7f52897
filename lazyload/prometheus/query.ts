/** The queries of a fence: what its variables stand for, and whose a sample of an aggregated query is. Pure. */
import type { Sample } from './client.ts'
import type { QueryProblem } from './finding.ts'

/** A fence, and the value of label `source_app` on what its pods call: that of their label `app`, which need not be its name. */
export interface Caller {
  /** `namespace/name` of the fence. */
  readonly key: string
  readonly app: string
}

/** Knows the caller by its name, in whatever quotes. */
const BY_NAME = /source_app\s*=\s*(["'`])\$source_app\1/g

/**
 * All occurrences, as text (spec 3.3). Names of Kubernetes objects and values of labels hold nothing that PromQL would read
 * otherwise. Where the name is not unique and the query says nothing of namespaces, as the tutorial's, it is narrowed to the
 * namespace of the caller: else fences of one name would learn each other's hosts.
 */
export function fillQuery(query: string, namespace: string, app: string, unique = true): string {
  const narrow = !unique && !query.includes('$namespace') && !NAMESPACE_LABELS.some((label) => query.includes(label))
  return (narrow ? query.replaceAll(BY_NAME, `$&,${NAMESPACE_LABELS[0]}="$namespace"`) : query)
    .replaceAll('$namespace', namespace)
    .replaceAll('$source_app', app)
}

const NAMESPACE_LABELS = ['source_workload_namespace', 'source_namespace'] as const

/** The samples of an aggregated query that are about one fence, without the labels that say so. */
export interface Share {
  readonly samples: readonly Sample[]
  readonly problem: QueryProblem | undefined
}

/**
 * Gives each sample of an aggregated query to the fences that it is about. Without a namespace it belongs to the fences of its
 * name, if these are in one namespace; where they are in several it is nobody's, and none of them can tell who is not called.
 * `callers` must be all fences, not only those that are asked for.
 */
export function splitByFence(samples: readonly Sample[], callers: readonly Caller[]): (caller: Caller) => Share {
  const homes = new Map<string, Set<string>>()
  for (const { key, app } of callers) homes.set(app, (homes.get(app) ?? new Set()).add(namespaceOf(key)))
  const split = new Map<string, Sample[]>()
  const unattributed = new Set<string>()
  let named = false
  for (const { labels, value } of samples) {
    const { source_app: app = '', ...rest } = labels
    named ||= app !== ''
    const said = NAMESPACE_LABELS.map((label) => labels[label]).find((text) => text !== undefined && text !== '')
    const possible = [...(homes.get(app) ?? [])]
    if (said === undefined && possible.length > 1) unattributed.add(app)
    const namespace = said ?? (possible.length === 1 ? possible[0]! : '')
    if (!possible.includes(namespace)) continue
    const own = Object.fromEntries(Object.entries(rest).filter(([label]) => !(NAMESPACE_LABELS as readonly string[]).includes(label)))
    const place = `${namespace}/${app}`
    const found = split.get(place)
    if (found === undefined) split.set(place, [{ labels: own, value }])
    else found.push({ labels: own, value })
  }
  const nameless = samples.length > 0 && !named
  return ({ key, app }) => ({
    samples: split.get(`${namespaceOf(key)}/${app}`) ?? [],
    problem: nameless ? WITHOUT_APP : unattributed.has(app) ? withoutNamespace(app) : undefined,
  })
}

const WITHOUT_APP: QueryProblem = {
  reason: 'UnattributedSamples',
  message: 'No sample of the aggregated query says whose it is. Add source_app and source_workload_namespace to its "by (…)".',
}

function withoutNamespace(app: string): QueryProblem {
  return {
    reason: 'UnattributedSamples',
    message: `Fences of several namespaces are known as "${app}", and samples do not say which is meant. Add source_workload_namespace to the "by (…)" of the aggregated query.`,
  }
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}
