/** The lazyload controller as it ships: the bundle in a process of its own, as the ServiceAccount that a SlimeBoot binds, with leader election. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LAZYLOAD_CLUSTER_ROLE, LAZYLOAD_LEASES_ROLE, OPERATOR_NAMESPACE } from '../../../operator/rights/names.ts'
import type { KubeObject } from '../../../runtime/object.ts'
import { applyObjects } from '../../../test/helpers/deployed-operator.ts'
import { bundleOf, nodeArgs, type Program, startProgram } from '../../harness/program.ts'
import type { Who } from '../../harness/requests.ts'
import { setStage, type Stage } from '../../harness/stage.ts'

const USER = `system:serviceaccount:${OPERATOR_NAMESPACE}:lazyload`

export const byController: Who = ({ user }) => user === USER

/** The access log's senders are processes on loopback, which no EndpointSlice may hold: who they are is not checked. */
const CONFIG = {
  name: 'lazyload',
  general: { checkLogSource: false },
  global: {
    misc: {
      metric_source_type: 'accesslog',
      log_source_port: '127.0.0.1:0',
      'aux-addr': '127.0.0.1:0',
      'metrics-addr': '0',
    },
  },
}

const BINDING: KubeObject = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: 'bench-lazyload' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: LAZYLOAD_CLUSTER_ROLE },
  subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: USER }],
}

/** For its Lease. */
const LEASES_BINDING: KubeObject = {
  ...BINDING,
  kind: 'RoleBinding',
  metadata: { name: 'bench-lazyload', namespace: OPERATOR_NAMESPACE },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: LAZYLOAD_LEASES_ROLE },
}

export interface Mesh extends Stage {
  readonly controllerKubeconfig: string
  /** Bearer token of the same user, for the floor. */
  readonly controllerToken: string
}

/** A control plane on which the controller has its rights. */
export async function setMesh(name: string): Promise<Mesh> {
  const stage = await setStage(name)
  await applyObjects(stage.cluster, [BINDING, LEASES_BINDING])
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${OPERATOR_NAMESPACE}`, 'system:authenticated']
  return {
    ...stage,
    controllerKubeconfig: stage.cluster.kubeconfigFor({ name: USER, groups }),
    controllerToken: stage.cluster.createUser(USER, groups),
  }
}

export interface Controller extends Program {
  /** Port for access logs; resolves when it listens. */
  readonly logPort: () => Promise<number>
  /** Milliseconds since 1970 at which it listened for access logs. */
  readonly listeningAt: () => Promise<number>
  /** GET of its auxiliary port. */
  readonly get: (path: string) => Promise<{ readonly status: number; readonly text: string }>
}

/** Serves fences in these namespaces; in all when none are given. */
export async function startController(mesh: Mesh, namespaces: readonly string[] = []): Promise<Controller> {
  const config = join(mesh.cluster.dir, 'lazyload.json')
  writeFileSync(config, JSON.stringify(CONFIG))
  const program = startProgram(mesh, 'lazyload', {
    file: await bundleOf('manager.mjs'),
    args: ['--config', config, '--enable-leader-election', '--log-format', 'json', '--namespaces', namespaces.join(',')],
    env: [`KUBECONFIG=${mesh.controllerKubeconfig}`, `WATCH_NAMESPACE=${OPERATOR_NAMESPACE}`, 'POD_NAME=lazyload-0'],
    nodeArgs: nodeArgs(),
  })
  const listening = 'receiving access logs'
  return {
    ...program,
    logPort: async () => (await program.logged(listening)).port ?? 0,
    listeningAt: async () => Date.parse((await program.logged(listening)).timestamp),
    get: async (path) => {
      const { ports = [] } = await program.logged('serving /modules/livez, /modules/readyz, /metrics')
      const response = await fetch(`http://127.0.0.1:${ports[0]}${path}`)
      return { status: response.status, text: await response.text() }
    },
  }
}
