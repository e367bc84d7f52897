/**
 * Taking over from the earlier operator (helm-operator with one Helm chart, spec/behaviour.md 9): what it leaves on a SlimeBoot and on
 * the objects of its release, whether it still runs, and pod templates that stay as they are so that no pod restarts.
 */
import { createHash } from 'node:crypto'
import type { Client, JsonPatchOperation } from '../../runtime/client.ts'
import { ApiError, hasCode } from '../../runtime/errors.ts'
import { groupOf, identityOf, keyOf, type ManagedFieldsEntry, objectId, type KubeObject } from '../../runtime/object.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import { MANAGED_TYPES, POD } from '../api/kinds.ts'
import { API_VERSION, CATCH_ALL_ANNOTATION, FIELD_MANAGER, KEPT_TEMPLATE_ANNOTATION, KIND } from '../api/slimeboot.ts'
import { goJson } from '../render/go-json.ts'
import type { Warning } from '../spec/problems.ts'
import { type Difference, differences } from './difference.ts'
import { failureOf, ReconcileError } from './failure.ts'
import { type Owner, ownershipOf } from './ownership.ts'

/** Of operator-sdk since 2020, and before; nobody but the earlier operator takes them away. */
export const HELM_FINALIZERS: readonly string[] = ['helm.sdk.operatorframework.io/uninstall-release', 'uninstall-helm-release']
const MANAGED_BY_HELM = 'app.kubernetes.io/managed-by=Helm'
/** Selects the pods of both operators. */
const OPERATOR_PODS = 'name=slime-boot'

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
  const place = `${metadata.namespace ?? ''}=${metadata.namespace ?? ''}`
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, [CATCH_ALL_ANNOTATION]: place } } }
}

async function listOrNone(client: Pick<Client, 'list'>, type: ResourceType): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(type, { labelSelector: MANAGED_BY_HELM })).items
  } catch (error) {
    if (error instanceof ApiError && error.unknownKind) return []
    throw failureOf(error, 'get', { apiVersion: type.apiVersion, kind: type.kind, metadata: { name: '' } })
  }
}

/** Two operators would undo each other's work. The earlier one is known by its pods: same label as ours, without our arguments. */
export async function earlierOperatorProblem(client: Pick<Client, 'list'>, boot: KubeObject): Promise<ReconcileError | undefined> {
  const pod = (await operatorPods(client, boot)).find(isEarlierOperator)
  if (pod === undefined) return undefined
  return new ReconcileError(
    'OldOperatorRunning',
    `${objectId(pod)} is the earlier, Helm-based operator and still serves ${keyOf(boot)}. Scale its Deployment to zero, or let easy_install_lazyload.sh replace it; nothing is touched until then.`,
    'heals',
  )
}

async function operatorPods(client: Pick<Client, 'list'>, boot: KubeObject): Promise<readonly KubeObject[]> {
  for (const namespace of [undefined, boot.metadata.namespace]) {
    try {
      return (await client.list(POD, { namespace, labelSelector: OPERATOR_PODS })).items
    } catch (error) {
      // an operator confined to some namespaces does not see the others
      if (!hasCode(error, 403)) throw failureOf(error, 'get', { apiVersion: POD.apiVersion, kind: POD.kind, metadata: { name: '' } })
    }
  }
  return []
}

function isEarlierOperator(pod: KubeObject): boolean {
  const { phase } = (pod['status'] ?? {}) as { phase?: string }
  const { containers = [] } = (pod['spec'] ?? {}) as { containers?: readonly { args?: readonly string[] }[] }
  return phase !== 'Succeeded' && phase !== 'Failed' && !containers.some(({ args }) => args?.includes('run') === true)
}

/** The manager under which the earlier operator, or Helm itself, wrote. */
const HELM_MANAGER = /helm/

/**
 * Makes the fields that Helm set ours, as if we had applied them: the next apply then takes back what is not rendered any more, and
 * nothing looks like a stranger's (what kubectl does when it changes to server-side apply). Undefined where there is nothing of Helm.
 */
export function takeFields({ metadata: { managedFields = [], resourceVersion } }: KubeObject): readonly JsonPatchOperation[] | undefined {
  const index = managedFields.findIndex((entry) => isHelms(entry))
  if (index < 0) return undefined
  const entry = `/metadata/managedFields/${index}`
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
    { op: 'replace', path: `${entry}/manager`, value: FIELD_MANAGER },
    { op: 'replace', path: `${entry}/operation`, value: 'Apply' },
  ]
}

function isHelms({ manager = '', operation, subresource = '' }: ManagedFieldsEntry): boolean {
  return HELM_MANAGER.test(manager) && operation === 'Update' && subresource === ''
}

/** As it is once its fields are ours. */
export function withFieldsTaken(object: KubeObject): KubeObject {
  const { managedFields = [], ...metadata } = object.metadata
  return { ...object, metadata: { ...metadata, managedFields: managedFields.filter((entry) => !isHelms(entry)) } }
}

export interface KeptTemplate {
  /** With the template that is not applied yet. */
  readonly rendered: KubeObject
  /** What the rendered pod template has otherwise. */
  readonly differences: readonly Difference[]
}

/**
 * A Deployment of the release keeps its pod template when it is taken over, and from then on until `spec` of the SlimeBoot changes:
 * the annotation on the Deployment holds that spec's hash. `object` is what to apply now. Undefined for every other object.
 */
export function keptTemplate(
  desired: KubeObject,
  live: KubeObject,
  owner: Owner,
  spec: unknown,
): { readonly object: KubeObject; readonly kept: KeptTemplate } | undefined {
  if (desired.kind !== 'Deployment') return undefined
  const kept = live.metadata.annotations?.[KEPT_TEMPLATE_ANNOTATION]
  const isTakenOver = ownershipOf(live, owner) === 'foreign' && isOfHelmRelease(live, owner.key)
  if (kept === undefined && !isTakenOver) return undefined
  const hash = createHash('sha256')
    .update(goJson(spec ?? null))
    .digest('hex')
    .slice(0, 16)
  if (!isTakenOver && kept !== hash) return undefined
  const { template } = live['spec'] as { readonly template: unknown }
  const found = differences(desired, live).filter(({ path }) => path.startsWith('/spec/template/'))
  const object = {
    ...desired,
    metadata: { ...desired.metadata, annotations: { ...desired.metadata.annotations, [KEPT_TEMPLATE_ANNOTATION]: hash } },
    spec: { ...(desired['spec'] as object), template },
  }
  return { object, kept: { rendered: desired, differences: found } }
}

const KEPT_LISTED = 10

export function keptWarning({ rendered, differences: found }: KeptTemplate): Warning {
  const fields = found.map(({ path }) => path.replace('/spec/template/', '').replaceAll('~1', '/').replaceAll('~0', '~'))
  const more = fields.length > KEPT_LISTED ? ` and ${fields.length - KEPT_LISTED} more` : ''
  return {
    reason: 'PodTemplateKept',
    path: 'spec',
    message: `${objectId(rendered)} keeps the pod template of the earlier operator until spec changes, so that no pod restarts. Then these fields change: ${fields.slice(0, KEPT_LISTED).join(', ')}${more}.`,
  }
}

/** Of `release`, what is not rendered any more. */
export function staleOfRelease(release: readonly KubeObject[], wanted: ReadonlySet<string>): readonly KubeObject[] {
  return release.filter((object) => !wanted.has(identityOf(object)))
}
