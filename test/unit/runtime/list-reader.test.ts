import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readList } from '../../../runtime/list-reader.ts'

const same = (item: unknown): unknown => item

/** `text` in pieces of `size` bytes. */
function inPieces(text: string, size: number): readonly Buffer[] {
  const bytes = Buffer.from(text)
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
}

test('a list is read as JSON.parse reads it, wherever its pieces end', async () => {
  const tricks = fc.constantFrom('items', '"items":[', '\\', '\\"', '}', ']', '{', '[', ',', 'ü', '😀', '\u2028', '\u0000')
  const text = fc.oneof(fc.string(), tricks)
  const item = fc.dictionary(text, fc.oneof(fc.jsonValue(), text, fc.constant({ items: [{ items: [] }] })))
  const list = fc.record({
    kind: text,
    metadata: fc.record({ resourceVersion: text, items: fc.array(item, { maxLength: 2 }) }),
    items: fc.array(item, { maxLength: 5 }),
    more: text,
  })
  await fc.assert(
    fc.asyncProperty(list, fc.integer({ min: 1, max: 40 }), fc.constantFrom(undefined, 2), async (body, size, indent) => {
      const json = JSON.stringify(body, undefined, indent)
      assert.deepEqual(await readList(inPieces(json, size), same), JSON.parse(json))
    }),
    { numRuns: 500 },
  )
})

test('a list without items, or with null, is empty; items of which nothing is kept are left out', async () => {
  const read = async (json: string): Promise<unknown> =>
    await readList([Buffer.from(json)], (item) => (item as { a: number }).a || undefined)
  assert.deepEqual(await read('{"metadata":{"resourceVersion":"7"},"items":null}'), { metadata: { resourceVersion: '7' }, items: [] })
  assert.deepEqual(await read('{"metadata":{"resourceVersion":"7"}}'), { metadata: { resourceVersion: '7' }, items: [] })
  assert.deepEqual(await read('{"items":[{"a":1},{"a":0},{"a":2}],"kind":"List"}'), { kind: 'List', items: [1, 2] })
})

test('what is no JSON, or ends too early, is an error', async () => {
  for (const text of ['<html>', '{"items":[{"a":1}', '{"items":[{"a":1},', '{"items":[{"a":1}]', '{"items":[{"a":]}', ''])
    await assert.rejects(readList([Buffer.from(text)], same), Error, text)
})

test('one turn of the event loop takes no more than some objects, whatever the list weighs', async () => {
  const large = JSON.stringify({ text: 'x'.repeat(200_000), list: Array.from({ length: 20_000 }, (_, index) => `entry ${index}`) })
  const text = `{"items":[${Array.from({ length: 30 }, () => large).join(',')}]}`
  let rounds = 0
  let over = false
  const count = (): void => {
    rounds++
    if (!over) setImmediate(count)
  }
  setImmediate(count)
  const { items } = await readList(inPieces(text, 65_536), same)
  over = true
  assert.equal(items.length, 30)
  // there is nothing to wait for: with JSON.parse of the whole it comes round once
  assert.ok(rounds > 3, `${rounds} rounds`)
})
