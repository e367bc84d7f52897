/** Waiting for a part of the cluster, with an error that shows why it does not come. */
import { setTimeout as sleep } from 'node:timers/promises'
import { partFailure, type Part } from './supervise.ts'

const READY_WITHIN_MS = 120_000
const POLL_EVERY_MS = 50

/** Polls `probe` until it is true. Fails as soon as one of `parts` has ended, or when `what` takes longer than two minutes. */
export async function waitReady(what: string, parts: readonly Part[], probe: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS
  while (!(await succeeds(probe))) {
    for (const part of parts) {
      const end = part.ended()
      if (end !== undefined) throw partFailure(part, `ended (${end}) before ${what} was ready`)
    }
    if (performance.now() > deadline) {
      const last = parts.at(-1)
      const problem = `: ${what} was not ready within ${READY_WITHIN_MS / 1000} s`
      throw last === undefined ? new Error(`local cluster${problem}`) : partFailure(last, problem)
    }
    await sleep(POLL_EVERY_MS)
  }
}

/** A refused connection and the like mean "not yet". */
async function succeeds(probe: () => Promise<boolean>): Promise<boolean> {
  try {
    return await probe()
  } catch {
    return false
  }
}
