import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBackoff } from '../../../runtime/backoff.ts'

/** Within the jitter of a fifth. */
function about(actual: number, expected: number): void {
  assert.ok(actual >= expected * 0.8 && actual <= expected * 1.2, `${actual} is not about ${expected}`)
}

test('each wait is about twice the one before, up to the limit', () => {
  const backoff = createBackoff(100, 1000)
  for (const expected of [100, 200, 400, 800, 1000, 1000]) about(backoff.next(), expected)
})

test('after a reset it starts anew', () => {
  const backoff = createBackoff(100, 1000)
  backoff.next()
  backoff.next()
  backoff.reset()
  about(backoff.next(), 100)
})

test('after very many tries it is still the limit', () => {
  const backoff = createBackoff(100, 1000)
  for (let count = 0; count < 2000; count++) backoff.next()
  about(backoff.next(), 1000)
})

test('two of them do not wait in step', () => {
  const [a, b] = [createBackoff(1e9, 1e9), createBackoff(1e9, 1e9)]
  assert.notEqual(a.next(), b.next())
})
