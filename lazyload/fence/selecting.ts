/**
 * Which fences select a pod by its labels. For most fences the Service of their name says it already: every pod that they select is
 * behind it. The others stand apart: those without such a Service (Jobs, consumers), or with one that selects by other labels.
 */
import { isDeepStrictEqual } from 'node:util'
import type { KubeObject } from '../../runtime/object.ts'
import type { Labels } from '../sidecar/sidecar.ts'
import { isEnabled } from './fence.ts'

export interface SelectingFencesOptions {
  readonly fence: (key: string) => KubeObject | undefined
  readonly inScope: (fence: KubeObject) => boolean
  /** The labels of the fence's pods; undefined where they are not known. */
  readonly labelsOf: (fence: KubeObject) => Labels | undefined
  /** Of the Service `namespace/name`; undefined where it is not there, or selects nothing. */
  readonly selectorOf: (key: string) => Labels | undefined
}

export interface SelectingFences {
  /** Takes in what the fence `key` is now. */
  readonly changeFence: (key: string) => void
  /** Takes in what the Service `key` is now. */
  readonly changeService: (key: string) => void
  /** Fences of this namespace that select pods with these labels. */
  readonly of: (namespace: string, labels: Labels) => readonly string[]
  /** Namespaces with fences that stand apart. */
  readonly apart: () => readonly string[]
  /** True for a fence whose pods need not be behind the Service of its name. */
  readonly isApart: (key: string) => boolean
  /** What the Services of a namespace say about a pod behind all of them, or none. */
  readonly judge: (namespace: string, services: readonly string[]) => Judgement
  /** Another number whenever an answer may be another. */
  readonly version: () => number
}

/** Of fences that stand apart. */
export interface Judgement {
  /** Those that select the pod for sure. */
  readonly fences: readonly string[]
  /** True where only the labels of the pod can tell whether there are more. */
  readonly open: boolean
}

interface Selecting {
  readonly labels: Labels
  readonly apart: boolean
}

const NOTHING: Judgement = { fences: [], open: false }

export function createSelectingFences({ fence: get, inScope, labelsOf, selectorOf }: SelectingFencesOptions): SelectingFences {
  const byNamespace = new Map<string, Map<string, Selecting>>()
  /** Namespace to the number of its fences that stand apart. */
  const counts = new Map<string, number>()
  let apart: readonly string[] | undefined = []
  let version = 0

  function selectingNow(key: string): Selecting | undefined {
    const fence = get(key)
    if (fence === undefined || !isEnabled(fence) || fence.metadata.deletionTimestamp !== undefined || !inScope(fence)) return undefined
    const labels = labelsOf(fence)
    if (labels === undefined) return undefined
    const selector = selectorOf(key)
    return { labels, apart: selector === undefined || !selects(selector, labels) }
  }

  function count(namespace: string, change: number): void {
    const now = (counts.get(namespace) ?? 0) + change
    if (now === 0) counts.delete(namespace)
    else counts.set(namespace, now)
    apart = undefined
  }

  function update(key: string): void {
    const namespace = key.slice(0, key.indexOf('/'))
    const fences = byNamespace.get(namespace) ?? new Map<string, Selecting>()
    const [before, after] = [fences.get(key), selectingNow(key)]
    // most changes are of its status
    if (isDeepStrictEqual(before, after)) return
    version++
    if (before?.apart === true) count(namespace, -1)
    if (after?.apart === true) count(namespace, 1)
    if (after === undefined) fences.delete(key)
    else fences.set(key, after)
    if (fences.size === 0) byNamespace.delete(namespace)
    else byNamespace.set(namespace, fences)
  }

  return {
    changeFence: update,
    changeService(key) {
      update(key)
      // its selector says something of the pods behind it, whichever fences select them
      version++
    },
    of: (namespace, pod) => [...(byNamespace.get(namespace) ?? [])].filter(([, { labels }]) => selects(labels, pod)).map(([key]) => key),
    apart: () => (apart ??= [...counts.keys()]),
    isApart: (key) => byNamespace.get(key.slice(0, key.indexOf('/')))?.get(key)?.apart === true,
    judge(namespace, services) {
      if (!counts.has(namespace)) return NOTHING
      const selectors = services.map(selectorOf).filter((selector) => selector !== undefined)
      // an address that somebody wrote into the endpoints of a Service without a selector may be anybody's
      if (selectors.length === 0) return { fences: [], open: true }
      const known: Labels = Object.assign({}, ...selectors)
      const rest = [...byNamespace.get(namespace)!].filter(([, each]) => each.apart)
      const sure = rest.filter(([, { labels }]) => selects(labels, known))
      const open = rest.some(
        ([, { labels }]) => !selects(labels, known) && Object.entries(labels).every(([key, value]) => (known[key] ?? value) === value),
      )
      return { fences: sure.map(([key]) => key), open }
    },
    version: () => version,
  }
}

function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
}
