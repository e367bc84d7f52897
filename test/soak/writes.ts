/** Which writes of the operator changed nothing: their answer has a resource version that was there before they were sent. */
import { type FaultProxy, isWrite } from '../helpers/fault-proxy.ts'

export interface Writes {
  /** `PATCH /apis/…` of each write that changed nothing, unless an answer about its object was lost before. */
  readonly needless: () => readonly string[]
  readonly summary: () => Readonly<Record<string, number>>
}

/** Watches all writes that go through the proxy. Writes without an object in their answer (deletions, questions about rights) are counted only. */
export function watchWrites(proxy: FaultProxy): Writes {
  const versions = new Map<string, string>()
  const needless: string[] = []
  let count = 0
  let repeated = 0
  let refused = 0
  proxy.intercept({
    after: ({ method, path, query }, status, body) => {
      count++
      if (status >= 400) refused++
      if (method !== 'PATCH' || status >= 300 || query.get('dryRun') !== null) return
      const { metadata } = JSON.parse(body) as { metadata?: { resourceVersion?: string; deletionTimestamp?: string } }
      const version = metadata?.resourceVersion
      const key = path.replace(/\/status$/, '')
      // whoever takes the last finalizer off gets the object as it was before
      if (version === undefined || metadata?.deletionTimestamp !== undefined) return
      if (versions.get(key) === version) {
        // after a reset the same request is sent again, and after a fault everything is compared anew
        const lost = proxy.exchanges.some((exchange) => isWrite(exchange) && exchange.path === path && exchange.status === undefined)
        if (lost) repeated++
        else needless.push(`${method} ${path}`)
      }
      versions.set(key, version)
    },
  })
  return {
    needless: () => needless,
    summary: () => ({ all: count, refused, 'repeated after a lost answer': repeated, needless: needless.length }),
  }
}
