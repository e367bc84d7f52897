/**
 * Which fences the modules of each SlimeBoot serve, so that of two SlimeBoots whose modules would serve the same fence one leaves it to the
 * other: one without global-sidecars to one with them, whose catch-all sends unknown hosts where only its own module lets a Sidecar lead;
 * of the same kind the younger to the older. Read from the specs, not from what was reconciled so far: after a restart the answer is the
 * same at once.
 */
import { isJsonObject, type JsonObject, keyOf, type KubeObject } from '../../runtime/object.ts'
import { claimantOf, isOlder } from '../apply/claims.ts'
import { mergedSpec } from '../spec/build-values.ts'
import { commonOf, contains, type EarlierScope, fencesOf, type ModuleScope, scopesOf } from '../spec/module-scope.ts'
import { resolveMode } from '../spec/mode.ts'
import type { ClusterFacts } from '../spec/cluster-facts.ts'
import { validate } from '../spec/validate.ts'

export interface ModuleScopesOptions {
  readonly get: (key: string) => KubeObject | undefined
  readonly operatorDefaults?: JsonObject | undefined
}

interface Entry {
  readonly boot: KubeObject
  readonly scopes: readonly ModuleScope[]
  /** It has global-sidecars. */
  readonly forwards: boolean
  /** Whether its spec is valid, once that was asked. */
  valid?: boolean
}

/** Where a scope without namespaces stands. */
const EVERYWHERE = '*'

export type ModuleScopes = ReturnType<typeof createModuleScopes>

export function createModuleScopes({ get, operatorDefaults }: ModuleScopesOptions) {
  const defaults = operatorDefaults === undefined ? {} : { operatorDefaults }
  const entries = new Map<string, Entry>()
  /** Keys of the SlimeBoots with a module for a namespace. */
  const places = new Map<string, Set<string>>()

  function entryOf(boot: KubeObject): Entry {
    if (!isJsonObject(boot['spec'])) return { boot, scopes: [], forwards: false }
    // without defaults of the operator nothing that is read here has any
    const spec = operatorDefaults === undefined ? boot['spec'] : mergedSpec(boot, defaults)
    const { mode } = resolveMode(spec)
    return { boot, scopes: scopesOf(spec, mode), forwards: mode !== 'none' }
  }

  function put(key: string, boot: KubeObject | undefined): void {
    for (const place of placesOf(entries.get(key)?.scopes ?? [])) {
      places.get(place)?.delete(key)
      if (places.get(place)?.size === 0) places.delete(place)
    }
    entries.delete(key)
    if (boot === undefined) return
    const entry = entryOf(boot)
    entries.set(key, entry)
    for (const place of placesOf(entry.scopes)) places.set(place, (places.get(place) ?? new Set()).add(key))
  }

  /** Entries that may share a fence with these scopes, but for the one of `key`. */
  function near(key: string, scopes: readonly ModuleScope[]): readonly Entry[] {
    const wanted = placesOf(scopes)
    const keys = wanted.includes(EVERYWHERE) ? entries.keys() : [EVERYWHERE, ...wanted].flatMap((place) => [...(places.get(place) ?? [])])
    return [...new Set(keys)].filter((other) => other !== key).map((other) => entries.get(other)!)
  }

  function isValid(entry: Entry): boolean {
    return (entry.valid ??= validate(entry.boot, {}, defaults).errors.length === 0)
  }

  return {
    /** Takes in that SlimeBoot `key` has changed, come or gone; returns those that may have to leave other fences to it now. */
    change(key: string): readonly string[] {
      const boot = get(key)
      const before = entries.get(key)
      if (before !== undefined && boot !== undefined && isSame(before.boot, boot)) return []
      put(key, boot)
      const states = [before, entries.get(key)].filter((entry) => entry !== undefined)
      return near(
        key,
        states.flatMap(({ scopes }) => scopes),
      )
        .filter((other) => states.some((state) => precedes(state, other) && sharesFences(state.scopes, other.scopes)))
        .map((other) => keyOf(other.boot))
    },

    /** The modules of other SlimeBoots that keep fences which `boot` would serve too, in the order in which they take them; none whose fences one before it has all. */
    before(boot: KubeObject, { honouredNamespace }: ClusterFacts): readonly EarlierScope[] {
      const own = entryOf(boot)
      return near(keyOf(boot), own.scopes)
        .filter((other) => precedes(other, own) && sharesFences(own.scopes, other.scopes))
        .filter((other) => honouredNamespace === undefined || other.boot.metadata.namespace === honouredNamespace)
        .filter(isValid)
        .sort((a, b) => (precedes(a, b) ? -1 : 1))
        .flatMap((other) => other.scopes.filter((scope) => sharesFences(own.scopes, [scope])).map((scope) => earlierScope(other, scope)))
        .reduce<EarlierScope[]>((kept, scope) => (kept.some((known) => contains(known, scope)) ? kept : [...kept, scope]), [])
    },
  }
}

/** The facts with what `before` says of the SlimeBoots `all`; one that is not among them yet is the youngest. */
export function withEarlier(
  facts: ClusterFacts,
  boot: KubeObject,
  all: readonly KubeObject[],
  operatorDefaults?: JsonObject,
): ClusterFacts {
  const byKey = new Map(all.map((each) => [keyOf(each), each]))
  const scopes = createModuleScopes({ get: (key) => byKey.get(key), operatorDefaults })
  for (const key of byKey.keys()) scopes.change(key)
  const creationTimestamp = byKey.get(keyOf(boot))?.metadata.creationTimestamp ?? YOUNGEST
  const earlier = scopes.before({ ...boot, metadata: { ...boot.metadata, creationTimestamp } }, facts)
  return earlier.length === 0 ? facts : { ...facts, earlier }
}

const YOUNGEST = '9999-12-31T23:59:59Z'

/** Whether the modules of `a` keep what those of `b` would serve too. */
function precedes(a: Entry, b: Entry): boolean {
  if (a.forwards !== b.forwards) return a.forwards
  return isOlder(claimantOf(a.boot), claimantOf(b.boot))
}

function earlierScope({ boot }: Entry, scope: ModuleScope): EarlierScope {
  return { by: `module ${scope.module} of SlimeBoot ${keyOf(boot)}`, ...fencesOf(scope) }
}

function isSame(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.generation === b.metadata.generation
}

function sharesFences(ours: readonly ModuleScope[], theirs: readonly ModuleScope[]): boolean {
  return ours.some((one) => theirs.some((other) => commonOf(one, other) !== undefined))
}

function placesOf(scopes: readonly ModuleScope[]): readonly string[] {
  return [...new Set(scopes.flatMap(({ namespaces }) => namespaces ?? [EVERYWHERE]))]
}
