import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerTo } from '../../local-cluster/mesh/dns-message.ts'

const ADDRESSES: Readonly<Record<string, readonly string[]>> = { 'a.b': ['10.0.0.1', '10.0.0.2'] }
const addressesOf = (name: string): readonly string[] => ADDRESSES[name] ?? []

/** A question as a resolver asks it, with a record of EDNS behind it. */
function question(name: string, type: number, flags = 0x0100): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)])
  const header = [0xab, 0xcd, flags >> 8, flags & 0xff, 0, 1, 0, 0, 0, 0, 0, 1]
  return Buffer.from([...header, ...labels, 0, 0, type, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])
}

function parts(answer: Buffer | undefined): { readonly id: number; readonly code: number; readonly addresses: readonly string[] } {
  assert.ok(answer !== undefined)
  const count = answer.readUInt16BE(6)
  const records = Array.from({ length: count }, (_, index) => answer.subarray(answer.length - 16 * (count - index)))
  return {
    id: answer.readUInt16BE(0),
    code: answer.readUInt16BE(2) & 0xf,
    addresses: records.map((record) => record.subarray(12, 16).join('.')),
  }
}

test('a known name has all its addresses, however it is written', () => {
  for (const name of ['a.b', 'A.B'])
    assert.deepEqual(parts(answerTo(question(name, 1), addressesOf)), { id: 0xabcd, code: 0, addresses: ['10.0.0.1', '10.0.0.2'] })
})

test('an unknown name does not exist; a known one has no IPv6 address', () => {
  assert.deepEqual(parts(answerTo(question('c.b', 1), addressesOf)), { id: 0xabcd, code: 3, addresses: [] })
  assert.deepEqual(parts(answerTo(question('a.b', 28), addressesOf)), { id: 0xabcd, code: 0, addresses: [] })
})

test('what is no question is not answered', () => {
  const whole = question('a.b', 1)
  for (const message of [Buffer.alloc(0), whole.subarray(0, 15), question('a.b', 1, 0x8180)])
    assert.equal(answerTo(message, addressesOf), undefined)
})
