/** Forgets what fences have learned; their next calls teach them anew. */
import type { Client } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { statusOf } from '../fence/fence.ts'
import { FIELD_MANAGER, SERVICE_FENCE } from '../kinds.ts'

const TRIES = 5

/** Resets one fence as it is now; false where it is gone or knows nothing. Throws ApiError or ConnectionError. */
export async function resetFence(client: Pick<Client, 'get' | 'mergePatch'>, fence: KubeObject): Promise<boolean> {
  const ref = refOf(SERVICE_FENCE, fence)
  for (let tries = 1; ; tries++) {
    const found = await client.get(ref)
    if (found === undefined || Object.keys(statusOf(found).metricStatus ?? {}).length === 0) return false
    const { resourceVersion } = found.metadata
    try {
      await client.mergePatch(ref, { metadata: { resourceVersion }, status: { metricStatus: null } }, FIELD_MANAGER, 'status')
      return true
    } catch (error) {
      // something was learned meanwhile
      if (!hasCode(error, 409) || tries >= TRIES) throw error
    }
  }
}
