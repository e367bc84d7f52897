/** From logged requests to learned hosts: whose request it was, whom it was for. */
import { canonicalAddress } from '../mesh/endpoints.ts'
import { decodeBatch, type LogEntry } from './decode.ts'
import { type DestinationLookup, destinationsOf } from './destination.ts'
import type { Grant } from './peers.ts'

export interface AccessLogSourceOptions extends DestinationLookup {
  /** `namespace/name` of the Services behind an address. */
  readonly servicesOf: (address: string) => readonly string[]
  readonly learn: (fence: string, hosts: ReadonlyMap<string, number>) => void
  readonly observe?: (result: EntryResult, count: number) => void
}

/** `learnable`: names a caller and a host; `no-source`: nobody knows the address; `no-destination`: not forwarded within the mesh. */
export type EntryResult = 'learnable' | 'no-source' | 'no-destination' | 'broken'

export function createAccessLogSource(options: AccessLogSourceOptions) {
  const { servicesOf, learn, observe = () => {} } = options

  /** The fences that `entry` teaches, and their new hosts, counted. */
  function take(entry: LogEntry, { namespaces }: Grant, found: Map<string, Map<string, number>>): EntryResult {
    const address = entry.directRemote === '' ? entry.remote : entry.directRemote
    let result: EntryResult = 'no-source'
    for (const service of address === '' ? [] : servicesOf(canonicalAddress(address))) {
      const namespace = namespaceOf(service)
      if (namespaces !== undefined && !namespaces.has(namespace)) continue
      if (result === 'no-source') result = 'no-destination'
      for (const host of destinationsOf(entry, namespace, options)) {
        const hosts = found.get(service) ?? new Map<string, number>()
        found.set(service, hosts.set(host, (hosts.get(host) ?? 0) + 1))
        result = 'learnable'
      }
    }
    return result
  }

  return {
    /** Takes in one StreamAccessLogsMessage of a sender with this grant. Never throws. */
    receive(message: Uint8Array, grant: Grant): void {
      const { entries, broken } = decodeBatch(message)
      const found = new Map<string, Map<string, number>>()
      const results = new Map<EntryResult, number>()
      for (const entry of entries) {
        const result = take(entry, grant, found)
        results.set(result, (results.get(result) ?? 0) + 1)
      }
      if (broken > 0) results.set('broken', broken)
      for (const [result, count] of results) observe(result, count)
      for (const [fence, hosts] of found) learn(fence, hosts)
    },
  }
}

function namespaceOf(service: string): string {
  return service.slice(0, service.indexOf('/'))
}
