/**
 * Panics: exceptions that nobody expected, thrown by a function that Node, a stream or a library has called. Nobody above such a function
 * can catch them, so that Node would end the process; whoever can provoke one could end it again and again. Here each is counted and told,
 * and the process goes on. What must end it says so itself: a lost lease, a start that fails.
 */
import { messageOf } from './errors.ts'

/** Who called the function that threw; the label of the metric. */
export type CallbackKind =
  /** A timer of ours. */
  | 'timer'
  /** A listener on an emitter or an AbortSignal. */
  | 'event'
  /** What is done with an object that a list or a watch brought. */
  | 'watch'
  /** A handler of HTTP requests, or a health check that it asks. */
  | 'request'
  /** A handler of a stream, such as a gRPC call. */
  | 'stream'
  /** Who wants to know of the lease. */
  | 'lease'
  /** A value that is looked up for a scrape. */
  | 'metrics'
  /** A log file and its rotation. */
  | 'log'
  /** Who observes queues, workers and requests. */
  | 'observer'
  /** One step of work that goes on by itself in rounds. */
  | 'round'
  /** A promise that nobody waits for. */
  | 'background'
  /** Found by the process itself: nobody knows where it came from. */
  | 'process'

export const CALLBACK_KINDS = [
  'timer',
  'event',
  'watch',
  'request',
  'stream',
  'lease',
  'metrics',
  'log',
  'observer',
  'round',
  'background',
  'process',
] as const satisfies readonly CallbackKind[]

export interface Panic {
  readonly kind: CallbackKind
  /** What was called, and for which object where there is one: `EndpointSlice/default/web-x7`. */
  readonly place: string
  /** The stack where there is one. */
  readonly error: string
  /** The same panics that were not told since the last one was. */
  readonly unsaid: number
}

/** The same panic is told once in this time. */
const REPEAT_MS = 60_000
/** Panics that are told apart. */
const DISTINCT = 200
const LONGEST = 4000

const counts = new Map<CallbackKind, number>(CALLBACK_KINDS.map((kind) => [kind, 0]))
const said = new Map<string, { at: number; unsaid: number }>()
let tell: (panic: Panic) => void = ({ kind, place, error }) => void process.stderr.write(`unexpected error (${kind}, ${place}): ${error}\n`)

/** From now on `teller` is told of panics; before it was stderr. One for the process. */
export function tellPanicsTo(teller: (panic: Panic) => void): void {
  tell = teller
}

/** Panics of each kind so far. */
export function panicCounts(): ReadonlyMap<CallbackKind, number> {
  return counts
}

/** Takes in an exception that nobody expected. Never throws. */
export function panicked(kind: CallbackKind, place: string, error: unknown): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1)
  try {
    const unsaid = unsaidOf(`${kind} ${place} ${messageOf(error).slice(0, 200)}`)
    if (unsaid !== undefined)
      tell({ kind, place, error: (error instanceof Error ? (error.stack ?? error.message) : String(error)).slice(0, LONGEST), unsaid })
  } catch {
    // who is told, or what was thrown, is broken too: it is counted
  }
}

/** How many of the same were not told; undefined when this one is not to be told either. */
function unsaidOf(key: string): number | undefined {
  const now = performance.now()
  const last = said.get(key)
  if (last !== undefined && now - last.at < REPEAT_MS) {
    last.unsaid++
    return undefined
  }
  if (said.size >= DISTINCT) said.clear()
  said.set(key, { at: now, unsaid: 0 })
  return last?.unsaid ?? 0
}
