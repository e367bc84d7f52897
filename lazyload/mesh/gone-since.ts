/** Since when Services are gone, as far as this process has seen: of one that it never saw, since it looks. */
import { keyOf, type KubeObject } from '../../runtime/object.ts'

const LIMIT = 10_000

export interface GoneSince {
  /** Takes in a change of the cache. */
  readonly change: (previous: KubeObject | undefined, current: KubeObject | undefined) => void
  /** Milliseconds since 1970, for a Service `namespace/name` that is not there. */
  readonly since: (key: string) => number
}

export function createGoneSince(now: () => number = Date.now): GoneSince {
  const gone = new Map<string, number>()
  let looking = now()
  return {
    change(previous, current) {
      if (current !== undefined) gone.delete(keyOf(current))
      else if (previous !== undefined) {
        if (gone.size >= LIMIT) {
          gone.clear()
          looking = now()
        }
        gone.set(keyOf(previous), now())
      }
    },
    since: (key) => gone.get(key) ?? looking,
  }
}
