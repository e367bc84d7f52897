/** What a process can know of the pod that it runs in. */
import { existsSync, readFileSync } from 'node:fs'

/** The kubelet puts it into each pod that has a ServiceAccount token. */
const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'

/** Namespace of this pod as its ServiceAccount's files say; undefined outside a pod, and in one without them. */
export function podNamespace(): string | undefined {
  return existsSync(NAMESPACE_FILE) ? readFileSync(NAMESPACE_FILE, 'utf8').trim() : undefined
}
