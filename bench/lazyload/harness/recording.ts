/** Access log messages as Envoy sends them: a recorded stream, each entry given another caller and another host. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/** Messages of one stream as gRPC frames them: a byte, the length in four, the message. */
const RECORDING = join(import.meta.dirname, 'envoy-access-log.grpc')

export interface Call {
  /** Of the pod that calls. */
  readonly address: string
  readonly host: string
}

type Change = (bytes: Uint8Array) => Uint8Array

// field numbers: lazyload/accesslog/decode.ts
const LOGS = 2
const ENTRY = 1
const COMMON = 1
const REQUEST = 3
const REMOTE = 2
const UPSTREAM_CLUSTER = 15
const DIRECT_REMOTE = 20
const AUTHORITY = 3
const SOCKET_ADDRESS = 1
const ADDRESS = 2
const PORT = 9080

/** One message for each `perMessage` calls; the recorded entries are taken in turn. */
export function recordedMessages(calls: readonly Call[], perMessage: number): readonly Buffer[] {
  const entries = recordedEntries()
  const messages: Buffer[] = []
  for (let from = 0; from < calls.length; from += perMessage) {
    const logs = new BinaryWriter()
    calls.slice(from, from + perMessage).forEach((call, index) => {
      logs.tag(ENTRY, WireType.LengthDelimited).bytes(ofCall(entries[(from + index) % entries.length]!, call))
    })
    messages.push(Buffer.from(new BinaryWriter().tag(LOGS, WireType.LengthDelimited).bytes(logs.finish()).finish()))
  }
  return messages
}

/** Bytes of a recorded entry, on average. */
export function recordedSize(): number {
  const entries = recordedEntries()
  return entries.reduce((sum, { length }) => sum + length, 0) / entries.length
}

/** Entries in the fullest recorded message: what Envoy's buffer takes. */
export function recordedBatch(): number {
  return Math.max(...recordedLogs().map(({ length }) => length))
}

/** Of requests that were forwarded within the mesh; the others have no host to replace. */
function recordedEntries(): readonly Uint8Array[] {
  const entries = recordedLogs().flat().filter(isForwarded)
  if (entries.length === 0) throw new Error(`${RECORDING} has no entries`)
  return entries
}

/** The entries of each message. */
function recordedLogs(): readonly (readonly Uint8Array[])[] {
  return framesOf(readFileSync(RECORDING)).map((message) => membersOf(message, LOGS).flatMap((logs) => membersOf(logs, ENTRY)))
}

function isForwarded(entry: Uint8Array): boolean {
  return membersOf(entry, COMMON).some((common) => membersOf(common, UPSTREAM_CLUSTER).length > 0)
}

function framesOf(file: Buffer): readonly Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at < file.length;) {
    const end = at + 5 + file.readUInt32BE(at + 1)
    frames.push(file.subarray(at + 5, end))
    at = end
  }
  return frames
}

function ofCall(entry: Uint8Array, { address, host }: Call): Uint8Array {
  const ip: Change = (bytes) => changed(bytes, { [SOCKET_ADDRESS]: (socket) => changed(socket, { [ADDRESS]: () => Buffer.from(address) }) })
  return changed(entry, {
    [COMMON]: (common) =>
      changed(common, {
        [REMOTE]: ip,
        [DIRECT_REMOTE]: ip,
        [UPSTREAM_CLUSTER]: () => Buffer.from(`outbound|${PORT}||${host}`),
      }),
    [REQUEST]: (request) => changed(request, { [AUTHORITY]: () => Buffer.from(`${host.split('.', 2).join('.')}:${PORT}`) }),
  })
}

/** The same message with other bytes in these fields; the others as they are. */
function changed(message: Uint8Array, changes: Readonly<Record<number, Change>>): Uint8Array {
  const reader = new BinaryReader(message)
  const writer = new BinaryWriter()
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    const change = changes[field]
    writer.tag(field, type)
    if (change !== undefined && type === WireType.LengthDelimited) writer.bytes(change(reader.bytes()))
    else writer.raw(reader.skip(type, field))
  }
  return writer.finish()
}

/** The contents of each occurrence of a field that is a message. */
function membersOf(message: Uint8Array, wanted: number): readonly Uint8Array[] {
  const reader = new BinaryReader(message)
  const found: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === wanted && type === WireType.LengthDelimited) found.push(reader.bytes())
    else reader.skip(type, field)
  }
  return found
}
