/**
 * What a benchmark stands on: a control plane of its own (etcd and kube-apiserver, with the audit log), the CRDs, and the operator's
 * own roles and policies. No controllers run: the benchmark itself says when a Deployment is available, so that no time of
 * somebody else is measured.
 */
import { startCluster, type Cluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { DEPLOYMENT, NAMESPACE, SLIMEBOOT } from '../../operator/api/kinds.ts'
import { type Client, createClient } from '../../runtime/client.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { refOf } from '../../runtime/resource.ts'
import { createTransport } from '../../runtime/transport.ts'
import { applyObjects, deployObjects, OPERATOR_USER } from '../../test/helpers/deployed-operator.ts'
import { HOME, SHARD } from './boots.ts'
import type { Who } from './requests.ts'

const BENCH_AGENT = 'bench'
/** Who sends what is not measured. */
export const byBench: Who = ({ userAgent }) => userAgent === BENCH_AGENT

/** Requests in flight of whoever creates what is measured. */
export const IN_FLIGHT = 8

export interface Stage extends AsyncDisposable {
  readonly cluster: Cluster
  /** The administrator's, with `IN_FLIGHT` requests at once. */
  readonly client: Client
  /** Kubeconfig of the operator's ServiceAccount with the rights of deploy/. */
  readonly operatorKubeconfig: string
  /** Bearer token of the same user, for the floor. */
  readonly operatorToken: string
  readonly createNamespaces: (names: readonly string[]) => Promise<void>
  readonly createBoots: (boots: readonly KubeObject[]) => Promise<readonly KubeObject[]>
  /** Makes one replica of a Deployment available, as its controller would. */
  readonly makeAvailable: (namespace: string, name: string) => Promise<void>
}

/** The Lease of the operator as a shard, which has another name than the role in deploy/ allows. */
const SHARD_LEASE: readonly KubeObject[] = [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'bench', namespace: HOME },
    rules: [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: [SHARD], verbs: ['get', 'update'] }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'bench', namespace: HOME },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'bench' },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: OPERATOR_USER }],
  },
]

export async function setStage(name: string): Promise<Stage> {
  const cluster = await startCluster({ name: `bench-${name}`, controllers: false })
  await installCrds(cluster)
  await applyObjects(
    cluster,
    deployObjects().filter(({ kind }) => !['Deployment', 'PodDisruptionBudget', 'CustomResourceDefinition'].includes(kind)),
  )
  await applyObjects(cluster, SHARD_LEASE)
  const client = createClient(
    createTransport({ loadConfig: () => loadKubeConfig(cluster.kubeconfig), userAgent: BENCH_AGENT, concurrency: IN_FLIGHT }),
  )
  const groups = ['system:serviceaccounts', 'system:serviceaccounts:mesh-operator', 'system:authenticated']
  return {
    cluster,
    client,
    operatorKubeconfig: cluster.kubeconfigFor({ name: OPERATOR_USER, groups }),
    operatorToken: cluster.createUser(OPERATOR_USER, groups),
    createNamespaces: async (names) => {
      await Promise.all(
        names.map((namespace) => client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })),
      )
    },
    createBoots: async (boots) => await Promise.all(boots.map((boot) => client.create(SLIMEBOOT, boot))),
    makeAvailable: async (namespace, deployment) => {
      const live = await client.get({ type: DEPLOYMENT, namespace, name: deployment })
      if (live === undefined) throw new Error(`Deployment/${namespace}/${deployment} is not there`)
      const replicas = (live['spec'] as { replicas?: number }).replicas ?? 1
      const counts = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas }
      const status = { observedGeneration: live.metadata.generation, ...counts }
      await client.mergePatch(refOf(DEPLOYMENT, live), { status }, BENCH_AGENT, 'status')
    },
    [Symbol.asyncDispose]: cluster.stop,
  }
}
