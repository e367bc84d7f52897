/**
 * Orphans: objects of ours whose SlimeBoot does not exist. Told, never touched: `slimeboot prune-orphans` removes them. Whoever may write in
 * one namespace can make objects that look so, by the thousand and in many names: what is remembered and told of them is bounded.
 */
import type { Logger } from 'winston'
import { after } from '../../runtime/callbacks.ts'
import type { EventRecorder } from '../../runtime/events.ts'
import { identityOf, objectId, type KubeObject } from '../../runtime/object.ts'
import { SLIMEBOOT } from '../api/kinds.ts'
import { appliedByUs, claimedOwner } from '../apply/ownership.ts'
import { listed } from '../listed.ts'

export interface OrphansDependencies {
  readonly log: Pick<Logger, 'warn'>
  readonly events: Pick<EventRecorder, 'record'>
}

/** The watch of an object may tell of its end later than the other one of its SlimeBoot's; and what was left together is one Event. */
const PATIENCE_MS = 2000
const LISTED = 5
/** Objects that are remembered; with more the number that is told stays at this. */
const REMEMBERED = 5000
/** Log lines and SlimeBoots with an Event, in all. */
const LINES = 1000
const EVENTS = 100

export function createOrphans({ log, events }: OrphansDependencies) {
  /** By the SlimeBoot that is gone its objects by identity. */
  const left = new Map<string, Map<string, { readonly id: string; told: boolean }>>()
  const waiting = new Set<string>()
  const told = { lines: 0, events: 0 }
  let count = 0

  function tell(owner: string): void {
    waiting.delete(owner)
    const objects = [...(left.get(owner)?.values() ?? [])]
    const untold = objects.filter((object) => !object.told)
    if (untold.length === 0) return
    for (const object of untold) {
      object.told = true
      if (++told.lines <= LINES) log.warn('orphan', { object: object.id, owner, remedy: 'slimeboot prune-orphans' })
      if (told.lines === LINES) log.warn('more orphans are not logged one by one', { remedy: 'slimeboot prune-orphans' })
    }
    if (++told.events > EVENTS) return
    const [namespace = '', name = ''] = owner.split('/')
    const ids = objects.map(({ id }) => id).sort()
    events.record(
      { apiVersion: SLIMEBOOT.apiVersion, kind: SLIMEBOOT.kind, metadata: { name, namespace } },
      'Warning',
      'Orphaned',
      `gone, but objects of it are left (${ids.length}): ${listed(ids, LISTED)}. "slimeboot prune-orphans --yes" removes them; a SlimeBoot of the same name gets them back.`,
    )
  }

  function forget(owner: string): void {
    count -= left.get(owner)?.size ?? 0
    left.delete(owner)
  }

  return {
    /** Our annotation, applied under our name, no such SlimeBoot: each object is logged once, each SlimeBoot gets an Event. */
    found(object: KubeObject): void {
      const owner = claimedOwner(object)
      if (owner === undefined || !appliedByUs(object) || count >= REMEMBERED) return
      const objects = left.get(owner) ?? new Map<string, { readonly id: string; told: boolean }>()
      if (objects.has(identityOf(object))) return
      left.set(owner, objects.set(identityOf(object), { id: objectId(object), told: false }))
      count++
      if (waiting.has(owner)) return
      waiting.add(owner)
      after(PATIENCE_MS, `orphans of ${owner}`, () => tell(owner)).unref()
    },

    /** An object is gone. */
    removed(object: KubeObject): void {
      const owner = claimedOwner(object)
      const objects = owner === undefined ? undefined : left.get(owner)
      if (owner === undefined || objects === undefined) return
      if (objects.delete(identityOf(object))) count--
      if (objects.size === 0) left.delete(owner)
    },

    /** There is a SlimeBoot of this key: what was left is its own again. */
    adopted: forget,

    count: (): number => count,
  }
}
