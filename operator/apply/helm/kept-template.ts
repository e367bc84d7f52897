/** Pod templates of the earlier operator that stay as they are, so that no pod restarts when its SlimeBoot is taken over. */
import { createHash } from 'node:crypto'
import { objectId, type KubeObject } from '../../../runtime/object.ts'
import { KEPT_TEMPLATE_ANNOTATION } from '../../api/slimeboot.ts'
import { listed } from '../../listed.ts'
import { goJson } from '../../spec/go-json.ts'
import type { Warning } from '../../spec/problems.ts'
import { type Difference, differences } from '../difference.ts'
import { type Owner, ownershipOf } from '../ownership.ts'
import { isOfHelmRelease } from './release.ts'

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
export function keepTemplate(
  desired: KubeObject,
  live: KubeObject,
  owner: Owner,
  spec: unknown,
): { readonly object: KubeObject; readonly keptTemplate: KeptTemplate } | undefined {
  if (desired.kind !== 'Deployment') return undefined
  const keptFor = live.metadata.annotations?.[KEPT_TEMPLATE_ANNOTATION]
  const isTakenOver = ownershipOf(live, owner) === 'foreign' && isOfHelmRelease(live, owner.key)
  if (keptFor === undefined && !isTakenOver) return undefined
  const hash = createHash('sha256')
    .update(goJson(spec ?? null))
    .digest('hex')
    .slice(0, 16)
  if (!isTakenOver && keptFor !== hash) return undefined
  const { template } = live['spec'] as { readonly template: unknown }
  const found = differences(desired, live).filter(({ path }) => path.startsWith('/spec/template/'))
  const object = {
    ...desired,
    metadata: { ...desired.metadata, annotations: { ...desired.metadata.annotations, [KEPT_TEMPLATE_ANNOTATION]: hash } },
    spec: { ...(desired['spec'] as object), template },
  }
  return { object, keptTemplate: { rendered: desired, differences: found } }
}

const FIELDS_LISTED = 10

/** For the status: which fields change with the next change of `spec`. */
export function keptWarning({ rendered, differences: found }: KeptTemplate): Warning {
  const fields = found.map(({ path }) => path.replace('/spec/template/', '').replaceAll('~1', '/').replaceAll('~0', '~'))
  return {
    reason: 'PodTemplateKept',
    path: 'spec',
    message: `${objectId(rendered)} keeps the pod template of the earlier operator until spec changes, so that no pod restarts. Then these fields change: ${listed(fields, FIELDS_LISTED)}.`,
  }
}
