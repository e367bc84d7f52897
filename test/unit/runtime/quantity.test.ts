import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sameQuantity } from '../../../runtime/quantity.ts'

const CASES: readonly (readonly [unknown, unknown, boolean])[] = [
  ['1000m', '1', true],
  ['1000m', 1, true],
  ['0.5', '500m', true],
  ['1Gi', '1024Mi', true],
  ['1G', '1000M', true],
  ['1e3', '1k', true],
  ['1E3', '1k', true],
  ['1.5Gi', '1536Mi', true],
  ['100u', '0.1m', true],
  ['0', '0m', true],
  ['1G', '1Gi', false],
  ['1', '1m', false],
  ['999m', '1', false],
  ['1000000001n', '1', false],
  ['none', 'none', true],
  ['none', '1', false],
  ['1x', '1', false],
  [undefined, '0', false],
]
for (const [a, b, expected] of CASES) {
  test(`${String(a)} and ${String(b)} are ${expected ? 'the same' : 'different'}`, () => {
    assert.equal(sameQuantity(a, b), expected)
    assert.equal(sameQuantity(b, a), expected)
  })
}
