/** An inverted index: which keys have a term. What changes of a key costs no more than the terms that it had and has. */

export interface Postings {
  /** From now on `key` has these terms and no others. */
  readonly set: (key: string, terms: Iterable<string>) => void
  /** The keys that have `term`. */
  readonly get: (term: string) => ReadonlySet<string>
  /** The keys that have any. */
  readonly all: () => Iterable<string>
}

const NONE: ReadonlySet<string> = new Set()

export function createPostings(): Postings {
  const keysOf = new Map<string, Set<string>>()
  const termsOf = new Map<string, ReadonlySet<string>>()
  return {
    set(key, terms) {
      const before = termsOf.get(key) ?? NONE
      const now = new Set(terms)
      for (const term of before) {
        if (now.has(term)) continue
        const keys = keysOf.get(term)
        keys?.delete(key)
        if (keys?.size === 0) keysOf.delete(term)
      }
      for (const term of now) {
        if (before.has(term)) continue
        const keys = keysOf.get(term)
        if (keys === undefined) keysOf.set(term, new Set([key]))
        else keys.add(key)
      }
      if (now.size === 0) termsOf.delete(key)
      else termsOf.set(key, now)
    },
    get: (term) => keysOf.get(term) ?? NONE,
    all: () => termsOf.keys(),
  }
}
