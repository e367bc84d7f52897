/** A limit on work in flight. */

/** Runs at most `size` works at once, the rest in order of arrival. */
export function createConcurrencyLimit(size: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let free = size
  const waiting: (() => void)[] = []
  return async (work) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
