/** Pods as the API server has them, with the state that a kubelet would write; nothing runs in them, and they are on no node. */
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { eventually } from './eventually.ts'

export interface PodState {
  readonly namespace: string
  readonly name: string
  readonly ip: string
  readonly labels?: Readonly<Record<string, string>>
  readonly hostNetwork?: boolean
  /** Default: Running. */
  readonly phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed'
  /** When its container ended. */
  readonly finishedAt?: Date
}

/** Creates the pod, or gives the one that is there this state. */
export async function putPod({ request }: Pick<ClusterAccess, 'request'>, pod: PodState): Promise<void> {
  const { namespace, name, ip, labels = {}, hostNetwork = false, phase = 'Running', finishedAt } = pod
  const pods = `/api/v1/namespaces/${namespace}/pods`
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: {
      schedulerName: 'nobody',
      hostNetwork,
      automountServiceAccountToken: false,
      containers: [{ name: 'app', image: 'none' }],
    },
  }
  await eventually(async () => {
    const { status, body: answer } = await request('POST', pods, { body })
    // 403: the controller manager makes the ServiceAccount of a new namespace a moment later
    if (status !== 201 && status !== 409) throw new Error(`Pod/${namespace}/${name}: create refused: ${answer.message ?? status}`)
  })
  const ended = { name: 'app', ready: false, restartCount: 0, image: 'none', imageID: '', lastState: {} }
  const state = {
    phase,
    podIP: ip,
    podIPs: [{ ip }],
    hostIP: '10.96.0.1',
    ...(finishedAt === undefined
      ? {}
      : { containerStatuses: [{ ...ended, state: { terminated: { exitCode: 0, finishedAt: secondsOf(finishedAt) } } }] }),
  }
  const { status, body: answer } = await request('PATCH', `${pods}/${name}/status`, {
    body: { status: state },
    contentType: 'application/merge-patch+json',
  })
  if (status !== 200) throw new Error(`Pod/${namespace}/${name}: status refused: ${answer.message ?? status}`)
}

export async function removePod({ request }: Pick<ClusterAccess, 'request'>, namespace: string, name: string): Promise<void> {
  await request('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0`)
}

function secondsOf(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z')
}
