/** Sends access logs as Envoys do: a gRPC stream each, as fast as the receiver takes them. */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'

const METHOD = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs'
const raw = (bytes: Buffer): Buffer => bytes

export interface LogSender {
  /** Resolves when the connection has taken it. */
  readonly send: (message: Buffer) => Promise<void>
  /** Ends the stream; resolves when the receiver has read all of it. */
  readonly end: () => Promise<void>
}

export function openSender(port: number): LogSender {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
  const answer = Promise.withResolvers<void>()
  const call = client.makeClientStreamRequest(METHOD, raw, raw, (error: ServiceError | null) =>
    error === null ? answer.resolve() : answer.reject(error),
  )
  call.on('error', answer.reject)
  // where nobody waits for it, something else has failed before
  answer.promise.catch(() => {})
  return {
    async send(message) {
      if (!call.write(message)) await Promise.race([new Promise((resolve) => call.once('drain', resolve)), answer.promise])
    },
    async end() {
      call.end()
      await answer.promise
      client.close()
    },
  }
}

/** Sends all of these so many times over `streams` streams; resolves when the receiver has read them. */
export async function replay(port: number, messages: readonly Buffer[], times: number, streams: number): Promise<void> {
  await Promise.all(
    Array.from({ length: streams }, async (_, stream) => {
      const sender = openSender(port)
      for (let round = 0; round < times; round++)
        for (let index = stream; index < messages.length; index += streams) await sender.send(messages[index]!)
      await sender.end()
    }),
  )
}
