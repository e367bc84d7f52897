/** Random choices of tests that can be made again: `SLIMEBOOT_SEED=… npm test -- FILE`. */

/** True for `npm run test:long`: all of what `npm test` takes a part of. */
export const LONG = process.env['SLIMEBOOT_LONG'] === '1'

export interface Chooser {
  /** Print it, so that a failure can be repeated. */
  readonly seed: number
  /** From 0 up to and without 1. */
  readonly random: () => number
  /** `count` of `items`, each at most once, in their order; all of them where there are not more. */
  readonly choose: <Item>(items: readonly Item[], count: number) => readonly Item[]
}

/** The seed comes from SLIMEBOOT_SEED, else from the clock. */
export function createChooser(seed = Number(process.env['SLIMEBOOT_SEED'] ?? Date.now() % 1_000_000)): Chooser {
  let state = seed >>> 0
  // mulberry32
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    seed,
    random,
    choose: (items, count) => {
      const order = new Map(items.map((item) => [item, random()]))
      const chosen = new Set(items.toSorted((a, b) => order.get(a)! - order.get(b)!).slice(0, count))
      return items.filter((item) => chosen.has(item))
    },
  }
}
