/** One run of `npm run bench`: its size, its progress, and what several benchmarks share. */
import type { Result } from './report.ts'

export interface Run extends AsyncDisposable {
  /** Of a full size (50, 300, 1,000) what this run takes; at least 2. */
  readonly size: (full: number) => number
  /** Seconds to watch an idle operator. */
  readonly idleSeconds: number
  /** Whether to measure the Helm operator too. */
  readonly withPeer: boolean
  /** Shows what is going on. */
  readonly show: (text: string) => void
  /** Makes something once in a run, also when several benchmarks want it. */
  readonly once: <Made>(name: string, make: () => Promise<Made>) => Promise<Made>
  /** Disposed at the end of the run. */
  readonly keep: <Kept extends AsyncDisposable>(kept: Kept) => Kept
}

export type Benchmark = (run: Run) => Promise<Result>

export function createRun(options: Pick<Run, 'idleSeconds' | 'withPeer' | 'show'>, scale: number): Run {
  const made = new Map<string, Promise<unknown>>()
  const kept = new AsyncDisposableStack()
  return {
    ...options,
    size: (full) => Math.max(2, Math.round(full * scale)),
    once: async <Made>(name: string, make: () => Promise<Made>) => {
      const known = made.get(name) ?? make()
      made.set(name, known)
      return (await known) as Made
    },
    keep: (disposable) => kept.use(disposable),
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  }
}
