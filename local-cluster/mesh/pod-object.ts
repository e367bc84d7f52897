/**
 * The Pod object of a pod that runs as a network namespace. We say ourselves that it is running and where; then the controller manager
 * puts it into the EndpointSlices of the Services that select it. It must be on a node for that, and kwok leaves alone a pod of its
 * node that has an address before it is bound there.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterAccess } from '../access.ts'
import { NODE_NAME } from '../node.ts'

export interface PodOptions {
  readonly name: string
  readonly namespace: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly serviceAccountName?: string
}

const MERGE = 'application/merge-patch+json'
const ACCOUNT_WITHIN_MS = 15_000

/** Creates it, Running and Ready at `ip`. */
export async function createPodObject({ request }: Pick<ClusterAccess, 'request'>, pod: PodOptions, ip: string): Promise<void> {
  const { name, namespace, labels = {}, annotations = {}, serviceAccountName = 'default' } = pod
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, annotations },
    spec: {
      schedulerName: 'pod-network',
      serviceAccountName,
      automountServiceAccountToken: false,
      containers: [{ name: 'app', image: 'none' }],
    },
  }
  const deadline = performance.now() + ACCOUNT_WITHIN_MS
  for (;;) {
    const answer = await request('POST', `/api/v1/namespaces/${namespace}/pods`, { body })
    if (answer.status === 201) break
    // the controller manager makes the ServiceAccount of a new namespace a moment later
    const tooEarly = answer.status === 403 && String(answer.body.message).includes('serviceaccount')
    if (!tooEarly || performance.now() > deadline)
      throw new Error(`Pod/${namespace}/${name}: create refused: ${answer.body.message ?? answer.status}`)
    await sleep(50)
  }
  await setPodReady({ request }, { namespace, name }, ip, true)
  const bound = await request('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding`, {
    body: { apiVersion: 'v1', kind: 'Binding', metadata: { namespace, name }, target: { apiVersion: 'v1', kind: 'Node', name: NODE_NAME } },
  })
  if (bound.status !== 201) throw new Error(`Pod/${namespace}/${name}: binding refused: ${bound.body.message ?? bound.status}`)
}

/** Says in the Pod's status that it runs at `ip`, and whether it is ready. */
export async function setPodReady(
  { request }: Pick<ClusterAccess, 'request'>,
  { namespace, name }: Pick<PodOptions, 'namespace' | 'name'>,
  ip: string,
  ready: boolean,
): Promise<void> {
  const conditions = ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
    type,
    status: ready || type === 'Initialized' || type === 'PodScheduled' ? 'True' : 'False',
  }))
  const now = new Date().toISOString()
  const status = {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    hostIP: '10.96.0.1',
    hostIPs: [{ ip: '10.96.0.1' }],
    startTime: now,
    conditions,
  }
  const answer = await request('PATCH', `/api/v1/namespaces/${namespace}/pods/${name}/status`, { body: { status }, contentType: MERGE })
  if (answer.status !== 200) throw new Error(`Pod/${namespace}/${name}: status refused: ${answer.body.message ?? answer.status}`)
}

/** Removes it; that it is gone already is fine. */
export async function removePodObject(
  { request }: Pick<ClusterAccess, 'request'>,
  { namespace, name }: Pick<PodOptions, 'namespace' | 'name'>,
): Promise<void> {
  await request('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0`)
}
