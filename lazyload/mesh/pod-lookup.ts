/**
 * Whose an address is: asked of the API server when somebody wants to know, remembered for a little while. Bounded in memory and in
 * requests for each place, so that who sends made-up addresses from one place slows down nobody in another.
 */
import { after } from '../../runtime/callbacks.ts'
import { ApiError } from '../../runtime/errors.ts'
import { jittered } from '../../runtime/sleep.ts'
import type { Pod, Pods } from './pods.ts'

/** A namespace whose pods are asked for, or empty for those of all namespaces. */
export type Place = string

export interface PodLookupOptions {
  readonly pods: Pick<Pods, 'withAddress'>
  /** An answer is in; undefined where there is none, and the address is not asked for any more. */
  readonly onAnswer: (place: Place, address: string, pods: readonly Pod[] | undefined) => void
  /** The pods of this place may not be listed, or may be again. */
  readonly onAllowed: (place: Place, allowed: boolean) => void
  readonly onProblem: (place: Place, error: unknown) => void
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number
}

export interface PodLookup {
  /** The pods that have or had the address, as the last answer said; undefined where that is too old to be worth anything. */
  readonly known: (place: Place, address: string) => readonly Pod[] | undefined
  /** Asks soon. `urgent` goes before those that are not. False where too many addresses wait already. */
  readonly ask: (place: Place, address: string, urgent: boolean) => boolean
  /** Asks no more. */
  readonly close: () => void
}

interface PlaceState {
  readonly answers: Map<string, { readonly pods: readonly Pod[]; readonly at: number }>
  readonly urgent: Map<string, number>
  readonly later: Map<string, number>
  readonly asking: Set<string>
  allowed: boolean | undefined
  /** Requests that may be sent at once. */
  tokens: number
  filledAt: number
  /** Nothing is asked before. */
  notBefore: number
  timer: NodeJS.Timeout | undefined
}

const PER_SECOND = 10
const BURST = 20
const IN_FLIGHT = 4
/** Of all places together. */
const MAX_PLACES = 2000
const MAX_WAITING = 500
const MAX_ANSWERS = 2000
/** How long an answer is worth something: an address gets another pod; a pod that nobody knew yet may be known in a moment. */
const FOUND_MS = 15_000
const NOT_FOUND_MS = 5000
const FORBIDDEN_MS = 10_000
const FAILED_MS = 1000
const TRIES = 5

export function createPodLookup({ pods, onAnswer, onAllowed, onProblem, now = () => performance.now() }: PodLookupOptions): PodLookup {
  const places = new Map<Place, PlaceState>()
  let closed = false

  function stateOf(place: Place): PlaceState | undefined {
    const found = places.get(place)
    if (found !== undefined || places.size >= MAX_PLACES) return found
    const state: PlaceState = {
      answers: new Map(),
      urgent: new Map(),
      later: new Map(),
      asking: new Set(),
      allowed: undefined,
      tokens: BURST,
      filledAt: now(),
      notBefore: 0,
      timer: undefined,
    }
    places.set(place, state)
    return state
  }

  /** Starts what may be started now, and sees to it that the rest is started later. */
  function pump(place: Place, state: PlaceState): void {
    const time = now()
    state.tokens = Math.min(BURST, state.tokens + ((time - state.filledAt) / 1000) * PER_SECOND)
    state.filledAt = time
    if (closed) return
    while (time >= state.notBefore && state.tokens >= 1 && state.asking.size < IN_FLIGHT) {
      const queue = state.urgent.size > 0 ? state.urgent : state.later
      const [next] = queue
      if (next === undefined) return
      queue.delete(next[0])
      state.tokens--
      state.asking.add(next[0])
      request(place, state, ...next).catch((error: unknown) => onProblem(place, error))
    }
    const waits = state.urgent.size + state.later.size > 0 && state.asking.size < IN_FLIGHT
    if (!waits || state.timer !== undefined) return
    const pause = Math.max(state.notBefore - time, ((1 - state.tokens) / PER_SECOND) * 1000, 1)
    state.timer = after(pause, `pods of ${place}`, () => {
      state.timer = undefined
      pump(place, state)
    })
  }

  async function request(place: Place, state: PlaceState, address: string, tried: number): Promise<void> {
    try {
      const at = now()
      const found = await pods.withAddress(address, place === '' ? undefined : place)
      remember(state, address, { pods: found, at })
      allow(place, state, true)
      state.asking.delete(address)
      onAnswer(place, address, found)
    } catch (error) {
      state.asking.delete(address)
      failed(place, state, address, tried + 1, error)
    }
    pump(place, state)
  }

  function failed(place: Place, state: PlaceState, address: string, tried: number, error: unknown): void {
    const forbidden = error instanceof ApiError && (error.code === 403 || error.code === 401)
    state.notBefore = now() + jittered(forbidden ? FORBIDDEN_MS : FAILED_MS)
    if (forbidden) {
      const waiting = [address, ...state.urgent.keys(), ...state.later.keys()]
      state.urgent.clear()
      state.later.clear()
      for (const each of waiting) onAnswer(place, each, undefined)
      allow(place, state, false)
    } else if (tried < TRIES) state.urgent.set(address, tried)
    else onAnswer(place, address, undefined)
    onProblem(place, error)
  }

  function allow(place: Place, state: PlaceState, allowed: boolean): void {
    const before = state.allowed
    state.allowed = allowed
    // that they may be listed is what everybody takes for granted
    if (before !== allowed && (before !== undefined || !allowed)) onAllowed(place, allowed)
  }

  function remember(state: PlaceState, address: string, answer: { readonly pods: readonly Pod[]; readonly at: number }): void {
    state.answers.delete(address)
    // the oldest comes first
    for (const [each, { at }] of state.answers) {
      if (state.answers.size < MAX_ANSWERS && answer.at - at < FOUND_MS) break
      state.answers.delete(each)
    }
    state.answers.set(address, answer)
  }

  return {
    known(place, address) {
      const state = places.get(place)
      const answer = state?.answers.get(address)
      if (state === undefined || answer === undefined) return undefined
      const lifetime = answer.pods.every(({ finished }) => finished) ? NOT_FOUND_MS : FOUND_MS
      if (now() - answer.at <= lifetime) return answer.pods
      state.answers.delete(address)
      return undefined
    },
    ask(place, address, urgent) {
      const state = stateOf(place)
      if (closed || state === undefined) return false
      if (state.asking.has(address) || state.urgent.has(address)) return true
      if (state.allowed === false && now() < state.notBefore) return false
      const queue = urgent ? state.urgent : state.later
      if (!queue.has(address) && queue.size >= MAX_WAITING) return false
      if (urgent) state.later.delete(address)
      queue.set(address, 0)
      pump(place, state)
      return true
    },
    close() {
      closed = true
      for (const { timer } of places.values()) clearTimeout(timer)
    },
  }
}
