/** A client that thinks about nothing: it sends what it is given, over as many connections as anybody else has requests in flight. */
import { readFileSync } from 'node:fs'
import { Pool } from 'undici'
import { IN_FLIGHT, type Stage } from './stage.ts'

export interface Send {
  readonly method: 'PATCH' | 'POST'
  readonly path: string
  readonly type: string
  readonly body: string
}

export interface BareClient {
  /** Text of the answer. Throws an Error when it is no success. */
  readonly send: (request: Send) => Promise<string>
  /** Does all of this, each piece of work on a connection of its own; returns the milliseconds that it took. */
  readonly each: (work: readonly (() => Promise<unknown>)[]) => Promise<number>
  readonly close: () => Promise<void>
}

/** Its connections are open already, as an operator's are when it gets something to do. */
export async function createBareClient({ cluster }: Pick<Stage, 'cluster'>, token: string): Promise<BareClient> {
  const pool = new Pool(cluster.server, { connections: IN_FLIGHT, pipelining: 1, connect: { ca: readFileSync(cluster.caFile) } })
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json', 'user-agent': 'bench-floor' }
  const everywhere = async (work: () => Promise<void>): Promise<void> =>
    void (await Promise.all(Array.from({ length: IN_FLIGHT }, async () => await work())))
  await everywhere(async () => await (await pool.request({ method: 'GET', path: '/version', headers })).body.dump())
  return {
    async send({ method, path, type, body }) {
      const response = await pool.request({ method, path, headers: { ...headers, 'content-type': type }, body })
      const text = await response.body.text()
      if (response.statusCode >= 300) throw new Error(`floor: ${method} ${path}: ${response.statusCode} ${text.slice(0, 300)}`)
      return text
    },
    async each(work) {
      let next = 0
      const from = performance.now()
      await everywhere(async () => {
        for (let piece = work[next++]; piece !== undefined; piece = work[next++]) await piece()
      })
      return performance.now() - from
    },
    close: async () => await pool.close(),
  }
}
