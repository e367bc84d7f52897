import assert from 'node:assert/strict'
import { test } from 'node:test'
import { merge } from '../../../operator/spec/merge.ts'
import type { JsonObject } from '../../../runtime/object.ts'

const parse = (json: string): JsonObject => JSON.parse(json) as JsonObject

const CASES: readonly { title: string; base: string; over: string; merged: string }[] = [
  { title: 'maps merge deep', base: '{"a":{"b":1,"c":2}}', over: '{"a":{"c":3}}', merged: '{"a":{"b":1,"c":3}}' },
  { title: 'lists replace', base: '{"a":[1,2]}', over: '{"a":[3]}', merged: '{"a":[3]}' },
  { title: 'an empty list replaces', base: '{"a":[1]}', over: '{"a":[]}', merged: '{"a":[]}' },
  { title: 'an empty map keeps the base', base: '{"a":{"b":1}}', over: '{"a":{}}', merged: '{"a":{"b":1}}' },
  { title: 'null removes a default', base: '{"a":{"b":1,"c":2}}', over: '{"a":{"b":null}}', merged: '{"a":{"c":2}}' },
  { title: 'null removes a section', base: '{"a":{"b":1},"d":1}', over: '{"a":null}', merged: '{"d":1}' },
  { title: 'null without a default leaves no key', base: '{}', over: '{"a":null,"b":{"c":null}}', merged: '{"b":{}}' },
  { title: 'null inside a list stays', base: '{}', over: '{"a":[null]}', merged: '{"a":[null]}' },
  {
    title: 'a map replaces a scalar and the other way round',
    base: '{"a":1,"b":{"c":1}}',
    over: '{"a":{"d":1},"b":2}',
    merged: '{"a":{"d":1},"b":2}',
  },
  {
    title: 'false, 0 and "" replace',
    base: '{"a":true,"b":1,"c":"x"}',
    over: '{"a":false,"b":0,"c":""}',
    merged: '{"a":false,"b":0,"c":""}',
  },
  {
    title: '__proto__ is a plain key',
    base: '{}',
    over: '{"__proto__":{"x":1},"constructor":{"y":2}}',
    merged: '{"__proto__":{"x":1},"constructor":{"y":2}}',
  },
]

for (const { title, base, over, merged } of CASES) {
  test(title, () => {
    const inputs = [parse(base), parse(over)] as const
    assert.equal(JSON.stringify(merge(...inputs)), JSON.stringify(parse(merged)))
    assert.deepEqual(inputs, [parse(base), parse(over)], 'inputs are left alone')
  })
}

test('a merge cannot reach Object.prototype', () => {
  const merged = merge(
    parse('{"a":{}}'),
    parse('{"__proto__":{"polluted":1},"a":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}'),
  )
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  assert.equal(Object.getPrototypeOf(merged['a']), Object.prototype)
})
