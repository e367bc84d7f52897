/** Makes and removes the fences that labels ask for (spec 4). */
import type { Client } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { FIELD_MANAGER, NAMESPACE, REVISION_LABEL, SERVICE, SERVICE_FENCE } from '../kinds.ts'
import { slimService } from '../mesh/known-hosts.ts'
import { CREATED_BY, CREATED_BY_LABEL, type DecisionOptions, isAutoFence, type Verdict, verdictOn } from './decision.ts'

export interface AutoFenceOutcome {
  readonly action: 'created' | 'deleted' | 'unchanged'
  /** Look again after this time: the fence may go then. */
  readonly againInMs?: number
}

const UNCHANGED: AutoFenceOutcome = { action: 'unchanged' }
/** Where the cache is behind. */
const LOOK_AGAIN_MS = 5000

export interface AutoFenceOptions {
  readonly client: Pick<Client, 'get' | 'create' | 'remove'>
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
  /** Label `istio.io/rev` of new fences; undefined: none. */
  readonly revision: string | undefined
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export function createAutoFence(options: AutoFenceOptions) {
  const { client, fences, service, namespace, decision, graceMs, inScope, revision, now = () => performance.now() } = options
  /** Since when nothing asks for a fence that is there. */
  const unaskedSince = new Map<string, number>()

  /** Undefined: not known yet, because the namespace is not in the cache, or on its way out; its event brings this key back. */
  function judgeBy(found: KubeObject | undefined, home: KubeObject | undefined): Verdict | undefined {
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return 'unasked'
    if (home === undefined || home.metadata.deletionTimestamp !== undefined) return undefined
    return verdictOn(found, home, decision)
  }

  /** The cache may be behind, and a fence that is deleted takes with it what it has learned: this is asked before. */
  async function judgeLive(key: string): Promise<Verdict | undefined> {
    const [home = '', name = ''] = key.split('/')
    const [found, around] = await Promise.all([
      client.get({ type: SERVICE, namespace: home, name }),
      client.get({ type: NAMESPACE, name: home }),
    ])
    return judgeBy(found === undefined ? undefined : slimService(found), around)
  }

  async function create(key: string): Promise<AutoFenceOutcome> {
    try {
      fences.record(await client.create(SERVICE_FENCE, newFence(key, revision), FIELD_MANAGER))
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
      const verdict = judgeBy(service(key), namespace(key.slice(0, key.indexOf('/'))))
      if (fence === undefined && verdict === 'yes') return await create(key)
      const isOurs = fence !== undefined && isAutoFence(fence) && inScope(fence)
      if (!isOurs || verdict === 'yes' || verdict === undefined) {
        unaskedSince.delete(key)
        return UNCHANGED
      }
      if (verdict === 'unasked') {
        const since = unaskedSince.get(key) ?? now()
        unaskedSince.set(key, since)
        const leftMs = since + graceMs - now()
        if (leftMs > 0) return { action: 'unchanged', againInMs: leftMs }
      }
      const live = await judgeLive(key)
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
function newFence(key: string, revision: string | undefined): KubeObject {
  const [namespace = '', name = ''] = key.split('/')
  const labels = { [CREATED_BY_LABEL]: CREATED_BY, ...(revision === undefined ? {} : { [REVISION_LABEL]: revision }) }
  const { apiVersion, kind } = SERVICE_FENCE
  return { apiVersion, kind, metadata: { name, namespace, labels }, spec: { enable: true, workloadSelector: { fromService: true } } }
}
