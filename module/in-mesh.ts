/** Which namespaces have pods in the mesh: by the labels of the namespace, else by its pods, which are watched until one is found. */
import { inBackground, soon } from '../runtime/callbacks.ts'
import type { Client } from '../runtime/client.ts'
import { createInformer, type Informer, type InformerProblem } from '../runtime/informer.ts'
import type { KubeObject } from '../runtime/object.ts'
import type { ResourceType } from '../runtime/resource.ts'

const POD: ResourceType = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true }
/** The ServiceAccount of global-sidecars. */
const GLOBAL_SIDECAR = 'global-sidecar'
const REVISION_LABEL = 'istio.io/rev'
/** Namespaces of Kubernetes itself: no pod there is in the mesh, whatever it carries. */
const SYSTEM_NAMESPACES: ReadonlySet<string> = new Set(['kube-system', 'kube-public', 'kube-node-lease'])

/** `unknown`: its pods are not listed yet. */
export type Membership = 'in' | 'out' | 'unknown'

type Labels = Readonly<Record<string, string>>

export interface InMeshOptions {
  readonly client: Pick<Client, 'list' | 'watch'>
  /** Undefined: there is no such namespace. */
  readonly labelsOf: (namespace: string) => Labels | undefined
  /** Something else may be the case now. Must not throw and must not wait. */
  readonly onChange: () => void
  /** The pods of a namespace cannot be seen; told once until they can. */
  readonly onProblem: (namespace: string, problem: InformerProblem) => void
}

export interface InMesh {
  readonly of: (namespace: string) => Membership
  /** Looks at the pods of the namespaces whose membership is `unknown`; ends with the signal of `run`. */
  readonly ask: (namespace: string) => void
  /** Of namespaces that are gone nothing is remembered. */
  readonly forget: (namespace: string) => void
  /** Sets the signal with which all watches end. */
  readonly run: (signal: AbortSignal) => void
  /** Resolves when every namespace that was asked about is known, or may not be seen. */
  readonly whenKnown: () => Promise<void>
}

/** Labels that say so where a namespace is Kubernetes' own; else those that it has. */
export function meshLabelsOf(namespace: string, labels: Labels | undefined): Labels | undefined {
  return SYSTEM_NAMESPACES.has(namespace) ? { 'istio-injection': 'disabled' } : labels
}

/** What the labels of a namespace say; undefined: its pods decide. */
export function membershipByLabels(labels: Labels | undefined): 'in' | 'out' | undefined {
  const injection = labels?.['istio-injection']
  if (injection === 'disabled') return 'out'
  if (injection === 'enabled' || (labels?.[REVISION_LABEL] ?? '') !== '' || labels?.['istio.io/dataplane-mode'] === 'ambient') return 'in'
  return undefined
}

export function createInMesh({ client, labelsOf, onChange, onProblem }: InMeshOptions): InMesh {
  /** Namespaces with a pod in the mesh, once there was one: pods come and go, and nothing is narrowed for that. */
  const found = new Set<string>()
  const watches = new Map<string, { readonly pods: Informer; readonly stop: () => void }>()
  let ended: AbortSignal | undefined

  function stop(namespace: string): void {
    watches.get(namespace)?.stop()
    watches.delete(namespace)
  }

  function ask(namespace: string): void {
    if (ended === undefined || ended.aborted || watches.has(namespace) || found.has(namespace)) return
    const controller = new AbortController()
    let told = false
    const pods = createInformer({
      client,
      type: POD,
      namespace,
      paged: true,
      builtIn: true,
      transform: slimPod,
      onChange: (_, pod) => {
        if (pod?.['inMesh'] !== true) return
        found.add(namespace)
        onChange()
        // an event of a list that goes on: the watch ends after it
        soon('pods of a namespace in the mesh', () => stop(namespace))
      },
      onProblem: (problem) => {
        if (!told) onProblem(namespace, problem)
        told = true
      },
      onRegained: () => {
        told = false
        onChange()
      },
    })
    watches.set(namespace, { pods, stop: () => controller.abort() })
    inBackground('pods of a namespace in the mesh', pods.run(AbortSignal.any([ended, controller.signal])))
    inBackground('pods of a namespace in the mesh', pods.whenSynced().then(onChange))
  }

  return {
    ask,
    of(namespace) {
      const byLabels = membershipByLabels(labelsOf(namespace))
      if (byLabels !== undefined) return byLabels
      if (found.has(namespace)) return 'in'
      const pods = watches.get(namespace)?.pods
      // where pods may not be seen, there may be some
      if (pods?.forbidden() === true) return 'in'
      return pods?.synced() === true ? 'out' : 'unknown'
    },
    forget(namespace) {
      stop(namespace)
      found.delete(namespace)
    },
    run(signal) {
      ended = signal
    },
    async whenKnown() {
      await Promise.all([...watches.values()].map(async ({ pods }) => await pods.whenSynced()))
    },
  }
}

/** Injected, or about to be; the global-sidecar itself serves others. */
export function isInMesh(pod: KubeObject): boolean {
  const { labels = {}, annotations = {} } = pod.metadata
  const spec = (pod['spec'] ?? {}) as {
    readonly serviceAccountName?: string
    readonly containers?: readonly { readonly name?: string }[]
    readonly initContainers?: readonly { readonly name?: string }[]
  }
  if (spec.serviceAccountName === GLOBAL_SIDECAR) return false
  if (annotations['ambient.istio.io/redirection'] === 'enabled') return true
  if (annotations['sidecar.istio.io/status'] !== undefined || labels['security.istio.io/tlsMode'] === 'istio') return true
  if ([...(spec.containers ?? []), ...(spec.initContainers ?? [])].some(({ name }) => name === 'istio-proxy')) return true
  const asked = labels['sidecar.istio.io/inject'] ?? annotations['sidecar.istio.io/inject']
  return asked === 'true' || (asked !== 'false' && (labels[REVISION_LABEL] ?? '') !== '')
}

function slimPod(pod: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '' } = pod.metadata
  return { apiVersion: pod.apiVersion, kind: pod.kind, metadata: { name, namespace, uid, resourceVersion }, inMesh: isInMesh(pod) }
}
