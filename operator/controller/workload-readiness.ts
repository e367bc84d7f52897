/** Readiness of the workloads of each SlimeBoot: which are not available and why, asked for rarely enough for a thousand of them. */
import type { Logger } from 'winston'
import type { Client } from '../../runtime/client.ts'
import { messageOf } from '../../runtime/errors.ts'
import { objectId, type KubeObject } from '../../runtime/object.ts'
import type { Live } from '../apply/live.ts'
import { type PodCause, readPodCause } from '../apply/pod-cause.ts'
import { type Unready, unreadyDeployment } from '../apply/readiness.ts'

/** A workload that is not ready is asked for its cause after this time, then rarer. */
const LOOK_MS = 3000
/** However many are not ready. */
const LATEST_LOOK_MS = 60_000
/** From then on a workload takes its time: it is looked at as what heals by itself. */
const SLOW_AFTER_MS = 30_000
const SLOW_LOOK_MS = 15_000
/** Deployments of a SlimeBoot whose pods are asked. */
const ASKED = 5

interface UnreadyBoot {
  /** Milliseconds, monotonic. */
  readonly since: number
  /** When its pods were asked last; at first when it became unready. */
  askedAt: number
  /** By object what its pods said. */
  causes: ReadonlyMap<string, PodCause | undefined>
}

export interface WorkloadReadinessDependencies {
  readonly client: Pick<Client, 'list'>
  readonly live: Pick<Live, 'get'>
  readonly log: Logger
}

export function createWorkloadReadiness({ client, live, log }: WorkloadReadinessDependencies) {
  /** SlimeBoots with unready workloads, by key. */
  const boots = new Map<string, UnreadyBoot>()

  /** Many that are not ready are looked at rarer each: the API server is asked for pods some ten times a second at most. */
  function lookMs(): number {
    return Math.min(LOOK_MS * Math.max(1, boots.size / 30), LATEST_LOOK_MS)
  }

  async function causeOf(deployment: KubeObject): Promise<PodCause | undefined> {
    try {
      return await readPodCause(client, deployment)
    } catch (error) {
      log.debug('pods not read', { object: objectId(deployment), error: messageOf(error) })
      return undefined
    }
  }

  return {
    /** The Deployments among `desired` that are not available, as the cache has them; empty when all are. */
    async unreadyOf(key: string, desired: readonly KubeObject[]): Promise<readonly Unready[]> {
      const deployments = desired.flatMap((object) => (object.kind === 'Deployment' ? (live.get(object) ?? []) : []))
      const found = deployments.flatMap((deployment) => {
        const unready = unreadyDeployment(deployment)
        return unready === undefined ? [] : [{ deployment, unready }]
      })
      if (found.length === 0) {
        boots.delete(key)
        return []
      }
      const now = performance.now()
      const boot = boots.get(key) ?? { since: now, askedAt: now, causes: new Map() }
      boots.set(key, boot)
      // pods need a moment to come up; and of many the first few tell enough
      if (now - boot.askedAt >= lookMs() * 0.8) {
        boot.askedAt = now
        const asked = found.slice(0, ASKED).map(async ({ deployment, unready }) => [unready.object, await causeOf(deployment)] as const)
        boot.causes = new Map(await Promise.all(asked))
      }
      return found.map(({ unready }) => ({ ...unready, ...boot.causes.get(unready.object) }))
    },

    /** When a SlimeBoot that waits is to be looked at again, milliseconds. */
    nextLookMs(key: string): number {
      const isNew = performance.now() - (boots.get(key)?.since ?? 0) < SLOW_AFTER_MS
      return isNew ? lookMs() : Math.max(SLOW_LOOK_MS, lookMs())
    },

    forget: (key: string): void => void boots.delete(key),
  }
}
