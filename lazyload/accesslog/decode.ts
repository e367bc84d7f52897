/**
 * Envoy's access log messages, just the fields that are read; everything else is skipped by its length, above all the 60 KB node
 * description in the first message of a stream. Field numbers: envoy/service/accesslog/v3/als.proto, envoy/data/accesslog/v3/
 * accesslog.proto, envoy/config/core/v3/address.proto in https://github.com/envoyproxy/envoy/tree/main/api (never reused there).
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/** One logged request; fields that it does not have are empty. */
export interface LogEntry {
  /** Address of the peer that the connection came from, if it has an IP address. */
  readonly directRemote: string
  /** May be taken from a header of the request. */
  readonly remote: string
  readonly upstreamCluster: string
  /** Host header, with its port if it has one. */
  readonly authority: string
}

export interface DecodedBatch {
  readonly entries: readonly LogEntry[]
  /** Entries, or the rest of the message, that could not be read. */
  readonly broken: number
}

const MESSAGE_HTTP_LOGS = 2
const HTTP_LOGS_ENTRY = 1
const ENTRY_COMMON = 1
const ENTRY_REQUEST = 3
const COMMON_REMOTE = 2
const COMMON_UPSTREAM_CLUSTER = 15
const COMMON_DIRECT_REMOTE = 20
const REQUEST_AUTHORITY = 3
const ADDRESS_SOCKET = 1
const SOCKET_ADDRESS = 2

/** Reads a StreamAccessLogsMessage. Never throws: what is broken is counted, the other entries are kept. */
export function decodeBatch(message: Uint8Array): DecodedBatch {
  const entries: LogEntry[] = []
  let broken = 0
  const guarded = (work: () => void): void => {
    try {
      work()
    } catch {
      broken++
    }
  }
  guarded(() =>
    eachMessage(message, MESSAGE_HTTP_LOGS, (logs) =>
      eachMessage(logs, HTTP_LOGS_ENTRY, (entry) => guarded(() => entries.push(decodeEntry(entry)))),
    ),
  )
  return { entries, broken }
}

function decodeEntry(bytes: Uint8Array): LogEntry {
  const entry = { directRemote: '', remote: '', upstreamCluster: '', authority: '' }
  eachField(bytes, (field, reader) => {
    if (field === ENTRY_COMMON) {
      eachField(reader.bytes(), (number, common) => {
        if (number === COMMON_REMOTE) entry.remote = addressOf(common.bytes())
        else if (number === COMMON_DIRECT_REMOTE) entry.directRemote = addressOf(common.bytes())
        else if (number === COMMON_UPSTREAM_CLUSTER) entry.upstreamCluster = common.string()
        else return false
        return true
      })
      return true
    }
    if (field !== ENTRY_REQUEST) return false
    eachField(reader.bytes(), (number, request) => {
      if (number !== REQUEST_AUTHORITY) return false
      entry.authority = request.string()
      return true
    })
    return true
  })
  return entry
}

/** The IP address of an Address; empty for a pipe or an internal address. */
function addressOf(bytes: Uint8Array): string {
  let address = ''
  eachMessage(bytes, ADDRESS_SOCKET, (socket) =>
    eachField(socket, (number, reader) => {
      if (number !== SOCKET_ADDRESS) return false
      address = reader.string()
      return true
    }),
  )
  return address
}

/** Visits each occurrence of a field that is a message. */
function eachMessage(bytes: Uint8Array, wanted: number, visit: (message: Uint8Array) => void): void {
  eachField(bytes, (field, reader) => {
    if (field !== wanted) return false
    visit(reader.bytes())
    return true
  })
}

/** Visits the length-delimited fields, which all that are wanted are; `read` returns false for one to skip. Throws on broken bytes. */
function eachField(bytes: Uint8Array, read: (field: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (wireType !== WireType.LengthDelimited || !read(field, reader)) reader.skip(wireType, field)
  }
}
