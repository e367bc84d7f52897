/**
 * What the earlier operator (helm-operator with one Helm chart, spec/behaviour.md 9) leaves on a SlimeBoot and on the objects of its
 * release, and which of these objects are taken over.
 */
import type { Client } from '../../../runtime/client.ts'
import { ApiError } from '../../../runtime/errors.ts'
import { groupOf, identityOf, keyOf, type KubeObject } from '../../../runtime/object.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import { MANAGED_TYPES } from '../../api/kinds.ts'
import { API_VERSION, CATCH_ALL_ANNOTATION, KIND } from '../../api/slimeboot.ts'
import { catchAllMark } from '../catch-all.ts'
import { failureOf } from '../failure.ts'
import { type Owner, ownershipOf } from '../ownership.ts'

/** Of operator-sdk since 2020, and before; nobody but the earlier operator takes them away. */
export const HELM_FINALIZERS: readonly string[] = ['helm.sdk.operatorframework.io/uninstall-release', 'uninstall-helm-release']
const MANAGED_BY_HELM = 'app.kubernetes.io/managed-by=Helm'

/** The earlier operator installed this SlimeBoot, and it was not taken over yet. */
export function isServedByHelm(boot: KubeObject): boolean {
  return (boot.metadata.finalizers ?? []).some((finalizer) => HELM_FINALIZERS.includes(finalizer))
}

/** Whether `object` belongs to the Helm release of the SlimeBoot `namespace/name`: a release has the name and namespace of its SlimeBoot. */
export function isOfHelmRelease({ metadata: { labels, annotations } }: KubeObject, boot: string): boolean {
  return (
    labels?.['app.kubernetes.io/managed-by'] === 'Helm' &&
    `${annotations?.['meta.helm.sh/release-namespace'] ?? ''}/${annotations?.['meta.helm.sh/release-name'] ?? ''}` === boot
  )
}

/**
 * Whether that operator made it for this SlimeBoot. Helm's marks alone prove it too little for a delete: whoever writes a SlimeBoot can
 * give it the name of somebody's own Helm release, and a finalizer.
 */
function isMadeFor({ metadata }: KubeObject, boot: KubeObject): boolean {
  const { annotations = {}, ownerReferences = [], namespace } = metadata
  if (annotations['operator-sdk/primary-resource'] === keyOf(boot))
    return annotations['operator-sdk/primary-resource-type'] === `${KIND}.${groupOf(API_VERSION)}`
  return namespace === boot.metadata.namespace && ownerReferences.some(({ kind, name }) => kind === KIND && name === boot.metadata.name)
}

/** Objects that it made for the SlimeBoot and that are not ours yet; none once the SlimeBoot is taken over. Throws ReconcileError. */
export async function readHelmRelease(client: Pick<Client, 'list'>, boot: KubeObject, owner: Owner): Promise<readonly KubeObject[]> {
  if (!isServedByHelm(boot)) return []
  const lists = await Promise.all(MANAGED_TYPES.map(async (type) => await listOrNone(client, type)))
  return lists
    .flat()
    .filter((object) => isOfHelmRelease(object, owner.key) && isMadeFor(object, boot) && ownershipOf(object, owner) === 'foreign')
    .map(withCatchAll)
}

/** It marked no catch-all: that is known by its name, so that it goes first. */
function withCatchAll(object: KubeObject): KubeObject {
  const { kind, metadata } = object
  if (kind !== 'EnvoyFilter' || metadata.name !== 'to-global-sidecar') return object
  const { namespace = '' } = metadata
  const mark = catchAllMark({ scope: namespace, globalSidecarNamespace: namespace })
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, [CATCH_ALL_ANNOTATION]: mark } } }
}

async function listOrNone(client: Pick<Client, 'list'>, type: ResourceType): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(type, { labelSelector: MANAGED_BY_HELM })).items
  } catch (error) {
    if (error instanceof ApiError && error.unknownKind) return []
    throw failureOf(error, 'get', { apiVersion: type.apiVersion, kind: type.kind, metadata: { name: '' } })
  }
}

/** Of `release`, what is not rendered any more. */
export function staleOfRelease(release: readonly KubeObject[], wanted: ReadonlySet<string>): readonly KubeObject[] {
  return release.filter((object) => !wanted.has(identityOf(object)))
}
