/** The files of a cluster's folder: keys, tokens, kubeconfigs, configuration of the parts. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AUDIT_POLICY } from './audit.ts'

/** Where everything lies in the folder `dir` of a cluster. */
export function clusterFiles(dir: string) {
  return {
    /** What another process needs to use the cluster, see access.ts. */
    access: join(dir, 'cluster.json'),
    kubeconfig: join(dir, 'kubeconfig'),
    controllerManagerKubeconfig: join(dir, 'kube-controller-manager.kubeconfig'),
    schedulerKubeconfig: join(dir, 'kube-scheduler.kubeconfig'),
    kwokKubeconfig: join(dir, 'kwok.kubeconfig'),
    webhookKubeconfig: join(dir, 'token-webhook.kubeconfig'),
    tokens: join(dir, 'tokens.csv'),
    certDir: join(dir, 'certs'),
    /** The API server writes its own certificate here, signed by a CA of its own that the file contains too. */
    ca: join(dir, 'certs', 'apiserver.crt'),
    serviceAccountKey: join(dir, 'service-account.key'),
    serviceAccountPublicKey: join(dir, 'service-account.pub'),
    auditPolicy: join(dir, 'audit-policy.json'),
    /** How the API server reaches pods, when it cannot by itself. */
    egress: join(dir, 'egress.json'),
    podsSocket: join(dir, 'pods.sock'),
    auditLog: join(dir, 'audit.log'),
    etcdData: join(dir, 'etcd'),
    etcdSocket: join(dir, 'etcd.sock'),
  }
}

export type ClusterFiles = ReturnType<typeof clusterFiles>

/** Writes all that the parts read when they start. */
export function writeClusterFiles(files: ClusterFiles, server: string, tokenWebhook: string): { readonly adminToken: string } {
  const tokens = { admin: secret(), controllerManager: secret(), scheduler: secret(), kwok: secret() }
  const lines = [
    [tokens.admin, 'admin', 'admin'],
    [tokens.controllerManager, 'system:kube-controller-manager', 'controller-manager'],
    [tokens.scheduler, 'system:kube-scheduler', 'scheduler'],
    [tokens.kwok, 'kwok', 'kwok'],
  ]
  // token,user,uid,"groups": the parts act with every right, each under its own name (which the audit log shows).
  writePrivate(files.tokens, lines.map((line) => `${line.join(',')},"system:masters"\n`).join(''))
  mkdirSync(files.certDir)
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  writePrivate(files.serviceAccountKey, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  writePrivate(files.serviceAccountPublicKey, publicKey.export({ type: 'spki', format: 'pem' }))
  writePrivate(files.auditPolicy, JSON.stringify(AUDIT_POLICY))
  writePrivate(files.egress, JSON.stringify(egressSelector(files.podsSocket)))
  const identities = [
    { file: files.kubeconfig, user: 'admin', token: tokens.admin },
    { file: files.controllerManagerKubeconfig, user: 'controller-manager', token: tokens.controllerManager },
    { file: files.schedulerKubeconfig, user: 'scheduler', token: tokens.scheduler },
    { file: files.kwokKubeconfig, user: 'kwok', token: tokens.kwok },
  ]
  for (const { file, user, token } of identities) writePrivate(file, kubeconfig({ server, caFile: files.ca, user, token }))
  writePrivate(files.webhookKubeconfig, kubeconfig({ server: tokenWebhook, user: 'kube-apiserver' }))
  return { adminToken: tokens.admin }
}

/** https://kubernetes.io/docs/reference/config-api/apiserver-config.v1beta1/ */
function egressSelector(udsName: string): object {
  const connection = { proxyProtocol: 'HTTPConnect', transport: { uds: { udsName } } }
  return {
    apiVersion: 'apiserver.k8s.io/v1beta1',
    kind: 'EgressSelectorConfiguration',
    egressSelections: [{ name: 'cluster', connection }],
  }
}

/** A kubeconfig of one cluster and one user, as text (JSON, which is YAML). */
export function kubeconfig(access: { server: string; caFile?: string; user: string; token?: string }): string {
  const { server, caFile, user, token } = access
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'local', cluster: { server, ...(caFile === undefined ? {} : { 'certificate-authority': caFile }) } }],
    users: [{ name: user, user: token === undefined ? {} : { token } }],
    contexts: [{ name: 'local', context: { cluster: 'local', user } }],
    'current-context': 'local',
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

/** A random word of 128 bits. */
export function secret(): string {
  return randomBytes(16).toString('hex')
}

/** Writes a file that only this user can read. */
export function writePrivate(file: string, content: string | Buffer): void {
  writeFileSync(file, content, { mode: 0o600 })
}
