/**
 * The objects of one type as last heard of, by key. Lists, watch events and the answers of our own writes come in any order; resource
 * versions decide what is newer, and what is gone stays gone.
 */
import { guarded } from './callbacks.ts'
import { keyOf, type KubeObject, objectId } from './object.ts'
import { compareResourceVersions } from './resource-version.ts'
import type { Turns } from './turns.ts'

/** `write`: the answer of a write of ours, ahead of its watch event. */
export type ChangeSource = 'watch' | 'write'

/** After every change of the cache; `previous` or `current` is undefined for new and gone objects. Must not wait; what it throws is told and passed over. */
export type OnChange = (previous: KubeObject | undefined, current: KubeObject | undefined, source: ChangeSource) => void

/** Deletions that are remembered. */
const TOMBSTONES = 1000

/** Keys are `namespace/name`. */
export function createObjectCache(handler: OnChange) {
  const onChange: OnChange = guarded<Parameters<OnChange>>('watch', (previous, current) => objectId((current ?? previous)!), handler)
  const store = new Map<string, KubeObject>()
  /** Resource versions at which objects went, by key; the latest ones. */
  const tombstones = new Map<string, string>()

  function put(object: KubeObject, source: ChangeSource): void {
    const key = keyOf(object)
    const previous = store.get(key)
    // a write of ours was answered after the watch had told that the object is gone
    const goneAt = tombstones.get(key)
    if (goneAt !== undefined && compareResourceVersions(object.metadata.resourceVersion, goneAt) <= 0) return
    // our own write is in the cache before its event comes: events older than what is known are ignored, also those of an object that went
    if (previous !== undefined && compareResourceVersions(object.metadata.resourceVersion, previous.metadata.resourceVersion) <= 0) return
    replace(key, object, source)
  }

  function replace(key: string, object: KubeObject, source: ChangeSource): void {
    const previous = store.get(key)
    store.set(key, object)
    onChange(previous, object, source)
  }

  function bury(key: string, at: string | undefined): void {
    store.delete(key)
    tombstones.delete(key)
    tombstones.set(key, at ?? '')
    if (tombstones.size > TOMBSTONES) for (const oldest of tombstones.keys()) return void tombstones.delete(oldest)
  }

  return {
    get: (key: string): KubeObject | undefined => store.get(key),
    values: () => store.values(),
    size: () => store.size,
    /** Takes in an object unless something newer is known of it. */
    put,

    /** Takes in a watch event that tells of a deletion. */
    remove(object: KubeObject): void {
      const key = keyOf(object)
      const previous = store.get(key)
      if (previous !== undefined && compareResourceVersions(object.metadata.resourceVersion, previous.metadata.resourceVersion) < 0) return
      bury(key, object.metadata.resourceVersion)
      if (previous !== undefined) onChange(previous, undefined, 'watch')
    },

    /** Takes in that a delete of ours was answered. An object of another uid stays. */
    forget(object: KubeObject): void {
      const key = keyOf(object)
      const previous = store.get(key)
      if (previous === undefined || previous.metadata.uid !== object.metadata.uid) return
      bury(key, previous.metadata.resourceVersion)
      onChange(previous, undefined, 'write')
    },

    /**
     * Takes in a whole list, in `turns`; writes may be answered meanwhile. `rewritten`: history was (etcd was restored from a backup), what
     * is known of later versions never happened.
     */
    async replaceAll(items: readonly KubeObject[], resourceVersion: string, rewritten: boolean, turns?: Turns): Promise<void> {
      if (rewritten) tombstones.clear()
      const before = [...store]
      const listed = new Set<string>()
      for (const item of items) {
        if (turns?.isOver() === true) await turns.next()
        const key = keyOf(item)
        listed.add(key)
        if (rewritten) replace(key, item, 'watch')
        else put(item, 'watch')
      }
      for (const [key, object] of before) {
        // not listed, and not written anew since the list was taken in
        if (listed.has(key) || store.get(key) !== object) continue
        if (turns?.isOver() === true) await turns.next()
        if (store.get(key) !== object) continue
        if (!rewritten && compareResourceVersions(object.metadata.resourceVersion, resourceVersion) > 0) continue
        bury(key, resourceVersion)
        onChange(object, undefined, 'watch')
      }
    },

    clear(): void {
      const gone = [...store.values()]
      store.clear()
      for (const object of gone) onChange(object, undefined, 'watch')
    },
  }
}
