/** Whether the earlier, Helm-based operator still runs: two operators would undo each other's work. */
import type { Client } from '../../../runtime/client.ts'
import { hasCode } from '../../../runtime/errors.ts'
import { keyOf, objectId, type KubeObject } from '../../../runtime/object.ts'
import { POD } from '../../api/kinds.ts'
import { failureOf, ReconcileError } from '../failure.ts'

/** Selects the pods of both operators. */
const OPERATOR_PODS = 'name=slime-boot'

/** It is known by its pods: same label as ours, without our arguments. Undefined when there are none. Throws ReconcileError. */
export async function earlierOperatorProblem(client: Pick<Client, 'list'>, boot: KubeObject): Promise<ReconcileError | undefined> {
  const pod = (await operatorPods(client, boot)).find(isEarlierOperator)
  if (pod === undefined) return undefined
  return new ReconcileError(
    'OldOperatorRunning',
    `${objectId(pod)} is the earlier, Helm-based operator and still serves ${keyOf(boot)}. Scale its Deployment to zero, or let easy_install_lazyload.sh replace it; nothing is touched until then.`,
    'heals',
  )
}

async function operatorPods(client: Pick<Client, 'list'>, boot: KubeObject): Promise<readonly KubeObject[]> {
  for (const namespace of [undefined, boot.metadata.namespace]) {
    try {
      return (await client.list(POD, { namespace, labelSelector: OPERATOR_PODS })).items
    } catch (error) {
      // an operator confined to some namespaces does not see the others
      if (!hasCode(error, 403)) throw failureOf(error, 'get', { apiVersion: POD.apiVersion, kind: POD.kind, metadata: { name: '' } })
    }
  }
  return []
}

function isEarlierOperator(pod: KubeObject): boolean {
  const { phase } = (pod['status'] ?? {}) as { phase?: string }
  const { containers = [] } = (pod['spec'] ?? {}) as { containers?: readonly { args?: readonly string[] }[] }
  return phase !== 'Succeeded' && phase !== 'Failed' && !containers.some(({ args }) => args?.includes('run') === true)
}
