/** Reading a watch: bytes to events, however they are cut, and errors that tell what to do next. */
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { ApiError, ConnectionError } from '../../../runtime/errors.ts'
import { BAD_EVENT, readWatch, type WatchEvent } from '../../../runtime/watch.ts'

const EVENTS = [
  { type: 'ADDED', object: { kind: 'ConfigMap', metadata: { name: 'zürich-😀', resourceVersion: '5' } } },
  { type: 'BOOKMARK', object: { kind: 'ConfigMap', metadata: { resourceVersion: '7' } } },
  { type: 'DELETED', object: { kind: 'ConfigMap', metadata: { name: 'zürich-😀', resourceVersion: '9' } } },
]
const BYTES = Buffer.from(EVENTS.map((event) => `${JSON.stringify(event)}\n`).join('\n'))

test('events come out whole, wherever the bytes are cut', async () => {
  for (const size of [1, 2, 3, 7, 64, BYTES.length]) {
    const { events, error } = await readAll(
      Array.from({ length: Math.ceil(BYTES.length / size) }, (_, at) => BYTES.subarray(at * size, (at + 1) * size)),
    )
    assert.equal(error, undefined)
    assert.deepEqual(
      events.map((event) => (event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.name)),
      ['zürich-😀', '7', 'zürich-😀'],
      `in pieces of ${size}`,
    )
  }
})

test('a watch that ends in the middle of a line gives the events before it, and nothing of that line', async () => {
  const { events, error } = await readAll([BYTES.subarray(0, -5)])
  assert.equal(events.length, 2)
  assert.equal(error, undefined)
})

for (const [what, line] of [
  ['that is no JSON', '{"type":"ADDED","object":{"meta'],
  ['that is null', 'null'],
  ['without an object', '{"type":"ADDED"}'],
  ['with an object without a name', '{"type":"MODIFIED","object":{"metadata":{}}}'],
  ['of an unknown type', '{"type":"RENAMED","object":{"metadata":{"name":"a"}}}'],
] as const) {
  test(`a line ${what} is an error of its own kind, after the events before it`, async () => {
    const { events, error } = await readAll([BYTES, Buffer.from(`${line}\n`)])
    assert.equal(events.length, 3)
    assert.ok(error instanceof ConnectionError, String(error))
    assert.equal(error.code, BAD_EVENT)
    assert.ok(error.message.length < 300)
  })
}

test('a line without end is given up before it fills the memory', async () => {
  const { error } = await readAll(Array.from({ length: 17 }, () => Buffer.alloc(1024 * 1024, 'x')))
  assert.ok(error instanceof ConnectionError && error.code === BAD_EVENT, String(error))
})

test('an ERROR event is an ApiError with its code, also when it has none', async () => {
  const gone = await readAll([
    Buffer.from('{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'),
  ])
  assert.ok(gone.error instanceof ApiError && gone.error.code === 410 && gone.error.reason === 'Expired')
  const bare = await readAll([Buffer.from('{"type":"ERROR","object":null}\n')])
  assert.ok(bare.error instanceof ApiError && bare.error.code === 500)
})

test('a watch that says nothing for the inactivity time is an error, each byte begins the time anew', async () => {
  const stream = new PassThrough()
  const startedAt = performance.now()
  const reading = read(stream, 200)
  const beats = setInterval(() => stream.write('\n'), 50)
  setTimeout(() => clearInterval(beats), 500)
  const { error } = await reading
  assert.ok(error instanceof ConnectionError && /silent for 0.2 s/.test(error.message), String(error))
  assert.ok(performance.now() - startedAt >= 600)
})

async function readAll(chunks: readonly Buffer[]): Promise<{ events: readonly WatchEvent[]; error: unknown }> {
  const stream = new PassThrough({ highWaterMark: 32 * 1024 * 1024 })
  for (const chunk of chunks) stream.write(chunk)
  stream.end()
  return await read(stream, 10_000)
}

async function read(stream: PassThrough, inactivityMs: number): Promise<{ events: readonly WatchEvent[]; error: unknown }> {
  const events: WatchEvent[] = []
  try {
    for await (const event of readWatch(stream as unknown as IncomingMessage, inactivityMs)) events.push(event)
    return { events, error: undefined }
  } catch (error) {
    return { events, error }
  }
}
