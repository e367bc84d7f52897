/** What a global-sidecar's Envoy sends: access log messages in Envoy's wire format, over gRPC. */
import { networkInterfaces } from 'node:os'
import { Client, type ClientWritableStream, credentials, type ServiceError } from '@grpc/grpc-js'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { JsonObject } from '../../runtime/object.ts'

export interface LoggedRequest {
  readonly directRemote?: string
  readonly remote?: string
  readonly upstreamCluster?: string
  readonly authority?: string
}

const METHOD = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs'

/** A StreamAccessLogsMessage, with the fields around the wanted ones that Envoy sends too. */
export function messageOf(requests: readonly LoggedRequest[], nodeBytes = 0): Buffer {
  return encode((writer) => {
    if (nodeBytes > 0)
      member(
        writer,
        1,
        encode((identifier) => member(identifier, 1, Buffer.alloc(nodeBytes, 'n'))),
      )
    member(
      writer,
      2,
      encode((logs) => requests.forEach((request) => member(logs, 1, entryOf(request)))),
    )
  })
}

export function entryOf({ directRemote, remote, upstreamCluster, authority }: LoggedRequest): Buffer {
  return encode((entry) => {
    member(
      entry,
      1,
      encode((common) => {
        common.tag(1, WireType.Bit64).double(0.5)
        if (remote !== undefined) member(common, 2, addressOf(remote))
        member(
          common,
          5,
          encode((time) => time.tag(1, WireType.Varint).int64(1_700_000_000)),
        )
        if (upstreamCluster !== undefined) common.tag(15, WireType.LengthDelimited).string(upstreamCluster)
        if (directRemote !== undefined) member(common, 20, addressOf(directRemote))
      }),
    )
    entry.tag(2, WireType.Varint).int32(2)
    member(
      entry,
      3,
      encode((request) => {
        request.tag(1, WireType.Varint).int32(1)
        if (authority !== undefined) request.tag(3, WireType.LengthDelimited).string(authority)
        request.tag(5, WireType.LengthDelimited).string('/path')
      }),
    )
  })
}

/** `pipe:…` is an address that is no socket. */
function addressOf(text: string): Buffer {
  if (text.startsWith('pipe:'))
    return encode((address) =>
      member(
        address,
        2,
        encode((pipe) => pipe.tag(1, WireType.LengthDelimited).string(text.slice(5))),
      ),
    )
  return encode((address) =>
    member(
      address,
      1,
      encode((socket) => socket.tag(2, WireType.LengthDelimited).string(text).tag(3, WireType.Varint).uint32(40_000)),
    ),
  )
}

function encode(write: (writer: BinaryWriter) => void): Buffer {
  const writer = new BinaryWriter()
  write(writer)
  return Buffer.from(writer.finish())
}

function member(writer: BinaryWriter, field: number, bytes: Uint8Array): void {
  writer.tag(field, WireType.LengthDelimited).bytes(bytes)
}

export interface LogStream extends Disposable {
  readonly send: (message: Buffer) => void
  /** Ends the stream; resolves with the server's answer, rejects with its gRPC error. */
  readonly end: () => Promise<void>
  /** Resolves when the server ends it: with its error, or undefined. */
  readonly ended: Promise<ServiceError | undefined>
}

/** Where the tests' streams come from. */
export const LOOPBACK = '127.0.0.1'
/** A module that takes access logs from there, though no EndpointSlice can name it. */
export const LOOPBACK_MODULE: JsonObject = {
  name: 'lazyload',
  global: { misc: { metric_source_type: 'accesslog' } },
  general: { checkLogSource: false },
}

/** An address of this machine that may stand in an EndpointSlice (loopback may not); connections to it come from it. */
export const OWN_ADDRESS: string =
  Object.values(networkInterfaces())
    .flat()
    .find((each) => each !== undefined && !each.internal && each.family === 'IPv4')?.address ?? ''

/** Opens a stream as Envoy does; it comes from `host` itself. */
export function openLogStream(port: number, host = OWN_ADDRESS): LogStream {
  return openStream(connectionTo(port, host))
}

/** As many Envoys do: `count` streams on few connections. */
export function openLogStreams(port: number, host: string, count: number): readonly LogStream[] {
  const clients = Array.from({ length: Math.ceil(count / STREAMS_PER_CONNECTION) }, () => connectionTo(port, host))
  return Array.from({ length: count }, (_, index) => openStream(clients[index % clients.length]!))
}

const STREAMS_PER_CONNECTION = 200

function connectionTo(port: number, host: string): Client {
  return new Client(`${host}:${port}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
}

function openStream(client: Client): LogStream {
  const outcome = Promise.withResolvers<ServiceError | undefined>()
  const raw = (bytes: Buffer): Buffer => bytes
  const call: ClientWritableStream<Buffer> = client.makeClientStreamRequest(METHOD, raw, raw, (error: ServiceError | null) =>
    outcome.resolve(error ?? undefined),
  )
  call.on('error', () => {})
  return {
    send: (message) => void call.write(message),
    async end() {
      call.end()
      const error = await outcome.promise
      client.close()
      if (error !== undefined) throw error
    },
    ended: outcome.promise,
    [Symbol.dispose]() {
      call.cancel()
      client.close()
    },
  }
}
