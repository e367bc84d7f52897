/** `npm run cluster`: a local cluster with all CRDs that stays until Ctrl-C. */
import { startCluster } from './cluster.ts'
import { installCrds } from './crds.ts'
import { startProgress } from './setup/progress.mjs'
import { untilSignal } from './signals.ts'

using end = untilSignal()
try {
  const progress = startProgress('Starting the local cluster')
  await using cluster = await startCluster({ name: 'keep' })
  await installCrds(cluster)
  progress.done('ready')
  console.log(`etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok are up, with the CRDs of this project and of Istio.
Logs, keys and the audit log: ${cluster.dir}

export KUBECONFIG=${cluster.kubeconfig}

Ctrl-C ends it and leaves nothing behind.`)
  await end.received
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
