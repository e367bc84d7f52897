/** Plan: desired against live, without a request: what to create, change, leave, refuse and prune. */
import { identityOf, objectId, type KubeObject } from '../../runtime/object.ts'
import type { Manifest } from '../render/manifest.ts'
import { type Difference, differences } from './difference.ts'
import { type KeptTemplate, keepTemplate } from './helm/kept-template.ts'
import { withFieldsTaken } from './helm/managed-fields.ts'
import { isOfHelmRelease, staleOfRelease } from './helm/release.ts'
import { OWNED_ANNOTATION } from '../api/slimeboot.ts'
import { appliedHash, claimedOwner, isDefaced, managersOf, type Owner, ownershipOf } from './ownership.ts'
import { type Reach, standingOf } from './standing.ts'

export interface Step {
  readonly manifest: Manifest
  /** The rendered object with our label and annotations. */
  readonly desired: KubeObject
  readonly live: KubeObject | undefined
  readonly differences: readonly Difference[]
  /** Where the earlier operator's pod template stays for now. */
  readonly keptTemplate: KeptTemplate | undefined
  /** Of the Helm release, not ours yet. */
  readonly takenOver: boolean
  /** `repair`: somebody changed what we applied; `change`: the SlimeBoot or the templates did. */
  readonly action: 'create' | 'change' | 'repair' | 'none'
}

export interface Refusal {
  /** `Kind/namespace/name` */
  readonly object: string
  /** Empty for a cluster-scoped object. */
  readonly namespace: string
  readonly message: string
}

export interface Plan {
  readonly steps: readonly Step[]
  readonly refusals: readonly Refusal[]
  /** Ours, but not desired any more. */
  readonly stale: readonly KubeObject[]
  /** Of `stale`, those in namespaces that the SlimeBoot does not render into: nobody waits for them. */
  readonly leftBehind: ReadonlySet<KubeObject>
  /** Carry the annotation of another object: reported, never touched. */
  readonly copies: readonly string[]
  /** Carry our marks where these cannot be true: reported, never touched. */
  readonly forged: readonly string[]
}

export interface PlanInput {
  readonly owner: Owner
  readonly desired: readonly { readonly manifest: Manifest; readonly object: KubeObject }[]
  /** The live object of a desired one, from the cache or read for this plan. */
  readonly live: (object: KubeObject) => KubeObject | undefined
  /** Identities of the desired objects. */
  readonly wanted: ReadonlySet<string>
  /** Everything with the owner's label, whoever put it there. */
  readonly labelled: readonly KubeObject[]
  /** Where the owner's marks can be true. */
  readonly reach: Reach
  /** Objects of the Helm release that the SlimeBoot was before. */
  readonly release: readonly KubeObject[]
  /** The SlimeBoot's, as stored. */
  readonly spec: unknown
  readonly adopt: boolean
  /** Differences that are known to be the server's normal form or an autoscaler's. */
  readonly settled: (desired: KubeObject, live: KubeObject, found: readonly Difference[]) => readonly Difference[]
}

/** By rendered object its step where nothing was to be done: one event must not judge 3,000 objects again. */
const atRest = new WeakMap<KubeObject, Step>()

/** The same input gives the same plan; objects must not be changed afterwards. Steps are in the order of `desired`. */
export function planChanges({ owner, desired, wanted, live, labelled, reach, release, spec, adopt, settled }: PlanInput): Plan {
  const refusals: Refusal[] = []
  const judged = new Set<KubeObject>()
  const steps = desired.map(({ manifest, object: rendered }): Step => {
    const actual = live(rendered)
    const known = atRest.get(rendered)
    if (actual !== undefined && known?.live === actual) {
      judged.add(actual)
      return known
    }
    if (actual === undefined)
      return { manifest, desired: rendered, live: undefined, differences: [], keptTemplate: undefined, takenOver: false, action: 'create' }
    const refusal = refusalOf(rendered, actual, owner, adopt)
    if (refusal !== undefined) refusals.push(refusal)
    const takenOver = ownershipOf(actual, owner) === 'foreign' && isOfHelmRelease(actual, owner.key)
    const asOurs = takenOver ? withFieldsTaken(actual) : actual
    const { object, keptTemplate } = keepTemplate(rendered, asOurs, owner, spec) ?? { object: rendered, keptTemplate: undefined }
    const all = differences(object, asOurs)
    const found = settled(object, actual, all)
    const sameContent = appliedHash(actual) === appliedHash(object)
    const step: Step = {
      manifest,
      desired: object,
      live: actual,
      differences: found,
      keptTemplate,
      takenOver,
      action: found.length === 0 ? 'none' : sameContent ? 'repair' : 'change',
    }
    if (all.length === 0 && refusal === undefined && !takenOver && keptTemplate === undefined) atRest.set(rendered, step)
    return step
  })
  const stale: KubeObject[] = []
  const leftBehind = new Set<KubeObject>()
  const copies: string[] = []
  const forged: string[] = []
  for (const object of labelled) {
    if (judged.has(object) || wanted.has(identityOf(object))) continue
    const standing = standingOf(object, owner, reach)
    if (standing === 'copy') copies.push(objectId(object))
    if (standing === 'forged') forged.push(objectId(object))
    if (standing === 'left-behind') leftBehind.add(object)
    if (standing === 'ours' || standing === 'left-behind') stale.push(object)
  }
  for (const object of staleOfRelease(release, wanted)) {
    stale.push(object)
    if (!reach.namespaces.has(object.metadata.namespace ?? '') && object.metadata.namespace !== undefined) leftBehind.add(object)
  }
  return { steps, refusals, stale, leftBehind, copies: copies.sort(), forged: forged.sort() }
}

/** Why `adopt` does not take it over: Istio's own configuration, a binding that would have to be deleted, or others would lose their role. */
function protection(desired: KubeObject, live: KubeObject): string | undefined {
  if (desired.kind === 'ConfigMap' && desired.metadata.name === 'istio') return "it is Istio's own configuration"
  const roleOf = (object: KubeObject): string => (object['roleRef'] as { name?: string } | undefined)?.name ?? ''
  if (roleOf(desired) !== roleOf(live)) return `it binds ClusterRole ${roleOf(live)}`
  const ours = subjectsOf(desired)
  const others = subjectsOf(live).filter((subject) => !ours.includes(subject))
  return others.length === 0 ? undefined : `${others.join(', ')} would lose ClusterRole ${roleOf(live)}`
}

/** Of a binding: `ServiceAccount shop/cart`, `Group admins`. */
function subjectsOf(object: KubeObject): readonly string[] {
  const subjects = (object['subjects'] ?? []) as readonly { readonly kind: string; readonly namespace?: string; readonly name: string }[]
  return subjects.map(({ kind, namespace, name }) => `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`)
}

function refusalOf(desired: KubeObject, live: KubeObject, owner: Owner, adopt: boolean): Refusal | undefined {
  const object = objectId(desired)
  const { namespace = '' } = desired.metadata
  switch (ownershipOf(live, owner)) {
    case 'ours':
      return undefined
    case 'another-slimeboot':
      return {
        object,
        namespace,
        message: `${object} belongs to SlimeBoot ${claimedOwner(live) ?? ''}. Rename the module, or delete that SlimeBoot first; where it is gone already, "slimeboot prune-orphans" removes what it left.`,
      }
    case 'copy':
      return {
        object,
        namespace,
        message: `${object} exists as a copy of another object of ours (its annotation config.netease.com/owned names that one). Delete it, and it is made anew.`,
      }
    case 'foreign': {
      const obstacle = protection(desired, live)
      if (isOfHelmRelease(live, owner.key) || (adopt && obstacle === undefined)) return undefined
      const ways =
        obstacle === undefined
          ? 'Delete or rename it, or set annotation config.netease.com/adopt: "true" to take it over.'
          : `It is not taken over, because ${obstacle}: delete or rename it.`
      const what = isDefaced(live)
        ? `has an annotation ${OWNED_ANNOTATION} that the operator does not write. Remove that annotation. If the object is not ours then:`
        : `exists and is not ours (managed by ${managersOf(live)}).`
      return { object, namespace, message: `${object} ${what} ${ways}` }
    }
  }
}
