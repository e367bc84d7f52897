/** Many hosts called one after the other through a global-sidecar, and a look at the fence meanwhile. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../eventually.ts'
import { fenceOf } from '../lazyload.ts'
import type { Bookinfo } from './bookinfo.ts'

const FENCE = 'productpage'
const LOOK_MS = 100

/** `h00`, `h01` … */
export function serviceNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `h${String(index).padStart(2, '0')}`)
}

/** The hosts in the status of productpage's fence, sorted. */
export async function learnedHosts({ client, namespace }: Pick<Bookinfo, 'client' | 'namespace'>): Promise<readonly string[]> {
  const { status } = await fenceOf(client, namespace, FENCE)
  return Object.keys(status?.metricStatus ?? {})
    .map((key) => key.split('"')[1]!)
    .sort()
}

/** Calls each service once. Every call must succeed, whatever happens to lazyload. */
export async function callAll(bookinfo: Pick<Bookinfo, 'call'>, services: readonly string[]): Promise<void> {
  for (const service of services) assert.equal((await bookinfo.call(`${service}:9080`)).status, 200)
}

/** What is not learned yet is called again, as its callers would do, until everything is learned. Returns how many had to be called again. */
export async function untilLearned(bookinfo: Bookinfo, services: readonly string[], timeout = 30_000): Promise<number> {
  const again = new Set<string>()
  await eventually(
    async () => {
      const learned = new Set(await learnedHosts(bookinfo))
      const missing = services.filter((service) => !learned.has(bookinfo.host(service)))
      for (const service of missing) again.add(service)
      await callAll(bookinfo, missing)
      assert.deepEqual(missing, [])
    },
    { timeout, interval: 500 },
  )
  return again.size
}

/** Looks all the time that what is once in the status of the fence stays there; `end` tells what was lost. */
export function watchLearned(bookinfo: Bookinfo): { readonly end: () => Promise<readonly string[]> } {
  const stop = new AbortController()
  const lost = new Set<string>()
  const watching = (async () => {
    let seen: readonly string[] = []
    while (!stop.signal.aborted) {
      // the API server may be away
      const now = await learnedHosts(bookinfo).catch(() => undefined)
      for (const host of now === undefined ? [] : seen) if (!now!.includes(host)) lost.add(host)
      seen = now ?? seen
      await sleep(LOOK_MS)
    }
  })()
  return {
    end: async () => {
      stop.abort()
      await watching
      return [...lost]
    },
  }
}
