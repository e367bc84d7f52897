/** Waiting for a client that has nothing left to say. */
import { setTimeout as sleep } from 'node:timers/promises'
import { requestsOf, type Who } from '../../harness/requests.ts'
import type { Stage } from '../../harness/stage.ts'

const LOOK_MS = 500

/** Resolves when no request but watches and the Lease has come from `who` for `quietMs`; returns how many there were meanwhile. */
export async function untilAtRest(stage: Pick<Stage, 'cluster'>, who: Who, quietMs = 2000): Promise<number> {
  const since = new Date()
  let seen = -1
  for (let quiet = 0; quiet < quietMs; quiet += LOOK_MS) {
    await sleep(LOOK_MS)
    const { length } = requestsOf(stage, who, since).work
    if (length !== seen) quiet = 0
    seen = length
  }
  return seen
}
