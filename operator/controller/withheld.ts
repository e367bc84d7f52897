/**
 * Withheld namespaces: what stands against objects in one namespace stops that namespace only. What stands against cluster-scoped objects or
 * against the module's own namespace stops what follows everywhere, because everything else depends on these.
 */
import type { ReconcileError } from '../apply/failure.ts'

/** `home`: the namespace of the modules. */
export function createWithheld(home: string) {
  const byNamespace = new Map<string, ReconcileError[]>()
  const general: ReconcileError[] = []

  return {
    /** Takes in what stands against something in `namespace`; absent or empty: against something that belongs to none. */
    add(namespace: string | undefined, problem: ReconcileError): void {
      if (namespace === undefined || namespace === '' || namespace === home || concernsAll(problem)) general.push(problem)
      else byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), problem])
    },
    /** Nothing further may be done anywhere. */
    stopsAll: (): boolean => general.length > 0,
    /** Nothing is to be written in this namespace. */
    has: (namespace: string | undefined): boolean => byNamespace.has(namespace ?? ''),
    /** Sorted. */
    namespaces: (): readonly string[] => [...byNamespace.keys()].sort(),
    /** Everything that stands against something, sorted by message. */
    problems: (): readonly ReconcileError[] => {
      // an obstacle of several namespaces is one problem
      const all = new Map([...general, ...[...byNamespace.values()].flat()].map((problem) => [problem.message, problem]))
      return [...all.values()].sort((a, b) => (a.message < b.message ? -1 : 1))
    },
  }
}

/** The API server or the kind is what is missing, not something in a namespace. */
function concernsAll({ reason }: ReconcileError): boolean {
  return reason === 'ApiServerUnreachable' || reason === 'KindMissing' || reason === 'InternalError'
}
