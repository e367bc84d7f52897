/** Whom a call teaches, by the Services behind the address that it came from, and where its pod must be looked for to know more. */
import type { SelectingFences } from '../fence/selecting.ts'
import type { Place } from '../mesh/pod-lookup.ts'
import type { Grant } from './peers.ts'

export interface CallersOptions {
  readonly selecting: Pick<SelectingFences, 'apart' | 'judge' | 'version'>
  /** Namespaces that this program may look into; empty: all. */
  readonly namespaces: readonly string[]
}

export interface Callers {
  /** `namespace/name` of fences: those of the Services behind the address, and those that select its pods for sure. */
  readonly fences: readonly string[]
  /** Where there are fences that only the labels of the pod can tell of. */
  readonly places: readonly Place[]
}

/** For the Services behind an address, which must be the same list as long as they are the same, and who may teach. */
export function createCallersOf({ selecting, namespaces }: CallersOptions): (services: readonly string[], grant: Grant) => Callers {
  type Remembered = Callers & { readonly version: number }
  const remembered = new WeakMap<Grant, WeakMap<readonly string[], Remembered>>()

  function compute(services: readonly string[], { namespaces: granted }: Grant): Callers {
    const allowed = granted === undefined ? services : services.filter((service) => granted.has(namespaceOf(service)))
    const apart = selecting.apart().filter((namespace) => granted === undefined || granted.has(namespace))
    if (apart.length === 0) return { fences: allowed, places: [] }
    const judged = apart.map((namespace) => ({
      namespace,
      ...selecting.judge(
        namespace,
        allowed.filter((service) => namespaceOf(service) === namespace),
      ),
    }))
    const open = judged.filter((each) => each.open).map(({ namespace }) => namespace)
    // one request tells of all namespaces, where that may be asked
    const places = open.length > 0 && granted === undefined && namespaces.length === 0 ? [''] : open
    return { fences: [...new Set([...allowed, ...judged.flatMap(({ fences }) => fences)])], places }
  }

  return (services, grant) => {
    let ofGrant = remembered.get(grant)
    if (ofGrant === undefined) remembered.set(grant, (ofGrant = new WeakMap()))
    const found = ofGrant.get(services)
    const version = selecting.version()
    if (found?.version === version) return found
    const callers = { ...compute(services, grant), version }
    ofGrant.set(services, callers)
    return callers
  }
}

export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}
