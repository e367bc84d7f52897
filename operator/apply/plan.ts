/** Plan: desired against live, without a request: what to create, change, leave, refuse and prune. */
import { identityOf, objectId, type KubeObject } from '../../runtime/object.ts'
import type { Manifest } from '../render/manifest.ts'
import { type Difference, differences } from './difference.ts'
import { appliedHash, claimedOwner, managersOf, type Owner, ownershipOf } from './ownership.ts'

export interface Step {
  readonly manifest: Manifest
  /** The rendered object with our label and annotations. */
  readonly desired: KubeObject
  readonly live: KubeObject | undefined
  readonly differences: readonly Difference[]
  /** `repair`: somebody changed what we applied; `change`: the SlimeBoot or the templates did. */
  readonly action: 'create' | 'change' | 'repair' | 'none'
}

export interface Refusal {
  /** `Kind/namespace/name` */
  readonly object: string
  readonly message: string
}

export interface Plan {
  readonly steps: readonly Step[]
  readonly refusals: readonly Refusal[]
  /** Ours, but not desired any more. */
  readonly stale: readonly KubeObject[]
  /** Carry the annotation of another object: reported, never touched. */
  readonly copies: readonly string[]
}

export interface PlanInput {
  readonly owner: Owner
  readonly desired: readonly { readonly manifest: Manifest; readonly object: KubeObject }[]
  /** The live object of a desired one, from the cache or read for this plan. */
  readonly live: (object: KubeObject) => KubeObject | undefined
  /** Everything with the owner's label. */
  readonly labelled: readonly KubeObject[]
  readonly adopt: boolean
  /** Differences that are known to be the server's normal form or an autoscaler's. */
  readonly settled: (desired: KubeObject, live: KubeObject, found: readonly Difference[]) => readonly Difference[]
}

export function planChanges({ owner, desired, live, labelled, adopt, settled }: PlanInput): Plan {
  const refusals: Refusal[] = []
  const wanted = new Set<string>()
  const steps = desired.map(({ manifest, object }): Step => {
    wanted.add(identityOf(object))
    const actual = live(object)
    if (actual === undefined) return { manifest, desired: object, live: undefined, differences: [], action: 'create' }
    const refusal = refusalOf(object, actual, owner, adopt)
    if (refusal !== undefined) refusals.push(refusal)
    const found = settled(object, actual, differences(object, actual))
    const sameContent = appliedHash(actual) === appliedHash(object)
    return {
      manifest,
      desired: object,
      live: actual,
      differences: found,
      action: found.length === 0 ? 'none' : sameContent ? 'repair' : 'change',
    }
  })
  const stale: KubeObject[] = []
  const copies: string[] = []
  for (const object of labelled) {
    const ownership = ownershipOf(object, owner)
    if (ownership === 'copy') copies.push(objectId(object))
    else if (ownership === 'ours' && !wanted.has(identityOf(object))) stale.push(object)
  }
  return { steps, refusals, stale, copies: copies.sort() }
}

/** Names that `adopt` never takes over: Istio's own configuration. */
function isProtected(object: KubeObject): boolean {
  return object.kind === 'ConfigMap' && object.metadata.name === 'istio'
}

function refusalOf(desired: KubeObject, live: KubeObject, owner: Owner, adopt: boolean): Refusal | undefined {
  const object = objectId(desired)
  switch (ownershipOf(live, owner)) {
    case 'ours':
      return undefined
    case 'another-slimeboot':
      return {
        object,
        message: `${object} belongs to SlimeBoot ${claimedOwner(live) ?? ''}. Rename the module, or delete that SlimeBoot first.`,
      }
    case 'copy':
      return {
        object,
        message: `${object} exists as a copy of another object of ours (its annotation config.netease.com/owned names that one). Delete it, and it is made anew.`,
      }
    case 'foreign':
      if (adopt && !isProtected(desired)) return undefined
      return {
        object,
        message: `${object} exists and is not ours (managed by ${managersOf(live)}). Delete or rename it${isProtected(desired) ? '' : ', or set annotation config.netease.com/adopt: "true" to take it over'}.`,
      }
  }
}
