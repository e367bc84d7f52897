/**
 * The only ways to hand a function to Node: timers, listeners, promises that nobody waits for. What such a function throws ends in
 * panics.ts instead of ending the process. Lint refuses setTimeout and the like elsewhere, and a test refuses `.on(` and the like.
 */
import type { EventEmitter } from 'node:events'
import { type CallbackKind, panicked } from './panics.ts'

/** `callback`, whose exceptions and rejections are counted and told. `place` says what it is for, also with its arguments. */
export function guarded<Args extends readonly unknown[]>(
  kind: CallbackKind,
  place: string | ((...args: Args) => string),
  callback: (...args: Args) => unknown,
): (...args: Args) => void {
  return (...args) => {
    const failed = (error: unknown): void => panicked(kind, typeof place === 'string' ? place : placeOf(place, args), error)
    try {
      const result = callback(...args)
      if (result instanceof Promise) result.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

/** What `work` returns, or `otherwise` if it throws. */
export function attempt<Result>(kind: CallbackKind, place: string, work: () => Result, otherwise: Result): Result {
  try {
    return work()
  } catch (error) {
    panicked(kind, place, error)
    return otherwise
  }
}

/** Calls `callback` after `ms` milliseconds. */
export function after(ms: number, place: string, callback: () => unknown): NodeJS.Timeout {
  return setTimeout(guarded('timer', place, callback), ms)
}

/** Calls `callback` every `ms` milliseconds until clearInterval. */
export function every(ms: number, place: string, callback: () => unknown): NodeJS.Timeout {
  return setInterval(guarded('timer', place, callback), ms)
}

/** Calls `callback` when what happens now is over. */
export function soon(place: string, callback: () => unknown): NodeJS.Immediate {
  return setImmediate(guarded('timer', place, callback))
}

/** Lets timers, sockets and whatever else waits take their turn. */
export async function yieldToOthers(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve)
  })
}

type Emitter = Pick<EventEmitter, 'on' | 'once'>

/** Calls `listener` at each `event` of `emitter`. */
export function listen(
  emitter: Emitter,
  event: string,
  place: string,
  listener: (...args: never[]) => unknown,
  kind: CallbackKind = 'event',
): void {
  emitter.on(event, guarded(kind, place, listener as (...args: readonly unknown[]) => unknown))
}

/** Calls `listener` at the next `event` of `emitter`. */
export function listenOnce(
  emitter: Emitter,
  event: string,
  place: string,
  listener: (...args: never[]) => unknown,
  kind: CallbackKind = 'event',
): void {
  emitter.once(event, guarded(kind, place, listener as (...args: readonly unknown[]) => unknown))
}

/** Calls `listener` when `signal` aborts, unless `until` has aborted before; at once where it is aborted already. */
export function onAbort(signal: AbortSignal, place: string, listener: () => unknown, until?: AbortSignal): void {
  const call = guarded('event', place, listener)
  if (signal.aborted) call()
  else signal.addEventListener('abort', call, { once: true, ...(until === undefined ? {} : { signal: until }) })
}

/** Resolves when `signal` aborts; never when `until` aborts before. */
export async function aborted(signal: AbortSignal, until?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    onAbort(signal, 'wait for an abort', resolve, until)
  })
}

/** Lets `work` go on without anybody waiting for it. */
export function inBackground(place: string, work: Promise<unknown>): void {
  work.catch((error: unknown) => panicked('background', place, error))
}

function placeOf<Args extends readonly unknown[]>(place: (...args: Args) => string, args: Args): string {
  try {
    return place(...args)
  } catch {
    return 'unknown'
  }
}
