/** Orphans: objects of ours whose SlimeBoot does not exist. Told, never touched: `slimeboot prune-orphans` removes them. */
import type { Logger } from 'winston'
import { after } from '../../runtime/callbacks.ts'
import type { EventRecorder } from '../../runtime/events.ts'
import { identityOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import { claimedOwner } from '../apply/ownership.ts'
import { listed } from '../listed.ts'

export interface OrphansDependencies {
  readonly log: Pick<Logger, 'warn'>
  readonly events: Pick<EventRecorder, 'record'>
}

/** The watch of an object may tell of its end later than the other one of its SlimeBoot's; and what was left together is one Event. */
const PATIENCE_MS = 2000
const LISTED = 5

export function createOrphans({ log, events }: OrphansDependencies) {
  /** By the SlimeBoot that is gone its objects by identity. */
  const left = new Map<string, Map<string, { readonly id: string; told: boolean }>>()
  const waiting = new Set<string>()

  function tell(owner: string): void {
    waiting.delete(owner)
    const objects = [...(left.get(owner)?.values() ?? [])]
    const untold = objects.filter(({ told }) => !told)
    if (untold.length === 0) return
    for (const object of untold) {
      object.told = true
      log.warn('orphan', { object: object.id, owner, remedy: 'slimeboot prune-orphans' })
    }
    const [namespace, name] = owner.split('/') as [string, string]
    const ids = objects.map(({ id }) => id).sort()
    events.record(
      { apiVersion: SLIMEBOOT.apiVersion, kind: SLIMEBOOT.kind, metadata: { name, namespace } },
      'Warning',
      'Orphaned',
      `gone, but objects of it are left (${ids.length}): ${listed(ids, LISTED)}. "slimeboot prune-orphans --yes" removes them; a SlimeBoot of the same name gets them back.`,
    )
  }

  return {
    /** Our annotation, no such SlimeBoot: each object is logged once, each SlimeBoot gets an Event. */
    found(object: KubeObject): void {
      const owner = claimedOwner(object)
      if (owner === undefined) return
      const objects = left.get(owner) ?? new Map<string, { readonly id: string; told: boolean }>()
      if (objects.has(identityOf(object))) return
      left.set(owner, objects.set(identityOf(object), { id: objectId(object), told: false }))
      if (waiting.has(owner)) return
      waiting.add(owner)
      after(PATIENCE_MS, `orphans of ${owner}`, () => tell(owner)).unref()
    },

    /** An object is gone. */
    removed(object: KubeObject): void {
      const owner = claimedOwner(object)
      const objects = owner === undefined ? undefined : left.get(owner)
      objects?.delete(identityOf(object))
      if (owner !== undefined && objects?.size === 0) left.delete(owner)
    },

    /** There is a SlimeBoot of this key: what was left is its own again. */
    adopted: (owner: string): void => void left.delete(owner),

    count: (): number => left.values().reduce((sum, objects) => sum + objects.size, 0),
  }
}
