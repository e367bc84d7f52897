/** `npm run cluster`: a local cluster that stays until Ctrl-C. */
import { once } from 'node:events'
import { startCluster } from './cluster.ts'
import { endWithParent } from './parent.ts'

endWithParent()
const cluster = await startCluster({ name: 'keep' })
console.log(`The cluster is up (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok; logs in ${cluster.dir}). Use it with:

export KUBECONFIG=${cluster.kubeconfig}

Ctrl-C ends it and leaves nothing behind.`)
const stay = setInterval(() => {}, 60_000)
await Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => once(process, signal)))
clearInterval(stay)
await cluster.stop()
