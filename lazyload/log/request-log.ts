/** Requests to the API server in the log, as klog's verbosity says it for client-go: from 6 on each request, from 8 on also what was sent. */
import type { Logger } from 'winston'
import { guarded } from '../../runtime/callbacks.ts'
import { messageOf } from '../../runtime/errors.ts'
import type { Transport } from '../../runtime/transport.ts'

export interface RequestLog {
  /** klog's; may be set at any time. */
  verbosity: number
  /** The same transport, whose requests are logged. */
  readonly of: (transport: Transport) => Transport
}

const REQUESTS = 6
const BODIES = 8
const BODY_LIMIT = 2000

export function createRequestLog(log: Logger, verbosity: number): RequestLog {
  const self: RequestLog = {
    verbosity,
    of: (transport) => ({
      ...transport,
      request: async (options) => await logged(options, async () => await transport.request(options)),
      stream: async (options) => await logged(options, async () => await transport.stream(options)),
    }),
  }

  async function logged<Result>(request: Parameters<Transport['request']>[0], send: () => Promise<Result>): Promise<Result> {
    if (self.verbosity < REQUESTS) return await send()
    const { method, path, query, body } = request
    const began = performance.now()
    const tell = guarded('log', 'request', (outcome: object) =>
      log.info('request', {
        method,
        path,
        ...(query === undefined ? {} : { query }),
        ...(self.verbosity < BODIES || body === undefined ? {} : { body: JSON.stringify(body).slice(0, BODY_LIMIT) }),
        ...outcome,
        ms: Math.round(performance.now() - began),
      }),
    )
    try {
      const result = await send()
      tell({})
      return result
    } catch (error) {
      tell({ error: messageOf(error) })
      throw error
    }
  }
  return self
}
