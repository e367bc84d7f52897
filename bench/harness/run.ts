/** One run of `npm run bench`: its size, its progress, and what several benchmarks share. */
import type { Result } from './report.ts'

export interface Run extends AsyncDisposable {
  /** Of a full size (50, 300, 1,000) what this run takes; at least 2. */
  readonly size: (full: number) => number
  /** Seconds to watch an idle operator. */
  readonly idleSeconds: number
  /** Shows what is going on. */
  readonly show: (text: string) => void
  /** Makes something once in a run, also when several benchmarks want it. */
  readonly once: <Made>(name: string, make: () => Promise<Made>) => Promise<Made>
  /** Disposed at the end of the run. */
  readonly keep: <Kept extends AsyncDisposable>(kept: Kept) => Kept
}

export type Benchmark = (run: Run) => Promise<Result>

export function createRun(scale: number, idleSeconds: number, show: (text: string) => void): Run {
  const made = new Map<string, Promise<unknown>>()
  const kept = new AsyncDisposableStack()
  return {
    size: (full) => Math.max(2, Math.round(full * scale)),
    idleSeconds,
    show,
    once: async <Made>(name: string, make: () => Promise<Made>) => {
      const known = made.get(name) ?? make()
      made.set(name, known)
      return (await known) as Made
    },
    keep: (disposable) => kept.use(disposable),
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  }
}
