/** Calls without a pause, and which of them went wrong: what applications see while lazyload comes and goes. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stage } from './stage.ts'

const PAUSE_MS = 20

export interface Traffic {
  /** From the pod with the label `app`, to this URL, from now on. */
  readonly add: (app: string, url: string) => void
  /** Ends it; how many calls were made, and each that was not answered with 200, with its time. */
  readonly end: () => Promise<{ readonly calls: number; readonly failed: readonly string[] }>
}

export function startTraffic({ call }: Pick<Stage, 'call'>): Traffic {
  const stop = new AbortController()
  const failed: string[] = []
  const calling: Promise<void>[] = []
  let calls = 0

  async function repeat(app: string, url: string): Promise<void> {
    for (; !stop.signal.aborted; calls++) {
      const outcome = await call(app, url).then(
        ({ status, text }) => (status === 200 ? undefined : `${status} ${text}`),
        (error: unknown) => String(error),
      )
      if (outcome !== undefined) failed.push(`${new Date().toISOString()} ${app} → ${url}: ${outcome}`)
      await sleep(PAUSE_MS)
    }
  }

  return {
    add: (app, url) => void calling.push(repeat(app, url)),
    end: async () => {
      stop.abort()
      await Promise.all(calling)
      return { calls, failed }
    },
  }
}
