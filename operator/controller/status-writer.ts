/** Writes the status of SlimeBoots: only what differs, and what is merely under way only now and then. */
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'winston'
import type { Client } from '../../runtime/client.ts'
import { hasCode, messageOf } from '../../runtime/errors.ts'
import type { Informer } from '../../runtime/informer.ts'
import { keyOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import { FIELD_MANAGER } from '../api/slimeboot.ts'
import { NOTHING, type Outcome } from './outcome.ts'
import { type Status, statusOf } from './status.ts'

export interface StatusWriterDependencies {
  readonly client: Pick<Client, 'jsonPatch'>
  readonly boots: Pick<Informer, 'get' | 'record'>
  readonly log: Logger
}

/** Shows how far a long apply is. */
export interface Progress {
  /** So many of `total` objects are applied. */
  readonly step: (done: number, total: number) => void
  /** Resolves when what was said is written. */
  readonly end: () => Promise<void>
}

/** Progress is told at most so often. */
const PROGRESS_MS = 2000

export function createStatusWriter({ client, boots, log }: StatusWriterDependencies) {
  /** By key when a status was written last, milliseconds. */
  const writtenAt = new Map<string, number>()

  /** `judged`: the SlimeBoot that the outcome is of. A failure is logged: the next reconcile tells again. */
  async function write(judged: KubeObject, outcome: Outcome): Promise<void> {
    const key = keyOf(judged)
    const boot = boots.get(key)
    if (boot === undefined || boot.metadata.uid !== judged.metadata.uid || isInFlux(outcome)) return
    const finished = outcome.phase === 'delete' && outcome.waiting.length === 0 && outcome.problems.length === 0
    if (finished) return
    // a spec that came meanwhile was not looked at yet
    const status = statusOf({ ...boot, metadata: judged.metadata }, outcome, new Date().toISOString().replace(/\.\d+Z$/, 'Z'))
    if (isDeepStrictEqual(status, boot['status'])) return
    if (isMereProgress(boot, status) && performance.now() - (writtenAt.get(key) ?? -Infinity) < PROGRESS_MS) return
    writtenAt.set(key, performance.now())
    try {
      boots.record(
        await client.jsonPatch(
          refOf(SLIMEBOOT, boot),
          [
            { op: 'test', path: '/metadata/uid', value: boot.metadata.uid },
            { op: 'add', path: '/status', value: status },
          ],
          FIELD_MANAGER,
          'status',
        ),
      )
    } catch (error) {
      if (!hasCode(error, 404)) log.warn('status not written', { object: objectId(boot), error: messageOf(error) })
    }
  }

  return {
    write,

    progressOf(boot: KubeObject): Progress {
      let next = performance.now() + PROGRESS_MS
      let sending: Promise<void> = Promise.resolve()
      return {
        step(done, total) {
          if (performance.now() < next || done === total) return
          next = performance.now() + PROGRESS_MS
          sending = sending.then(() => write(boot, { ...NOTHING, waiting: [`${done} of ${total} objects applied`] }))
        },
        end: () => sending,
      }
    },

    /** The SlimeBoot of this key is gone. */
    forget: (key: string): void => void writtenAt.delete(key),
  }
}

/** The same generation still under way: said now and then, not at every step of a rollout. A reconcile to come tells the rest. */
function isMereProgress(boot: KubeObject, status: Status): boolean {
  const previous = boot['status'] as Partial<Status> | undefined
  const before = previous?.conditions?.find((condition) => condition.type === 'Ready')
  const now = status.conditions.find((condition) => condition.type === 'Ready')
  return previous?.observedGeneration === status.observedGeneration && before?.reason === 'Progressing' && now?.reason === 'Progressing'
}

/** Nothing but conflicts: looked at again at once, and mostly gone then. */
function isInFlux({ problems }: Outcome): boolean {
  return problems.length > 0 && problems.every(({ retry }) => retry === 'conflict')
}
