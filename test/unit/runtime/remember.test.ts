/** Results that are remembered: right, and bounded. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { remember } from '../../../runtime/remember.ts'

test('a text is worked out once', () => {
  const asked: string[] = []
  const upper = remember((text) => {
    asked.push(text)
    return text.toUpperCase()
  })
  assert.deepEqual(['a', 'b', 'a'].map(upper), ['A', 'B', 'A'])
  assert.deepEqual(asked, ['a', 'b'])
})

test('many texts, and long ones, do not stay in memory', () => {
  let asked = 0
  const length = remember((text) => {
    asked++
    return text.length
  })
  const long = 'x'.repeat(60_000)
  assert.deepEqual([length(long), length(long)], [60_000, 60_000])
  assert.equal(asked, 2)
  for (let index = 0; index < 25_000; index++) length(`host-${index}`)
  asked = 0
  length('host-24999')
  assert.equal(asked, 0)
  length('host-0')
  assert.equal(asked, 1)
})
