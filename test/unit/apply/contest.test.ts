import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createContests, DELETIONS } from '../../../runtime/contest.ts'

const MINUTE = 60_000
const SUBJECT = 'v1/Service/a/b /spec/selector'

/** Contests with a clock that the test moves. */
function contests(): ReturnType<typeof createContests> & { pass: (ms: number) => void; repair: (times: number, everyMs: number) => void } {
  let now = 0
  const created = createContests(() => now)
  const pass = (ms: number): void => void (now += ms)
  const repair = (times: number, everyMs: number): void => {
    for (let count = 0; count < times; count++) {
      created.repaired(SUBJECT, 'h')
      pass(everyMs)
    }
  }
  return { ...created, pass, repair }
}

test('two repairs in five minutes are no contest, three are', () => {
  const table = contests()
  table.repair(2, 1000)
  assert.equal(table.waitMs(SUBJECT, 'h'), 0)
  table.repair(1, 0)
  assert.equal(table.waitMs(SUBJECT, 'h'), 10 * MINUTE)
})

test('three repairs far apart are no contest', () => {
  const table = contests()
  table.repair(5, 3 * MINUTE)
  assert.equal(table.waitMs(SUBJECT, 'h'), 0)
})

test('a contested field is tried once every ten minutes', () => {
  const table = contests()
  table.repair(3, 0)
  table.pass(9 * MINUTE)
  assert.equal(table.waitMs(SUBJECT, 'h'), MINUTE)
  table.pass(MINUTE)
  assert.equal(table.waitMs(SUBJECT, 'h'), 0)
  table.repair(1, 0)
  assert.equal(table.waitMs(SUBJECT, 'h'), 10 * MINUTE)
})

test('it ends after thirty quiet minutes', () => {
  const table = contests()
  table.repair(3, 0)
  table.pass(31 * MINUTE)
  assert.equal(table.waitMs(SUBJECT, 'h'), 0)
  table.repair(1, 0)
  assert.equal(table.waitMs(SUBJECT, 'h'), 0)
})

test('it ends when something else is desired, and does not touch other fields', () => {
  const table = contests()
  table.repair(3, 0)
  assert.equal(table.waitMs(SUBJECT, 'other'), 0)
  assert.equal(table.waitMs('v1/Service/a/b /spec/ports', 'h'), 0)
})

test('what is pruned is forgotten', () => {
  const table = contests()
  table.repair(3, 0)
  table.forget('v1/Service/a/b')
  assert.equal(table.waitMs(SUBJECT, 'h'), 0)
})

test('an object that is made anew ten times in five minutes is contested, and no more when it was pruned', () => {
  const table = contests()
  const subject = 'v1/Service/a/b deleted'
  const remake = (times: number): void => {
    for (let count = 0; count < times; count++) table.repaired(subject, 'h', DELETIONS)
  }
  remake(9)
  assert.equal(table.waitMs(subject, 'h'), 0)
  remake(1)
  assert.equal(table.waitMs(subject, 'h'), 10 * MINUTE)
  table.forget('v1/Service/a/bb')
  assert.equal(table.waitMs(subject, 'h'), 10 * MINUTE)
  table.forget('v1/Service/a/b')
  assert.equal(table.waitMs(subject, 'h'), 0)
})
