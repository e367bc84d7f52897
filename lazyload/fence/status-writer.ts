/** Writes the status of a fence. Two lazyload modules that judge one fence differently would each correct the other for ever: they give in. */
import { createHash } from 'node:crypto'
import type { Client } from '../../runtime/client.ts'
import { createContests, DELETIONS } from '../../runtime/contest.ts'
import { keyOf, type KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { FIELD_MANAGER, SERVICE_FENCE } from '../kinds.ts'

export interface StatusWriterOptions {
  readonly client: Pick<Client, 'mergePatch'>
  readonly fences: { readonly record: (object: KubeObject) => void }
}

/** Writes after which what is long quiet is forgotten. */
const SWEEP_EVERY = 1000

export function createStatusWriter({ client, fences }: StatusWriterOptions) {
  const contests = createContests()
  let writes = 0

  /**
   * Returns 0; or, where the same was written ten times in five minutes, the milliseconds until it may be written again. `lastWord`:
   * twice as often, for who sees the contest. Throws ApiError or ConnectionError.
   */
  return async function writeStatus(fence: KubeObject, patch: object, { lastWord }: { readonly lastWord: boolean }): Promise<number> {
    const subject = `${keyOf(fence)} ${hashOf(patch)}`
    const waitMs = contests.waitMs(subject, '')
    if (waitMs > 0) return waitMs
    fences.record(await client.mergePatch(refOf(SERVICE_FENCE, fence), patch, FIELD_MANAGER, 'status'))
    contests.repaired(subject, '', lastWord ? 2 * DELETIONS : DELETIONS)
    if (++writes % SWEEP_EVERY === 0) contests.sweep()
    return 0
  }
}

/** Of what a patch says, but for when. */
function hashOf(patch: object): string {
  const said = JSON.stringify(patch, (key, value: unknown) => (key === 'lastTransitionTime' ? undefined : value))
  return createHash('sha256').update(said).digest('base64url').slice(0, 16)
}
