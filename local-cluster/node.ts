/** The node that kwok plays: large enough for every test, ready as soon as kwok sees it. */
import type { ClusterAccess } from './access.ts'

const CAPACITY = { cpu: '64', memory: '256Gi', pods: '1000', 'ephemeral-storage': '1Ti' }
export const NODE_NAME = 'local'
const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: NODE_NAME,
    labels: { 'kubernetes.io/hostname': NODE_NAME, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' },
  },
  status: { allocatable: CAPACITY, capacity: CAPACITY },
}

/** Creates the node. A node's status may be given when it is created. */
export async function createNode(request: ClusterAccess['request']): Promise<void> {
  const { status, body } = await request('POST', '/api/v1/nodes', { body: NODE })
  if (status !== 201 && status !== 409) throw new Error(`Node/${NODE_NAME}: create refused: ${body.message ?? status}`)
}

/** Whether kwok has made the node Ready, so that pods can be scheduled on it. */
export async function nodeIsReady(request: ClusterAccess['request']): Promise<boolean> {
  const { body } = await request('GET', `/api/v1/nodes/${NODE_NAME}`)
  const conditions: readonly { type: string; status: string }[] = body.status?.conditions ?? []
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
}
