import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, suite, test } from 'node:test'
import { collectAtRest } from '../../../runtime/collect-at-rest.ts'

suite('memory is given back at rest', () => {
  const before = globalThis.gc
  let collections = 0
  let work = 0
  let busy = false
  let bytes = 0

  beforeEach(() => {
    collections = work = 0
    busy = false
    bytes = 50e6
    mock.timers.enable({ apis: ['setInterval'] })
    globalThis.gc = (() => void collections++) as unknown as NonNullable<typeof before>
  })
  afterEach(() => {
    mock.timers.reset()
    if (before === undefined) Reflect.deleteProperty(globalThis, 'gc')
    else globalThis.gc = before
  })

  function start(): AbortController {
    const stop = new AbortController()
    collectAtRest({ worked: () => work, isBusy: () => busy, lookMs: 1000, bytes: () => bytes }, stop.signal)
    return stop
  }

  test('once after the start and once after work, and not again before there is more of it', () => {
    start()
    mock.timers.tick(1000)
    assert.equal(collections, 0, 'the start may go on')
    mock.timers.tick(5000)
    assert.equal(collections, 1)
    work = 3
    bytes += 10e6
    mock.timers.tick(1000)
    assert.equal(collections, 1, 'the work may go on')
    mock.timers.tick(5000)
    assert.equal(collections, 2)
  })

  test('not when work has left next to nothing', () => {
    start()
    mock.timers.tick(5000)
    work = 1
    bytes += 1e6
    mock.timers.tick(5000)
    assert.equal(collections, 1)
    bytes += 10e6
    mock.timers.tick(1000)
    assert.equal(collections, 2)
  })

  test('not while something is being done', () => {
    start()
    busy = true
    mock.timers.tick(5000)
    assert.equal(collections, 0)
    busy = false
    mock.timers.tick(1000)
    assert.equal(collections, 1)
  })

  test('not after the end', () => {
    const stop = start()
    work = 1
    stop.abort()
    mock.timers.tick(5000)
    assert.equal(collections, 0)
  })
})
