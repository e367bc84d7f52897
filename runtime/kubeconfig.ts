/** Which cluster to talk to: a kubeconfig file as kubectl finds it, or the pod's ServiceAccount. */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
// not the package's index, which loads the whole of its generated API
import { KubeConfig } from '@kubernetes/client-node/dist/config.js'
import { messageOf } from './errors.ts'

const IN_CLUSTER_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** `path` may hold several files as KUBECONFIG does. Throws an Error that says where it looked and what to do. */
export function loadKubeConfig(path: string | undefined): KubeConfig {
  const config = new KubeConfig()
  const files = path === undefined || path === '' ? [] : path.split(delimiter).filter((file) => file !== '')
  const home = join(homedir(), '.kube', 'config')
  try {
    if (files.length > 0) {
      const merged = files.filter((file) => existsSync(file))
      if (merged.length === 0) throw new Error(`no such file: ${files.join(', ')}`)
      config.loadFromFile(merged[0]!)
      for (const file of merged.slice(1)) {
        const more = new KubeConfig()
        more.loadFromFile(file)
        config.mergeConfig(more, true)
      }
    } else if (existsSync(IN_CLUSTER_TOKEN)) config.loadFromCluster()
    else if (existsSync(home)) config.loadFromFile(home)
    else throw new Error(`none of --kubeconfig, KUBECONFIG, ${home} and a pod's ServiceAccount is there`)
  } catch (error) {
    throw new Error(`kubeconfig: ${messageOf(error)}. Set --kubeconfig or KUBECONFIG to a readable kubeconfig file.`, { cause: error })
  }
  if (config.getCurrentCluster() === null)
    throw new Error(`kubeconfig: context "${config.getCurrentContext()}" names no cluster. Choose one with "kubectl config use-context".`)
  return config
}
