/**
 * Calls of pods that no Service tells of: they wait, bounded, until the API server has said whose the address is, then they teach the
 * fences that select the pod.
 */
import type { SelectingFences } from '../fence/selecting.ts'
import type { Place, PodLookup } from '../mesh/pod-lookup.ts'
import type { Pod } from '../mesh/pods.ts'
import type { LogEntry } from './decode.ts'
import type { EntryResult } from './source.ts'

export interface PodCallersOptions {
  readonly lookup: Pick<PodLookup, 'known' | 'ask'>
  readonly selecting: Pick<SelectingFences, 'of' | 'version'>
  /** The hosts of a call, as its caller in this namespace means them. */
  readonly destinationsOf: (entry: LogEntry, namespace: string) => readonly string[]
  /** Whether a fence would learn one of these hosts. */
  readonly isNew: (fence: string, hosts: readonly string[]) => boolean
  readonly learn: (fence: string, hosts: ReadonlyMap<string, number>) => void
  readonly observe: (result: EntryResult, count: number) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export interface PodCallers {
  /** Takes in a call from `address`, of a pod to be looked for in `place`. `alone`: nothing else is made of it. Never throws. */
  readonly take: (entry: LogEntry, place: Place, address: string, alone: boolean) => void
  /** Takes in the answer about an address; undefined: there is none. */
  readonly answer: (place: Place, address: string, pods: readonly Pod[] | undefined) => void
}

interface Waiting {
  readonly entry: LogEntry
  readonly alone: boolean
  count: number
}

/** The last caller at an address may have ended meanwhile; after this time it may be another's. */
const ENDED_MS = 10_000
/** Different calls that wait, of one address and of one place; and addresses and names that are longer than any real one. */
const MAX_OF_ADDRESS = 100
const MAX_OF_PLACE = 1000
const LONGEST = 600

export function createPodCallers(options: PodCallersOptions): PodCallers {
  const { lookup, selecting, destinationsOf, isNew, learn, observe, now = Date.now } = options
  /** Place to address to calls, each once. */
  const waiting = new Map<Place, { size: number; readonly addresses: Map<string, Map<string, Waiting>> }>()

  /** As long as the pod is remembered: a busy pod calls thousands of times a second. */
  const selected = new WeakMap<Pod, { readonly version: number; readonly fences: readonly string[] }>()

  function fencesOf(pod: Pod): readonly string[] {
    const found = selected.get(pod)
    const version = selecting.version()
    if (found?.version === version) return found.fences
    const fences = selecting.of(pod.namespace, pod.labels)
    selected.set(pod, { version, fences })
    return fences
  }

  /** The fences of the pod, and the hosts that the call teaches them. */
  function lessons(entry: LogEntry, pod: Pod | undefined): readonly (readonly [fence: string, hosts: readonly string[]])[] {
    if (pod === undefined) return []
    const fences = fencesOf(pod)
    if (fences.length === 0) return []
    const hosts = destinationsOf(entry, pod.namespace)
    return fences.map((fence) => [fence, hosts])
  }

  function teach({ entry, alone, count }: Waiting, pod: Pod | undefined): void {
    const taught = lessons(entry, pod)
    const [first] = taught
    if (alone) observe(first === undefined ? 'no-source' : first[1].length === 0 ? 'no-destination' : 'learnable', count)
    for (const [fence, hosts] of taught) if (hosts.length > 0) learn(fence, new Map(hosts.map((host) => [host, count])))
  }

  function wait(call: Waiting, place: Place, address: string): boolean {
    const { upstreamCluster, authority } = call.entry
    if (upstreamCluster.length + authority.length > LONGEST) return false
    const room = waiting.get(place) ?? { size: 0, addresses: new Map<string, Map<string, Waiting>>() }
    const calls = room.addresses.get(address) ?? new Map<string, Waiting>()
    const key = `${upstreamCluster} ${authority}`
    const same = calls.get(key)
    if (same !== undefined) {
      same.count++
      return true
    }
    if (calls.size >= MAX_OF_ADDRESS || room.size >= MAX_OF_PLACE) return false
    room.size++
    waiting.set(place, room)
    room.addresses.set(address, calls.set(key, call))
    return true
  }

  return {
    take(entry, place, address, alone) {
      const call = { entry, alone, count: 1 }
      const known = lookup.known(place, address)
      if (known !== undefined) {
        const pod = callerOf(known, now())
        // the address may be another pod's by now: before something new is learned it is asked for again
        if (lessons(entry, pod).every(([fence, hosts]) => !isNew(fence, hosts))) return teach(call, pod)
      }
      if ((!lookup.ask(place, address, alone) || !wait(call, place, address)) && alone) observe('no-source', 1)
    },
    answer(place, address, pods) {
      const room = waiting.get(place)
      const calls = room?.addresses.get(address)
      if (room === undefined || calls === undefined) return
      room.addresses.delete(address)
      room.size -= calls.size
      if (room.size === 0) waiting.delete(place)
      const pod = callerOf(pods ?? [], now())
      for (const call of calls.values()) teach(call, pod)
    },
  }
}

/** The pod that calls from an address which all of these have or had; undefined where that cannot be told for sure. */
export function callerOf(pods: readonly Pod[], now: number): Pod | undefined {
  // the address of a node, which all that runs there without a network of its own calls from
  if (pods.some(({ hostNetwork }) => hostNetwork)) return undefined
  const alive = pods.filter(({ finished }) => !finished)
  // a short Job may have ended before its call was read
  const candidates = alive.length > 0 ? alive : pods.filter(({ finishedAt }) => finishedAt !== undefined && now - finishedAt <= ENDED_MS)
  return candidates.length === 1 ? candidates[0] : undefined
}
