/** The objects of a SlimeBoot on a cluster, and how they look as a tree. For people who watch the demo. */
import { OWNER_LABEL } from '../operator/api/slimeboot.ts'
import type { ClusterAccess } from './access.ts'

/** List paths of every kind that a SlimeBoot can become. */
const COLLECTIONS: Readonly<Record<string, string>> = {
  ServiceAccount: '/api/v1/serviceaccounts',
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/rolebindings',
  ConfigMap: '/api/v1/configmaps',
  Service: '/api/v1/services',
  NetworkPolicy: '/apis/networking.k8s.io/v1/networkpolicies',
  PodDisruptionBudget: '/apis/policy/v1/poddisruptionbudgets',
  Sidecar: '/apis/networking.istio.io/v1alpha3/sidecars',
  DestinationRule: '/apis/networking.istio.io/v1alpha3/destinationrules',
  Deployment: '/apis/apps/v1/deployments',
  EnvoyFilter: '/apis/networking.istio.io/v1alpha3/envoyfilters',
}

export interface SeenObject {
  readonly kind: string
  /** Empty for a cluster-scoped object. */
  readonly namespace: string
  readonly name: string
  /** `applied`, `terminating`, or how many replicas are available. */
  readonly state: string
  /** Whether nothing is left to wait for. */
  readonly settled: boolean
}

interface LiveObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly deletionTimestamp?: string }
  readonly spec?: { readonly replicas?: number }
  readonly status?: { readonly availableReplicas?: number }
}

/** All objects that carry a SlimeBoot's label, as they are now. */
export async function listOwned(cluster: Pick<ClusterAccess, 'request'>): Promise<SeenObject[]> {
  const lists = await Promise.all(
    Object.entries(COLLECTIONS).map(async ([kind, path]) => {
      const { body } = await cluster.request('GET', `${path}?labelSelector=${encodeURIComponent(OWNER_LABEL)}`)
      return ((body.items ?? []) as LiveObject[]).map((object) => seen(kind, object))
    }),
  )
  return lists.flat()
}

function seen(kind: string, { metadata, spec, status }: LiveObject): SeenObject {
  const { name, namespace = '' } = metadata
  if (metadata.deletionTimestamp !== undefined) return { kind, namespace, name, state: 'terminating', settled: false }
  if (kind !== 'Deployment') return { kind, namespace, name, state: 'applied', settled: true }
  const wanted = spec?.replicas ?? 1
  const available = status?.availableReplicas ?? 0
  return { kind, namespace, name, state: `${available}/${wanted} available`, settled: available >= wanted }
}

/** A tree of lines: `root`, below it the namespaces, below them their objects. */
export function treeOf(root: string, objects: readonly SeenObject[]): string[] {
  const namespaces = [...Map.groupBy(objects, ({ namespace }) => namespace)].sort(([a], [b]) => a.localeCompare(b))
  return [
    root,
    ...namespaces.flatMap(([namespace, members], index) => {
      const last = index === namespaces.length - 1
      const lines = members.map((object, at) => `${last ? '   ' : '│  '}${at === members.length - 1 ? '└─' : '├─'} ${lineOf(object)}`)
      return [`${last ? '└─' : '├─'} ${namespace === '' ? '(cluster)' : namespace}`, ...lines]
    }),
  ]
}

/** `✔ Deployment lazyload  1/1 available` */
export function lineOf({ kind, name, state, settled }: SeenObject): string {
  return `${settled ? '✔' : '…'} ${kind} ${name}  ${state}`
}
