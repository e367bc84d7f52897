/** From logged requests to learned hosts: whose request it was, whom it was for. */
import type { Place } from '../mesh/pod-lookup.ts'
import { canonicalAddress } from '../mesh/endpoints.ts'
import { type Callers, namespaceOf } from './callers.ts'
import { decodeBatch, type LogEntry } from './decode.ts'
import { type DestinationLookup, destinationsOf } from './destination.ts'
import type { Grant } from './peers.ts'

export interface AccessLogSourceOptions extends DestinationLookup {
  /** `namespace/name` of the Services behind an address; the same list as long as they are the same. */
  readonly servicesOf: (address: string) => readonly string[]
  readonly callersOf: (services: readonly string[], grant: Grant) => Callers
  /** Takes in a call of a pod that Services do not tell enough of, to be looked for in `place`; `alone`: they tell of no fence at all. */
  readonly lookUp: (entry: LogEntry, place: Place, address: string, alone: boolean) => void
  readonly learn: (fence: string, hosts: ReadonlyMap<string, number>) => void
  readonly observe?: (result: EntryResult, count: number) => void
}

/** `learnable`: names a caller and a host; `no-source`: nobody knows the address; `no-destination`: for nothing that the mesh knows. */
export type EntryResult = 'learnable' | 'no-source' | 'no-destination' | 'broken'

export function createAccessLogSource(options: AccessLogSourceOptions) {
  const { servicesOf, callersOf, lookUp, learn, observe = () => {} } = options

  /** The fences that `entry` teaches, and their new hosts, counted; undefined where a look-up is yet to tell. */
  function take(entry: LogEntry, grant: Grant, found: Map<string, Map<string, number>>): EntryResult | undefined {
    const sender = entry.directRemote ?? entry.remote
    if (sender === '') return 'no-source'
    const address = canonicalAddress(sender)
    const services = servicesOf(address)
    const { fences, places } = callersOf(services, grant)
    let result: EntryResult = fences.length === 0 ? 'no-source' : 'no-destination'
    for (const fence of fences) {
      for (const host of destinationsOf(entry, namespaceOf(fence), options)) {
        const hosts = found.get(fence) ?? new Map<string, number>()
        found.set(fence, hosts.set(host, (hosts.get(host) ?? 0) + 1))
        result = 'learnable'
      }
    }
    for (const place of places) lookUp(entry, place, address, fences.length === 0)
    return places.length > 0 && fences.length === 0 ? undefined : result
  }

  return {
    /** Takes in one StreamAccessLogsMessage of a sender with this grant. Never throws. */
    receive(message: Uint8Array, grant: Grant): void {
      const { entries, broken } = decodeBatch(message)
      const found = new Map<string, Map<string, number>>()
      const results = new Map<EntryResult, number>()
      for (const entry of entries) {
        const result = take(entry, grant, found)
        if (result !== undefined) results.set(result, (results.get(result) ?? 0) + 1)
      }
      if (broken > 0) results.set('broken', broken)
      for (const [result, count] of results) observe(result, count)
      for (const [fence, hosts] of found) learn(fence, hosts)
    },
  }
}
