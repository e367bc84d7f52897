import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareResourceVersions } from '../../../runtime/resource-version.ts'

const CASES: readonly (readonly [string | undefined, string | undefined, number])[] = [
  ['1', '2', -1],
  ['2', '2', 0],
  ['9', '10', -1],
  ['100', '99', 1],
  // beyond what a number holds exactly
  ['9007199254740993', '9007199254740992', 1],
  ['123456789012345678901', '123456789012345678902', -1],
  ['99999999999999999999', '100000000000000000000', -1],
  [undefined, '1', -1],
  [undefined, undefined, 0],
  ['', '1', -1],
  ['no-number', '1', -1],
]
for (const [a, b, expected] of CASES) {
  test(`${a} is ${['older than', 'as old as', 'newer than'][expected + 1]} ${b}`, () => {
    assert.equal(Math.sign(compareResourceVersions(a, b)), expected)
    assert.equal(Math.sign(compareResourceVersions(b, a)), -expected + 0)
  })
}
