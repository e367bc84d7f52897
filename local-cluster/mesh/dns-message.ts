/** The little of DNS that a pod network needs: A records, as CoreDNS answers for Services. https://www.rfc-editor.org/rfc/rfc1035 */

const HEADER = 12
const TYPE_A = 1
const CLASS_IN = 1
/** CoreDNS's default for Services, seconds. */
const TTL = 5
const ANSWER = 0x8580 // a response, authoritative, recursion available
const NAME_ERROR = 3
/** Points to the name of the question. */
const SAME_NAME = 0xc000 | HEADER

/** The answer to a question of one name; undefined for anything else, which is not answered. Names are asked for in lower case, without a final dot. */
export function answerTo(question: Buffer, addressesOf: (name: string) => readonly string[]): Buffer | undefined {
  const asked = readQuestion(question)
  if (asked === undefined) return undefined
  const addresses = addressesOf(asked.name)
  const records = asked.type === TYPE_A ? addresses.map(recordOf) : []
  const header = Buffer.alloc(HEADER)
  header.writeUInt16BE(question.readUInt16BE(0), 0)
  header.writeUInt16BE(ANSWER | (addresses.length === 0 ? NAME_ERROR : 0), 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(records.length, 6)
  return Buffer.concat([header, question.subarray(HEADER, asked.end), ...records])
}

function readQuestion(message: Buffer): { readonly name: string; readonly type: number; readonly end: number } | undefined {
  const isQuestion = message.length > HEADER && (message.readUInt16BE(2) & 0x8000) === 0 && message.readUInt16BE(4) === 1
  if (!isQuestion) return undefined
  const labels: string[] = []
  let at = HEADER
  for (let length = message[at] ?? 0; length > 0 && length < 64; length = message[at] ?? 0) {
    labels.push(message.subarray(at + 1, at + 1 + length).toString('latin1'))
    at += 1 + length
  }
  const end = at + 5
  if (message[at] !== 0 || end > message.length) return undefined
  return { name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), end }
}

function recordOf(address: string): Buffer {
  const record = Buffer.alloc(16)
  record.writeUInt16BE(SAME_NAME, 0)
  record.writeUInt16BE(TYPE_A, 2)
  record.writeUInt16BE(CLASS_IN, 4)
  record.writeUInt32BE(TTL, 6)
  record.writeUInt16BE(4, 10)
  for (const [index, part] of address.split('.').entries()) record[12 + index] = Number(part)
  return record
}
