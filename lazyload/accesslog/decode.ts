/**
 * Envoy's access log messages, just the fields that are read; everything else is skipped by its length, above all the 60 KB node
 * description in the first message of a stream. Field numbers: envoy/service/accesslog/v3/als.proto, envoy/data/accesslog/v3/
 * accesslog.proto, envoy/config/core/v3/address.proto in https://github.com/envoyproxy/envoy/tree/main/api (never reused there).
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/** One logged request; fields that it does not have are empty. */
export interface LogEntry {
  /** Address of the peer that the connection came from; empty where that is no IP address, undefined where Envoy does not tell. */
  readonly directRemote: string | undefined
  /** May be taken from a header of the request; all that an Envoy before 1.13 tells. */
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

type Draft = { -readonly [Field in keyof LogEntry]: LogEntry[Field] }

/** Reads the value of the field with this tag, which ends at `end` at the latest; false for a field to skip. */
type ReadField<Into> = (reader: BinaryReader, tag: number, end: number, into: Into) => boolean

/** Tag of a field that is a message or text. */
const tagOf = (field: number): number => (field << 3) | WireType.LengthDelimited

const MESSAGE_HTTP_LOGS = tagOf(2)
const HTTP_LOGS_ENTRY = tagOf(1)
const ENTRY_COMMON = tagOf(1)
const ENTRY_REQUEST = tagOf(3)
const COMMON_REMOTE = tagOf(2)
const COMMON_UPSTREAM_CLUSTER = tagOf(15)
const COMMON_DIRECT_REMOTE = tagOf(20)
const REQUEST_AUTHORITY = tagOf(3)
const ADDRESS_SOCKET = tagOf(1)
const SOCKET_ADDRESS = tagOf(2)

/** Reads a StreamAccessLogsMessage. Never throws: what is broken is counted, the other entries are kept. */
export function decodeBatch(message: Uint8Array): DecodedBatch {
  const batch = { entries: [], broken: 0 }
  try {
    readFields(new BinaryReader(message), message.length, batch, readMessage)
  } catch {
    batch.broken++
  }
  return batch
}

// One reader for all that a message nests, and no function made for a field: a busy mesh sends a hundred thousand entries a second.

const readMessage: ReadField<{ entries: LogEntry[]; broken: number }> = (reader, tag, end, batch) => {
  if (tag !== MESSAGE_HTTP_LOGS) return false
  readFields(reader, endOfField(reader, end), batch, readLogs)
  return true
}

const readLogs: ReadField<{ entries: LogEntry[]; broken: number }> = (reader, tag, end, batch) => {
  if (tag !== HTTP_LOGS_ENTRY) return false
  const endOfEntry = endOfField(reader, end)
  const entry: Draft = { directRemote: undefined, remote: '', upstreamCluster: '', authority: '' }
  try {
    readFields(reader, endOfEntry, entry, readEntry)
    batch.entries.push(entry)
  } catch {
    batch.broken++
    reader.pos = endOfEntry
  }
  return true
}

const readEntry: ReadField<Draft> = (reader, tag, end, entry) => {
  if (tag === ENTRY_COMMON) readFields(reader, endOfField(reader, end), entry, readCommon)
  else if (tag === ENTRY_REQUEST) readFields(reader, endOfField(reader, end), entry, readRequest)
  else return false
  return true
}

const readCommon: ReadField<Draft> = (reader, tag, end, entry) => {
  if (tag === COMMON_REMOTE) entry.remote = readAddress(reader, end)
  else if (tag === COMMON_DIRECT_REMOTE) entry.directRemote = readAddress(reader, end)
  else if (tag === COMMON_UPSTREAM_CLUSTER) entry.upstreamCluster = reader.string()
  else return false
  return true
}

const readRequest: ReadField<Draft> = (reader, tag, _, entry) => {
  if (tag !== REQUEST_AUTHORITY) return false
  entry.authority = reader.string()
  return true
}

/** The IP address of an Address; empty for a pipe or an internal address. */
function readAddress(reader: BinaryReader, end: number): string {
  const into = { address: '' }
  readFields(reader, endOfField(reader, end), into, readAddressField)
  return into.address
}

const readAddressField: ReadField<{ address: string }> = (reader, tag, end, into) => {
  if (tag !== ADDRESS_SOCKET) return false
  readFields(reader, endOfField(reader, end), into, readSocket)
  return true
}

const readSocket: ReadField<{ address: string }> = (reader, tag, _, into) => {
  if (tag !== SOCKET_ADDRESS) return false
  into.address = reader.string()
  return true
}

/** Visits the fields up to `end`. Throws on broken bytes. */
function readFields<Into>(reader: BinaryReader, end: number, into: Into, read: ReadField<Into>): void {
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (!read(reader, tag, end, into)) skip(reader, tag, end)
  }
  if (reader.pos !== end) throw new RangeError('a field ends after its message')
}

function skip(reader: BinaryReader, tag: number, end: number): void {
  const type: WireType = tag & 7
  // the reader's own skip makes a view of what it skips
  if (type === WireType.LengthDelimited) reader.pos = endOfField(reader, end)
  else reader.skip(type, tag >>> 3)
}

/** Reads the length of a field: where it ends. */
function endOfField(reader: BinaryReader, end: number): number {
  const length = reader.uint32()
  if (length > end - reader.pos) throw new RangeError('a field ends after its message')
  return reader.pos + length
}
