/** Pods, asked for when somebody needs to know: a watch of them would be by far the largest cache of this program. */
import type { Client } from '../../runtime/client.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { POD } from '../kinds.ts'

export interface Pod {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** None where it has more than anybody needs: they are kept for many pods. */
  readonly labels: Readonly<Record<string, string>>
  /** It has the addresses of its node, and with them those of all such pods on that node. */
  readonly hostNetwork: boolean
  /** Its containers have ended for good (phase Succeeded or Failed): its address may be another pod's by now. */
  readonly finished: boolean
  /** When the last of them ended, milliseconds since 1970; undefined where nobody says it, or where it has not finished. */
  readonly finishedAt: number | undefined
}

export interface Pods {
  /** The pods that have this address as their first, or had it when they finished; of all namespaces unless one is given. */
  readonly withAddress: (address: string, namespace: string | undefined) => Promise<readonly Pod[]>
  /** The first `limit` pods of a namespace that have all these labels. */
  readonly withLabels: (labels: Readonly<Record<string, string>>, namespace: string, limit: number) => Promise<readonly Pod[]>
}

const MAX_LABELS = 200

/** Both throw ApiError or ConnectionError. */
export function createPods(client: Pick<Client, 'list'>): Pods {
  return {
    async withAddress(address, namespace) {
      // out of the API server's own cache, which is some milliseconds behind: it has no index of addresses
      const { items } = await client.list(POD, { resourceVersion: '0', map: slimPod, namespace, fieldSelector: `status.podIP=${address}` })
      return items.map(podOf)
    },
    async withLabels(labels, namespace, limit) {
      const labelSelector = Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join()
      // from its cache it would give them all
      const { items } = await client.list(POD, { map: slimPod, namespace, labelSelector, limit })
      return items.map(podOf)
    },
  }
}

interface PodState {
  readonly phase?: string
  readonly containerStatuses?: readonly { readonly state?: { readonly terminated?: { readonly finishedAt?: string | null } | null } }[]
}

/** Only what is read, page by page. */
function slimPod(object: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', labels } = object.metadata
  const { hostNetwork } = (object['spec'] ?? {}) as { readonly hostNetwork?: boolean }
  const { phase = '', containerStatuses } = (object['status'] ?? {}) as PodState
  const finished = phase === 'Succeeded' || phase === 'Failed'
  const ends = (containerStatuses ?? []).map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? '')).filter(Number.isFinite)
  const pod: Pod = {
    namespace,
    name,
    uid,
    labels: Object.keys(labels ?? {}).length > MAX_LABELS ? {} : (labels ?? {}),
    hostNetwork: hostNetwork === true,
    finished,
    finishedAt: finished && ends.length > 0 ? Math.max(...ends) : undefined,
  }
  return { apiVersion: object.apiVersion, kind: object.kind, metadata: { name, namespace }, pod }
}

function podOf(object: KubeObject): Pod {
  return object['pod'] as Pod
}
