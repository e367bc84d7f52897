/**
 * Fences that this module does not serve, because they are for another revision of Istio. Where no other module does either, somebody
 * has to say so: the module that served one last does, at once and once; whoever serves it then overwrites that.
 */
import type { Client } from '../../runtime/client.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { FIELD_MANAGER, SERVICE_FENCE } from '../kinds.ts'
import { type FenceCondition, isEnabled, statusOf } from './fence.ts'
import type { FenceReason } from './reasons.ts'
import { labelledRevision } from './scope.ts'

const REASON = 'NotServed' satisfies FenceReason

export interface NotServedOptions {
  readonly client: Pick<Client, 'mergePatch'>
  readonly fences: { readonly record: (object: KubeObject) => void }
  /** This module: `namespace/name`. */
  readonly servedBy: string
  /** Revisions that it serves. */
  readonly revisions: readonly string[]
  readonly onFalse: (fence: KubeObject, condition: FenceCondition) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export interface NotServed {
  /** Returns after how many milliseconds to look again. Throws ApiError, 409 where the fence has changed meanwhile, or ConnectionError. */
  readonly judge: (fence: KubeObject) => Promise<number | undefined>
  /** This module serves the fence, or it is gone. */
  readonly forget: (key: string) => void
}

/** A module that serves a fence of which nobody has said anything yet says it within this time. */
export const UNSAID_MS = 15_000

export function createNotServed({ client, fences, servedBy, revisions, onFalse, now = Date.now }: NotServedOptions): NotServed {
  /** Of fences of which nobody says who serves them: what they were, and since when; or that it was said. */
  const waiting = new Map<string, { readonly state: string; readonly since: number; readonly isSaid: boolean }>()

  async function say(fence: KubeObject): Promise<void> {
    const before = statusOf(fence).conditions ?? []
    const others = before.filter(({ type }) => type !== 'Ready' && type !== 'Learning')
    const message = messageFor(fence, revisions)
    const conditions = ['Ready', 'Learning'].map((type): FenceCondition => {
      const same = before.find((condition) => condition.type === type && condition.status === 'False')
      const lastTransitionTime = same?.lastTransitionTime ?? `${new Date(now()).toISOString().slice(0, 19)}Z`
      return { type, status: 'False', reason: REASON, message, observedGeneration: fence.metadata.generation ?? 0, lastTransitionTime }
    })
    const patch = {
      metadata: { resourceVersion: fence.metadata.resourceVersion },
      status: { conditions: [...conditions, ...others], servedBy: null },
    }
    fences.record(await client.mergePatch(refOf(SERVICE_FENCE, fence), patch, FIELD_MANAGER, 'status'))
    onFalse(fence, conditions[0]!)
  }

  return {
    async judge(fence) {
      const key = keyOf(fence)
      const { servedBy: served } = statusOf(fence)
      if (!isEnabled(fence) || isNotServed(fence) || (typeof served === 'string' && served !== servedBy)) {
        waiting.delete(key)
        return undefined
      }
      if (served === servedBy) {
        await say(fence)
        return UNSAID_MS
      }
      const state = `${fence.metadata.uid} ${labelledRevision(fence)}`
      const known = waiting.get(key)
      const since = known?.state === state ? known : { state, since: now(), isSaid: false }
      waiting.set(key, since)
      if (since.isSaid) return undefined
      const leftMs = since.since + UNSAID_MS - now()
      if (leftMs > 0) return leftMs
      await say(fence)
      waiting.set(key, { ...since, isSaid: true })
      return UNSAID_MS
    },
    forget: (key) => void waiting.delete(key),
  }
}

/** Said of this fence, by whichever module. */
export function isNotServed(fence: KubeObject): boolean {
  return statusOf(fence).conditions?.some(({ type, reason }) => type === 'Ready' && reason === REASON) === true
}

function messageFor(fence: KubeObject, revisions: readonly string[]): string {
  const label = labelledRevision(fence)
  const why = label === '' ? 'The fence has no label istio.io/rev' : `Label istio.io/rev of the fence is ${label}`
  return `${why}, and no lazyload module serves that: its Sidecar stays as it is, and nothing is learned. Served is ${[...revisions].sort().join(', ')}. Correct the label, or add its revision to global.istioRev of the module.`
}
