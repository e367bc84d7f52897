/** Which writes of the operator changed nothing: their answer has the resource version that the one before had. */
import type { Exchange, FaultProxy } from '../helpers/fault-proxy.ts'

export interface Writes {
  /** Of each write that changed nothing, unless the answer to the one before may have been lost. */
  readonly needless: () => readonly string[]
  readonly summary: () => Readonly<Record<string, number>>
}

/**
 * On a busy machine an answer that was written to the connection may not have been read yet, and a request whose connection is reset may
 * be read, and passed on, only after that. Milliseconds.
 */
const ON_ITS_WAY_MS = 1000

/** Watches all writes that go through the proxy. Writes without an object in their answer (deletions, questions about rights) are counted only. */
export function watchWrites(proxy: FaultProxy): Writes {
  /** By object the version that its last write gave. */
  const last = new Map<string, { readonly version: string; readonly exchange: Exchange }>()
  const needless: string[] = []
  const counts = { all: 0, refused: 0, repeated: 0 }
  const mayBeLost = ({ at, endedAt = Infinity }: Exchange): boolean =>
    proxy.disturbedAt.some((time) => time >= at - ON_ITS_WAY_MS && time <= endedAt + ON_ITS_WAY_MS)

  proxy.intercept({
    after: (exchange, status, body) => {
      const { method, path, query, at } = exchange
      counts.all++
      if (status >= 400) counts.refused++
      if (method !== 'PATCH' || status >= 300 || query.get('dryRun') !== null) return
      const { metadata } = JSON.parse(body) as { metadata?: { resourceVersion?: string; deletionTimestamp?: string } }
      const version = metadata?.resourceVersion
      const key = path.replace(/\/status$/, '')
      // whoever takes the last finalizer off gets the object as it was before
      if (version === undefined || metadata?.deletionTimestamp !== undefined) return
      const before = last.get(key)
      if (before?.version === version) {
        if (mayBeLost(before.exchange)) counts.repeated++
        else needless.push(`${method} ${path}, ${Math.round(at - before.exchange.at)} ms after the write that gave version ${version}`)
      }
      last.set(key, { version, exchange })
    },
  })
  return {
    needless: () => needless,
    summary: () => ({
      all: counts.all,
      refused: counts.refused,
      'repeated after a lost answer': counts.repeated,
      needless: needless.length,
    }),
  }
}
