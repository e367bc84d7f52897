/**
 * Long work in turns: a loop over thousands of objects that waits for nothing would hold up timers and sockets all the while, the lease
 * among them. `await` alone does not help: what is already there comes without a turn of the event loop.
 */
import { yieldToOthers } from './callbacks.ts'

export interface Turns {
  /** True when this work has taken its time; then `await next()`. */
  readonly isOver: () => boolean
  /** Resolves when others have had their turn. */
  readonly next: () => Promise<void>
}

/** How long one turn is, milliseconds: with one large object at its end it stays below 50. */
export const TURN_MS = 10

/** Whoever shares the same turns has them together. */
export function createTurns(ms = TURN_MS, now: () => number = () => performance.now()): Turns {
  let since = now()
  let yielding: Promise<void> | undefined
  return {
    isOver: () => now() - since >= ms,
    next: async () => {
      yielding ??= yieldToOthers().then(() => {
        since = now()
        yielding = undefined
      })
      await yielding
    },
  }
}

/** The result of `steps`, without a pause. */
export function inOneGo<Result>(steps: Generator<void, Result>): Result {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** The result of `steps`, others having their turn between them. */
export async function inTurns<Result>(steps: Generator<void, Result>): Promise<Result> {
  const turns = createTurns()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    if (turns.isOver()) await turns.next()
  }
}
