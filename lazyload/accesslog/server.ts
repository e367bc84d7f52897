/** The gRPC server that Envoy streams its access log to: `envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs`, plaintext. */
import { Server, ServerCredentials, type ServerReadableStream, type sendUnaryData, status } from '@grpc/grpc-js'
import type { Address } from '../../runtime/health-server.ts'
import { sleep } from '../../runtime/sleep.ts'
import { addressOfPeer, type Grant } from './peers.ts'

export interface AccessLogServerOptions {
  readonly address: Address
  readonly grantOf: (address: string) => Grant | undefined
  /** Takes in one message; must not throw and must not wait. */
  readonly receive: (message: Uint8Array, grant: Grant) => void
  /** A stream was refused. */
  readonly onRefused: (address: string) => void
  /** How long a stream may wait until its sender is known as a global-sidecar, milliseconds. */
  readonly patienceMs?: number
}

export interface AccessLogServer {
  readonly port: number
  /** Open streams that are read. */
  readonly streams: () => number
  close(): void
}

const METHOD = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs'
const PATIENCE_MS = 5000
const LOOK_MS = 100
/** Senders that nobody knows yet; more are refused at once. */
const MAX_WAITING = 200

/** As sent: what a message contains is the receiver's to judge, a broken one must not end the stream. */
const raw = (bytes: Buffer): Buffer => bytes
const SERVICE = {
  streamAccessLogs: {
    path: METHOD,
    requestStream: true,
    responseStream: false,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  },
} as const

const OPTIONS = {
  // Envoy flushes at 16 KB, after the node description of its first message
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  // a peer that vanished without a word
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  // one connection of an Envoy has one stream per worker thread
  'grpc.max_concurrent_streams': 256,
} as const

/** Resolves when it listens. Throws an Error that says why it cannot. */
export async function startAccessLogServer(options: AccessLogServerOptions): Promise<AccessLogServer> {
  const { address, grantOf, receive, onRefused, patienceMs = PATIENCE_MS } = options
  const server = new Server(OPTIONS)
  const stop = new AbortController()
  let streams = 0
  let waiting = 0

  /** An Envoy may be faster than the EndpointSlice that says who it is. Meanwhile the stream is not read, so that its sender holds back. */
  async function grantFor(call: ServerReadableStream<Buffer, Buffer>, sender: string): Promise<Grant | undefined> {
    const known = grantOf(sender)
    if (known !== undefined || waiting >= MAX_WAITING) return known
    waiting++
    try {
      const deadline = performance.now() + patienceMs
      while (performance.now() < deadline && !stop.signal.aborted && !call.cancelled) {
        await sleep(LOOK_MS, stop.signal)
        const grant = grantOf(sender)
        if (grant !== undefined) return grant
      }
      return undefined
    } finally {
      waiting--
    }
  }

  async function serve(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>): Promise<void> {
    const sender = addressOfPeer(call.getPeer())
    const grant = await grantFor(call, sender)
    if (grant === undefined) {
      if (!call.cancelled && !stop.signal.aborted) onRefused(sender)
      done({ code: status.PERMISSION_DENIED, details: `${sender} is not the address of a global-sidecar` })
      return
    }
    streams++
    let open = true
    const ended = (): void => {
      if (open) streams--
      open = false
    }
    call.on('data', (message: Buffer) => receive(message, grant))
    call.once('end', () => {
      ended()
      done(null, Buffer.alloc(0))
    })
    call.once('cancelled', ended)
    call.once('error', ended)
    call.once('close', ended)
  }

  server.addService(SERVICE, {
    streamAccessLogs: (call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      // an error before there is a grant: the peer has gone
      call.on('error', () => {})
      void serve(call, done)
    },
  })
  const port = await listen(server, address)
  return {
    port,
    streams: () => streams,
    close() {
      stop.abort()
      server.forceShutdown()
    },
  }
}

/** On all addresses, IPv4 and IPv6, unless one is given; a machine without IPv6 has only the former. */
async function listen(server: Server, { host, port }: Address): Promise<number> {
  const bind = (at: string): Promise<number> =>
    new Promise((resolve, reject) =>
      server.bindAsync(`${at}:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    )
  if (host !== undefined) return await bind(host.includes(':') ? `[${host}]` : host)
  try {
    return await bind('[::]')
  } catch (error) {
    if (!(error instanceof Error) || !/EAFNOSUPPORT|EADDRNOTAVAIL/.test(error.message)) throw error
    return await bind('0.0.0.0')
  }
}
