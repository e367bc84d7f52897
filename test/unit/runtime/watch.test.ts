import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { ApiError, ConnectionError } from '../../../runtime/errors.ts'
import { readWatch, type WatchEvent } from '../../../runtime/watch.ts'

/** The body of a watch, in the pieces in which it comes over the wire. */
const body = (...chunks: readonly (string | Buffer)[]): IncomingMessage =>
  Readable.from(chunks.map((chunk) => Buffer.from(chunk))) as unknown as IncomingMessage
const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`
const object = (name: string, resourceVersion = '1'): unknown => ({ metadata: { name, resourceVersion } })

async function eventsOf(response: IncomingMessage): Promise<readonly string[]> {
  const found: string[] = []
  for await (const event of readWatch(response, 60_000)) found.push(textOf(event))
  return found
}
const textOf = (event: WatchEvent): string =>
  event.type === 'BOOKMARK' ? `BOOKMARK ${event.resourceVersion}` : `${event.type} ${event.object.metadata.name}`

describe('the lines of a watch', () => {
  test('come out one by one, however they are cut into pieces', async () => {
    const text =
      line('ADDED', object('a')) +
      line('MODIFIED', object('b')) +
      line('DELETED', object('c')) +
      line('BOOKMARK', { metadata: { resourceVersion: '9' } })
    const expected = ['ADDED a', 'MODIFIED b', 'DELETED c', 'BOOKMARK 9']
    assert.deepEqual(await eventsOf(body(text)), expected)
    for (const size of [1, 7, 64])
      assert.deepEqual(await eventsOf(body(...(text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []))), expected)
  })

  test('keep a character that is cut in two', async () => {
    const bytes = Buffer.from(line('ADDED', object('ä')))
    const cut = bytes.indexOf(Buffer.from('ä')) + 1
    assert.deepEqual(await eventsOf(body(bytes.subarray(0, cut), bytes.subarray(cut))), ['ADDED ä'])
  })

  test('may be empty, and a last one without its end is not there yet', async () => {
    assert.deepEqual(await eventsOf(body('\n', line('ADDED', object('a')), '{"type":"ADDED"')), ['ADDED a'])
  })
})

describe('a watch that fails', () => {
  const gone = line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' })
  test('throws the ERROR event with its code', async () => {
    await assert.rejects(eventsOf(body(gone)), (error) => error instanceof ApiError && error.code === 410 && /too old/.test(error.message))
  })
  test('throws what is no JSON, no object, or of no known type, as a broken connection', async () => {
    for (const text of ['<html>\n', '{"type":"ADDED"}\n', line('SURPRISE', object('a'))])
      await assert.rejects(eventsOf(body(text)), ConnectionError)
  })
  test('throws when nothing is heard any more', async () => {
    const silent = new Readable({ read: () => {} }) as unknown as IncomingMessage
    await assert.rejects(
      async () => {
        for await (const event of readWatch(silent, 20)) assert.fail(textOf(event))
      },
      (error) => error instanceof ConnectionError && /silent for 0\.02 s/.test(error.message),
    )
  })
})
