/**
 * Which pods a selector selects: asked for, remembered, and asked again with time. Those that select nothing are asked again soon,
 * but all of them together never more than 20 times a second, of which each namespace has its share.
 */
import { isLabelKey } from '../../module/names.ts'
import type { Client } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { POD, REVISION_LABEL } from '../kinds.ts'
import type { Labels } from './label-index.ts'

export interface SelectedPod {
  readonly labels: Labels
  /** Of the control plane that its proxy was injected by; undefined where the pod does not say so. */
  readonly revision: string | undefined
}

export interface Selection {
  /** Pods that have not finished, each kind once: undefined where they cannot be seen. */
  readonly pods: readonly SelectedPod[] | undefined
  /** Why they cannot be seen. */
  readonly forbidden: boolean
  /** There may be pods of other kinds. */
  readonly more: boolean
  /** When to ask again, milliseconds. */
  readonly againInMs: number
}

export interface SelectedPods {
  /** Never throws. */
  readonly of: (namespace: string, labels: Labels, options?: SelectOptions) => Promise<Selection>
  /** The pods with these labels may have changed: the next question is asked of the API server. */
  readonly expire: (namespace: string, labels: Labels) => void
}

export interface SelectOptions {
  /** How many pods to look at: any pod may be as large as the API server takes. Default 5. */
  readonly limit?: 1 | typeof LIMIT
  /** What is known now does not settle the matter, so it is asked again soon. Default: that there are no pods. */
  readonly isOpen?: (found: Pick<Selection, 'pods' | 'more'>) => boolean
}

export interface SelectedPodsOptions {
  readonly client: Pick<Client, 'list'>
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** What differs from pod to pod of one workload: kept out of what is compared. */
export const PER_POD: ReadonlySet<string> = new Set([
  'pod-template-hash',
  'controller-revision-hash',
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
  'controller-uid',
  'batch.kubernetes.io/controller-uid',
  'job-name',
  'batch.kubernetes.io/job-name',
  'batch.kubernetes.io/job-completion-index',
])

const LIMIT = 5
const OPEN_MS = 20_000
const SETTLED_MS = 5 * 60_000
const FAILED_MS = 10_000
const FORBIDDEN_MS = 30_000
/** One question on open matters in this time. */
const PACE_MS = 50
const PATIENCE_MS = 5000
const MAX_KNOWN = 10_000
const UNUSED_MS = 6 * SETTLED_MS
/** What a URL can hold beside the rest. */
const LONGEST_SELECTOR = 4000
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

interface Known {
  readonly namespace: string
  readonly pods: readonly SelectedPod[] | undefined
  readonly forbidden: boolean
  readonly more: boolean
  readonly at: number
  /** The API server did not answer: asked again after this time. */
  readonly retryMs?: number
}

export function createSelectedPods({ client, now = () => performance.now() }: SelectedPodsOptions): SelectedPods {
  /** The one asked for last is last. */
  const known = new Map<string, Known & { readonly usedAt: number }>()
  const asking = new Map<string, Promise<Known>>()
  /** By namespace, the open questions. */
  const open = new Map<string, Set<string>>()

  function setOpen(namespace: string, key: string, isOpen: boolean): void {
    const keys = open.get(namespace) ?? new Set()
    if (isOpen) open.set(namespace, keys.add(key))
    else if (keys.delete(key) && keys.size === 0) open.delete(namespace)
  }

  function remember(key: string, value: Known): void {
    known.delete(key)
    known.set(key, { ...value, usedAt: now() })
    for (const [oldest, { namespace, usedAt }] of known) {
      if (known.size <= MAX_KNOWN && now() - usedAt < UNUSED_MS) return
      known.delete(oldest)
      setOpen(namespace, oldest, false)
    }
  }

  async function ask(key: string, namespace: string, labels: Labels, limit: number, before: Known | undefined): Promise<Known> {
    const selector = selectorText(labels)
    const nothing = { namespace, forbidden: false, more: false, at: now() }
    if (selector === undefined) return { ...nothing, pods: [] }
    if (selector.length > LONGEST_SELECTOR) return { ...nothing, pods: undefined }
    try {
      const { items } = await client.list(POD, {
        namespace,
        labelSelector: selector,
        fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed',
        limit,
        metadataOnly: true,
        signal: AbortSignal.timeout(PATIENCE_MS),
      })
      return { namespace, pods: distinct(items.map(selectedPod)), forbidden: false, more: items.length >= limit, at: now() }
    } catch (error) {
      const forbidden = hasCode(error, 403)
      const retry = { at: now(), retryMs: forbidden ? FORBIDDEN_MS : FAILED_MS }
      // an answer that is a little old is better than none; where the right is gone it is not
      return !forbidden && before !== undefined ? { ...before, ...retry } : { ...nothing, pods: undefined, forbidden, ...retry }
    } finally {
      asking.delete(key)
    }
  }

  return {
    async of(namespace, labels, { limit = LIMIT, isOpen = hasNone } = {}) {
      const key = keyFor(namespace, labels, limit)
      const lastsMs = (found: Known): number => {
        if (found.retryMs !== undefined) return found.retryMs
        if (found.pods === undefined || !isOpen(found)) return SETTLED_MS
        return Math.max(OPEN_MS, (open.get(namespace)?.size ?? 1) * open.size * PACE_MS)
      }
      let found: Known | undefined = known.get(key)
      if (found === undefined || now() - found.at >= lastsMs(found)) {
        const answer = asking.get(key) ?? ask(key, namespace, labels, limit, found)
        asking.set(key, answer)
        found = await answer
      }
      remember(key, found)
      setOpen(namespace, key, found.pods !== undefined && isOpen(found))
      const againInMs = Math.max(1000, found.at + lastsMs(found) - now())
      return { pods: found.pods, forbidden: found.forbidden, more: found.more, againInMs }
    },
    expire(namespace, labels) {
      for (const limit of [1, LIMIT]) {
        const key = keyFor(namespace, labels, limit)
        const found = known.get(key)
        if (found !== undefined) known.set(key, { ...found, at: -Infinity })
      }
    },
  }
}

function hasNone({ pods }: Pick<Selection, 'pods'>): boolean {
  return pods?.length === 0
}

function keyFor(namespace: string, labels: Labels, limit: number): string {
  return JSON.stringify([namespace, limit, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))])
}

/** As a label selector of the API; undefined where no pod can have such labels. */
function selectorText(labels: Labels): string | undefined {
  const pairs = Object.entries(labels)
  if (!pairs.every(([label, value]) => isLabelKey(label) && typeof value === 'string' && LABEL_VALUE.test(value))) return undefined
  return pairs.map(([label, value]) => `${label}=${value}`).join()
}

function selectedPod({ metadata: { labels, annotations } }: KubeObject): SelectedPod {
  const own = Object.entries(labels ?? {}).filter(([label]) => !PER_POD.has(label))
  const revision = annotations?.[REVISION_LABEL]
  return {
    labels: Object.fromEntries(own.sort(([a], [b]) => (a < b ? -1 : 1))),
    revision: revision === '' ? undefined : revision,
  }
}

function distinct(pods: readonly SelectedPod[]): readonly SelectedPod[] {
  return [...new Map(pods.map((pod) => [JSON.stringify(pod), pod])).values()]
}
