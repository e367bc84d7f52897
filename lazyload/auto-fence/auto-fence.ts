/** Makes and removes the fences that labels ask for (spec 4). */
import type { Client } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { FIELD_MANAGER, REVISION_LABEL, SERVICE_FENCE } from '../kinds.ts'
import { CREATED_BY, CREATED_BY_LABEL, type DecisionOptions, isAutoFence, wantsFence } from './decision.ts'

export type AutoFenceOutcome = 'created' | 'deleted' | 'unchanged'

export interface AutoFenceOptions {
  readonly client: Pick<Client, 'create' | 'remove'>
  readonly fences: {
    readonly get: (key: string) => KubeObject | undefined
    readonly record: (object: KubeObject) => void
    readonly forget: (object: KubeObject) => void
  }
  readonly service: (key: string) => KubeObject | undefined
  readonly namespace: (name: string) => KubeObject | undefined
  readonly decision: DecisionOptions
  readonly inScope: (fence: KubeObject) => boolean
  /** Label `istio.io/rev` of new fences; undefined: none. */
  readonly revision: string | undefined
}

export function createAutoFence({ client, fences, service, namespace, decision, inScope, revision }: AutoFenceOptions) {
  /** Undefined: not known yet, because the namespace is not in the cache; its event brings this key back. */
  function wanted(key: string): boolean | undefined {
    const found = service(key)
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return false
    const home = namespace(key.slice(0, key.indexOf('/')))
    if (home === undefined || home.metadata.deletionTimestamp !== undefined) return undefined
    return wantsFence(found, home, decision)
  }

  return {
    /** Makes the fence of Service `key` (`namespace/name`) there, or gone, as its labels say. Throws ApiError or ConnectionError. */
    async judge(key: string): Promise<AutoFenceOutcome> {
      const fence = fences.get(key)
      const wants = wanted(key)
      if (fence === undefined && wants === true) {
        try {
          fences.record(await client.create(SERVICE_FENCE, newFence(key, revision), FIELD_MANAGER))
        } catch (error) {
          // somebody was faster; or the namespace is on its way out
          if (hasCode(error, 409) || (hasCode(error, 403) && isTerminating(error))) return 'unchanged'
          throw error
        }
        return 'created'
      }
      if (fence === undefined || wants !== false || !isAutoFence(fence) || !inScope(fence)) return 'unchanged'
      const { uid, resourceVersion } = fence.metadata
      await client.remove(refOf(SERVICE_FENCE, fence), { uid, resourceVersion })
      fences.forget(fence)
      return 'deleted'
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
