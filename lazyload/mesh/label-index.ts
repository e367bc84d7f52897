/** Label selectors by namespace, found by whether a pod could have the labels of two of them at once. */

export type Labels = Readonly<Record<string, string>>

export interface LabelIndex {
  /** `key` is `namespace/name`; undefined takes it out. */
  readonly put: (key: string, labels: Labels | undefined) => void
  /** The keys in `namespace` whose labels a pod with these labels could have too. */
  readonly overlapping: (namespace: string, labels: Labels) => Iterable<string>
}

/** By label and value: in a large namespace most selectors name one label (`app`) with a value of their own. */
interface Home {
  readonly members: Map<string, Labels>
  readonly byLabel: Map<string, { count: number; readonly byValue: Map<string, Set<string>> }>
}

export function createLabelIndex(): LabelIndex {
  const homes = new Map<string, Home>()

  function takeOut(namespace: string, home: Home, key: string): void {
    for (const [label, value] of Object.entries(home.members.get(key) ?? {})) {
      const known = home.byLabel.get(label)!
      const keys = known.byValue.get(value)!
      keys.delete(key)
      known.count--
      if (keys.size === 0) known.byValue.delete(value)
      if (known.count === 0) home.byLabel.delete(label)
    }
    home.members.delete(key)
    if (home.members.size === 0) homes.delete(namespace)
  }

  return {
    put(key, labels) {
      const namespace = key.slice(0, key.indexOf('/'))
      const before = homes.get(namespace)
      if (before?.members.has(key) === true) takeOut(namespace, before, key)
      if (labels === undefined) return
      const home = homes.get(namespace) ?? { members: new Map(), byLabel: new Map() }
      homes.set(namespace, home)
      home.members.set(key, labels)
      for (const [label, value] of Object.entries(labels)) {
        const known = home.byLabel.get(label) ?? { count: 0, byValue: new Map<string, Set<string>>() }
        home.byLabel.set(label, known)
        known.count++
        known.byValue.set(value, (known.byValue.get(value) ?? new Set()).add(key))
      }
    },
    *overlapping(namespace, labels) {
      const home = homes.get(namespace)
      if (home === undefined) return
      for (const key of candidatesIn(home, labels)) if (!isDisjoint(home.members.get(key)!, labels)) yield key
    },
  }
}

/** Those with the same value of the label that most of them have, and those without that label. */
function candidatesIn({ members, byLabel }: Home, labels: Labels): Iterable<string> {
  const counted = Object.keys(labels).map((label) => ({ label, count: byLabel.get(label)?.count ?? 0 }))
  const most = counted.reduce<(typeof counted)[number] | undefined>((a, b) => (a === undefined || b.count > a.count ? b : a), undefined)
  if (most === undefined || most.count === 0) return members.keys()
  const { label } = most
  const same = byLabel.get(label)!.byValue.get(labels[label]!) ?? []
  if (most.count === members.size) return same
  return [...same, ...[...members].filter(([, of]) => !Object.hasOwn(of, label)).map(([key]) => key)]
}

/** No pod can have both: they want different values of one label. */
export function isDisjoint(a: Labels, b: Labels): boolean {
  return Object.entries(a).some(([label, value]) => Object.hasOwn(b, label) && b[label] !== value)
}

/** Every pod that has `all` has `some`. */
export function isSubset(some: Labels, all: Labels): boolean {
  return Object.entries(some).every(([label, value]) => Object.hasOwn(all, label) && all[label] === value)
}
