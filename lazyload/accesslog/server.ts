/** The gRPC server that Envoy streams its access log to: `envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs`, plaintext. */
import { Server, ServerCredentials, type ServerReadableStream, type sendUnaryData, status } from '@grpc/grpc-js'
import { listen, listenOnce } from '../../runtime/callbacks.ts'
import type { Address } from '../../runtime/health-server.ts'
import { panicked } from '../../runtime/panics.ts'
import { sleep } from '../../runtime/sleep.ts'
import { listenForConnections } from './connections.ts'
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
  /** After so long without a word a peer is asked whether it is still there, milliseconds. */
  readonly keepaliveMs?: number
}

export interface AccessLogServer {
  readonly port: number
  /** Open streams that are read. */
  readonly streams: () => number
  close(): void
}

const METHOD = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs'
const PATIENCE_MS = 5000
const KEEPALIVE_MS = 30_000
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
  // one connection of an Envoy has one stream per worker thread
  'grpc.max_concurrent_streams': 256,
  // what waits unread is bounded by flow control, far below this; MiB
  'grpc-node.max_session_memory': 16,
  // an Envoy that logs has a stream
  'grpc.max_connection_idle_ms': 300_000,
} as const

/** Resolves when it listens. Throws an Error that says why it cannot. */
export async function startAccessLogServer(options: AccessLogServerOptions): Promise<AccessLogServer> {
  const { address, grantOf, receive, onRefused, patienceMs = PATIENCE_MS, keepaliveMs = KEEPALIVE_MS } = options
  const server = new Server({ ...OPTIONS, 'grpc.keepalive_time_ms': keepaliveMs, 'grpc.keepalive_timeout_ms': keepaliveMs / 3 })
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
    listen(call, 'data', `access log of ${sender}`, (message: Buffer) => receive(message, grant), 'stream')
    listenOnce(call, 'end', 'access log', () => {
      ended()
      done(null, Buffer.alloc(0))
    })
    for (const event of ['cancelled', 'error', 'close']) listenOnce(call, event, 'access log', ended)
  }

  server.addService(SERVICE, {
    streamAccessLogs: (call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      // an error before there is a grant: the peer has gone
      listen(call, 'error', 'access log', () => {})
      serve(call, done).catch((error: unknown) => {
        panicked('stream', `access log of ${call.getPeer()}`, error)
        done({ code: status.INTERNAL, details: 'unexpected error' })
      })
    },
  })
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const connections = await listenForConnections({
    address,
    isKnown: (sender) => grantOf(sender) !== undefined,
    accept: (socket) => injector.injectConnection(socket),
    onRefused,
    // its streams are told why before
    patienceMs: 2 * patienceMs,
  })
  return {
    port: connections.port,
    streams: () => streams,
    close() {
      stop.abort()
      connections.close()
      server.forceShutdown()
    },
  }
}
