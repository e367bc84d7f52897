/** Makes and removes the fences that labels ask for (spec 4), and lets them follow the revision of Istio. */
import type { Client } from '../../runtime/client.ts'
import { createContests } from '../../runtime/contest.ts'
import { hasCode } from '../../runtime/errors.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { FIELD_MANAGER, NAMESPACE, REVISION_LABEL, SERVICE, SERVICE_FENCE } from '../kinds.ts'
import { statusOf } from '../fence/fence.ts'
import { isNotServed } from '../fence/not-served.ts'
import { slimService } from '../mesh/known-hosts.ts'
import type { Revisions } from '../mesh/revisions.ts'
import {
  ANY_CONFIGURATION,
  CREATED_BY,
  CREATED_BY_LABEL,
  type DecisionOptions,
  isAutoFence,
  isOfOtherModule,
  MODULE_ANNOTATION,
  type Verdict,
  verdictOn,
} from './decision.ts'
import { relabelled, revisionToFollow, wantedRevision } from './revision.ts'

export interface AutoFenceOutcome {
  readonly action: 'created' | 'deleted' | 'relabelled' | 'unchanged'
  /** Look again after this time: the fence may go then. */
  readonly againInMs?: number
}

const UNCHANGED: AutoFenceOutcome = { action: 'unchanged' }
/** Where the cache is behind. */
const LOOK_AGAIN_MS = 5000
/** Writes after which what is long quiet is forgotten. */
const SWEEP_EVERY = 1000

export interface AutoFenceOptions {
  readonly client: Pick<Client, 'get' | 'create' | 'mergePatch' | 'remove'>
  readonly fences: {
    readonly get: (key: string) => KubeObject | undefined
    readonly record: (object: KubeObject) => void
    readonly forget: (object: KubeObject) => void
  }
  readonly service: (key: string) => KubeObject | undefined
  readonly namespace: (name: string) => KubeObject | undefined
  readonly decision: DecisionOptions
  /** How long nothing must ask for a fence before it is removed, milliseconds. */
  readonly graceMs: number
  readonly inScope: (fence: KubeObject) => boolean
  /** Revisions of Istio that are served, or tags; empty: all. */
  readonly served: readonly string[]
  readonly revisions: Pick<Revisions, 'resolve'>
  /** This module: `namespace/name`. */
  readonly servedBy: string
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export function createAutoFence(options: AutoFenceOptions) {
  const {
    client,
    fences,
    service,
    namespace,
    decision,
    graceMs,
    inScope,
    served,
    revisions,
    servedBy,
    now = () => performance.now(),
  } = options
  /** Since when nothing asks for a fence that is there. */
  const unaskedSince = new Map<string, number>()
  /** Whoever sets another label again and again gets his way. */
  const contests = createContests()
  let relabels = 0

  /** Undefined: not known yet, because the namespace is not in the cache, or on its way out; its event brings this key back. */
  function judgeBy(found: KubeObject | undefined, home: KubeObject | undefined, by: DecisionOptions): Verdict | undefined {
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return 'unasked'
    if (home === undefined || home.metadata.deletionTimestamp !== undefined) return undefined
    return verdictOn(found, home, by)
  }

  /** The cache may be behind, and a fence that is deleted takes with it what it has learned: this is asked before. */
  async function judgeLive(key: string, by: DecisionOptions): Promise<Verdict | undefined> {
    const [home = '', name = ''] = key.split('/')
    const [found, around] = await Promise.all([
      client.get({ type: SERVICE, namespace: home, name }),
      client.get({ type: NAMESPACE, name: home }),
    ])
    return judgeBy(found === undefined ? undefined : slimService(found), around, by)
  }

  /** Gives the fence the label of the revision that it is to follow, if it has another: the fence stays, and all that it has learned. */
  async function follow(fence: KubeObject, home: KubeObject): Promise<AutoFenceOutcome> {
    const by = statusOf(fence).servedBy
    const isOurs = typeof by === 'string' ? by === servedBy : isNotServed(fence)
    const wanted = wantedRevision(served, revisions, home, fence)
    const revision = revisionToFollow(wanted, revisions, fence, { inScope: inScope(fence), isOurs })
    if (revision === undefined) return UNCHANGED
    const key = keyOf(fence)
    const waitMs = contests.waitMs(key, revision)
    if (waitMs > 0) return { action: 'unchanged', againInMs: waitMs }
    fences.record(await client.mergePatch(refOf(SERVICE_FENCE, fence), relabelled(fence, revision), FIELD_MANAGER))
    contests.repaired(key, revision)
    if (++relabels % SWEEP_EVERY === 0) contests.sweep()
    return { action: 'relabelled' }
  }

  async function create(key: string, home: KubeObject): Promise<AutoFenceOutcome> {
    const wanted = wantedRevision(served, revisions, home, undefined)
    if (wanted.kind === 'another') return UNCHANGED
    const fence = newFence(key, wanted.kind === 'one' ? wanted.name : undefined, servedBy)
    // another module serves it, and makes it
    if (!inScope(fence)) return UNCHANGED
    try {
      fences.record(await client.create(SERVICE_FENCE, fence, FIELD_MANAGER))
      return { action: 'created' }
    } catch (error) {
      // somebody was faster; or the namespace is on its way out
      if (hasCode(error, 409) || (hasCode(error, 403) && isTerminating(error))) return UNCHANGED
      throw error
    }
  }

  return {
    /** Makes the fence of Service `key` (`namespace/name`) there, or gone, as its labels say. Throws ApiError or ConnectionError. */
    async judge(key: string): Promise<AutoFenceOutcome> {
      const fence = fences.get(key)
      const home = namespace(key.slice(0, key.indexOf('/')))
      // what another module's configuration may ask for is not removed because ours does not: the two would make and remove it for ever
      const by = fence !== undefined && isOfOtherModule(fence, servedBy) ? ANY_CONFIGURATION : decision
      const verdict = judgeBy(service(key), home, by)
      if (verdict === 'yes' && home !== undefined) {
        if (fence === undefined) return await create(key, home)
        unaskedSince.delete(key)
        return isAutoFence(fence) && fence.metadata.deletionTimestamp === undefined ? await follow(fence, home) : UNCHANGED
      }
      const isOurs = fence !== undefined && isAutoFence(fence) && inScope(fence)
      if (!isOurs || verdict === undefined) {
        unaskedSince.delete(key)
        return UNCHANGED
      }
      if (verdict === 'unasked') {
        const since = unaskedSince.get(key) ?? now()
        unaskedSince.set(key, since)
        const leftMs = since + graceMs - now()
        if (leftMs > 0) return { action: 'unchanged', againInMs: leftMs }
      }
      const live = await judgeLive(key, by)
      if (live === 'yes' || live === undefined) return { action: 'unchanged', againInMs: Math.max(graceMs, LOOK_AGAIN_MS) }
      const { uid, resourceVersion } = fence.metadata
      await client.remove(refOf(SERVICE_FENCE, fence), { uid, resourceVersion })
      fences.forget(fence)
      unaskedSince.delete(key)
      return { action: 'deleted' }
    },
  }
}

function isTerminating(error: { readonly details: { readonly causes?: readonly { readonly reason?: string }[] } | undefined }): boolean {
  return error.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') === true
}

/** Its Sidecar is for the pods that the Service selects, however they are labelled. */
function newFence(key: string, revision: string | undefined, module: string): KubeObject {
  const [namespace = '', name = ''] = key.split('/')
  const labels = { [CREATED_BY_LABEL]: CREATED_BY, ...(revision === undefined ? {} : { [REVISION_LABEL]: revision }) }
  const { apiVersion, kind } = SERVICE_FENCE
  const annotations = { [MODULE_ANNOTATION]: module }
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, labels, annotations },
    spec: { enable: true, workloadSelector: { fromService: true } },
  }
}
