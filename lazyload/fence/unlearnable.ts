/**
 * Why what the pods of a fence call cannot be learned, for fences whose pods Services do not tell of: pods may not be listed, or they
 * are on the network of their node. Looked at now and then, one fence after the other.
 */
import { after, inBackground } from '../../runtime/callbacks.ts'
import { isDeepStrictEqual } from 'node:util'
import { hasCode } from '../../runtime/errors.ts'
import type { Pod, Pods } from '../mesh/pods.ts'
import type { Labels } from '../sidecar/sidecar.ts'
import type { SourceProblem } from './status.ts'

export interface UnlearnableOptions {
  readonly pods: Pick<Pods, 'withLabels'>
  /** What is known of this fence has become another. */
  readonly onChange: (fence: string) => void
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number
}

export interface Unlearnable {
  /** What is known of the fence `namespace/name` that has pods with these labels; looks again where that is old. */
  readonly of: (fence: string, labels: Labels) => SourceProblem | undefined
  /** What is known of this fence may be another by now. */
  readonly expire: (fence: string) => void
  /** There is no such fence any more, or Services tell of its pods. */
  readonly forget: (fence: string) => void
}

const PODS_UNSEEN: SourceProblem = {
  reason: 'PodsUnseen',
  message:
    'Pods may not be listed, so calls of pods that are behind no Service of the name of this fence teach nothing. Grant lazyload "list" on pods.',
}
const HOST_NETWORK: SourceProblem = {
  reason: 'HostNetwork',
  message:
    'The pods of this fence are on the network of their node: others call from the same address, so what they call is not learned. Put it into spec.host, or disable the fence: such pods have no proxy that reads a Sidecar.',
}

const LOOK_AGAIN_MS = 60_000
const LOOKED_AT = 20
const MAX_WAITING = 10_000

interface Look {
  readonly at: number
  readonly labels: Labels
  readonly problem: SourceProblem | undefined
}

export function createUnlearnable({ pods, onChange, now = () => performance.now() }: UnlearnableOptions): Unlearnable {
  const looks = new Map<string, Look>()
  const waiting = new Map<string, Labels>()
  let looking = false
  let timer: NodeJS.Timeout | undefined

  /** Undefined where nothing is known: the API server did not answer. */
  async function look(fence: string, labels: Labels): Promise<SourceProblem | undefined> {
    try {
      return problemOf(await pods.withLabels(labels, fence.slice(0, fence.indexOf('/')), LOOKED_AT))
    } catch (error) {
      return hasCode(error, 403) ? PODS_UNSEEN : looks.get(fence)?.problem
    }
  }

  /** One after the other. */
  async function lookAtAll(): Promise<void> {
    if (looking) return
    looking = true
    try {
      for (const [fence, labels] of waiting) {
        const problem = await look(fence, labels)
        const before = looks.get(fence)?.problem
        // forgotten meanwhile
        if (!waiting.delete(fence)) continue
        looks.set(fence, { at: now(), labels, problem })
        if (problem?.reason !== before?.reason) onChange(fence)
      }
    } finally {
      looking = false
    }
    lookAgainLater()
  }

  /** Nothing tells when a right is granted, or a pod replaced. */
  function lookAgainLater(): void {
    if (timer !== undefined) return
    timer = after(LOOK_AGAIN_MS, 'fences that learn nothing', () => {
      timer = undefined
      for (const [fence, { problem }] of looks) if (problem !== undefined) onChange(fence)
    }).unref()
  }

  return {
    of(fence, labels) {
      const known = looks.get(fence)
      const isOld = known === undefined || !isDeepStrictEqual(known.labels, labels) || now() - known.at >= LOOK_AGAIN_MS
      if (isOld && !waiting.has(fence) && waiting.size < MAX_WAITING) {
        waiting.set(fence, labels)
        inBackground('fences that learn nothing', lookAtAll())
      }
      return known?.problem
    },
    expire(fence) {
      const known = looks.get(fence)
      if (known !== undefined) looks.set(fence, { ...known, at: -Infinity })
    },
    forget(fence) {
      looks.delete(fence)
      waiting.delete(fence)
    },
  }
}

function problemOf(pods: readonly Pod[]): SourceProblem | undefined {
  const alive = pods.filter(({ finished }) => !finished)
  return alive.length > 0 && alive.every(({ hostNetwork }) => hostNetwork) ? HOST_NETWORK : undefined
}
