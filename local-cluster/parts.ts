/** The command lines of the control plane's parts, for a cluster that is fast and forgets everything when it ends. */
import type { ClusterFiles } from './files.ts'

export const SERVICE_CLUSTER_IP_RANGE = '10.96.0.0/16'

/** etcd without fsync: the data dies with the cluster. Its sockets are files, so nobody else on the machine reaches it. */
export function etcdArgs(files: ClusterFiles): string[] {
  return [
    `--data-dir=${files.etcdData}`,
    `--listen-client-urls=unix://${files.etcdSocket}`,
    // Of a single member nobody asks for these addresses, but etcd wants the form host:port. A peer socket lies in the working folder.
    '--advertise-client-urls=unix://client:0',
    '--listen-peer-urls=unix://peer:0',
    '--initial-advertise-peer-urls=unix://peer:0',
    '--initial-cluster=local=unix://peer:0',
    '--name=local',
    '--unsafe-no-fsync',
    '--log-level=warn',
  ]
}

interface ApiServerOptions {
  readonly port: number
  readonly audit: boolean
  /** Reach pods and Services through the proxy on `files.podsSocket`. */
  readonly tunnel: boolean
  readonly extra: readonly string[]
}

/** kube-apiserver with RBAC, static tokens, the token webhook and a certificate that it makes itself. */
export function apiServerArgs(files: ClusterFiles, options: ApiServerOptions): string[] {
  const audit = [`--audit-policy-file=${files.auditPolicy}`, `--audit-log-path=${files.auditLog}`, '--audit-log-maxsize=4096']
  return [
    `--etcd-servers=unix://${files.etcdSocket}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${options.port}`,
    `--cert-dir=${files.certDir}`,
    '--endpoint-reconciler-type=none', // A loopback address is not accepted as the endpoint of Service kubernetes.
    '--authorization-mode=RBAC',
    `--token-auth-file=${files.tokens}`,
    `--authentication-token-webhook-config-file=${files.webhookKubeconfig}`,
    '--authentication-token-webhook-version=v1',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${files.serviceAccountPublicKey}`,
    `--service-account-signing-key-file=${files.serviceAccountKey}`,
    `--service-cluster-ip-range=${SERVICE_CLUSTER_IP_RANGE}`,
    '--profiling=false',
    ...(options.audit ? audit : []),
    ...(options.tunnel ? [`--egress-selector-config-file=${files.egress}`, '--enable-aggregator-routing'] : []),
    ...options.extra,
  ]
}

export function controllerManagerArgs(files: ClusterFiles): string[] {
  return [
    `--kubeconfig=${files.controllerManagerKubeconfig}`,
    `--root-ca-file=${files.ca}`,
    `--service-account-private-key-file=${files.serviceAccountKey}`,
    '--leader-elect=false',
    '--secure-port=0',
    // a late heartbeat on a busy machine would mark pods not ready, and kwok does not make them ready again
    '--node-monitor-grace-period=24h',
    // kwok's nodes need no cloud, no routes and no disks: fewer controllers start faster.
    '--controllers=*,-cloud-node-lifecycle-controller,-node-route-controller,-persistentvolume-attach-detach-controller',
  ]
}

export function schedulerArgs(files: ClusterFiles): string[] {
  return [`--kubeconfig=${files.schedulerKubeconfig}`, '--leader-elect=false', '--secure-port=0']
}

export function kwokArgs(kubeconfig: string, stages: readonly string[]): string[] {
  return [`--kubeconfig=${kubeconfig}`, '--manage-all-nodes', ...stages.map((file) => `--config=${file}`)]
}
