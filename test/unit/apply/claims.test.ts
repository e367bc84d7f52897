import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Claim, type ClaimConflict, createClaims, sharedPorts } from '../../../operator/apply/claims.ts'

const A = { key: 'ns/a', createdAt: '2026-01-01T00:00:00Z' }
const B = { key: 'ns/b', createdAt: '2026-01-02T00:00:00Z' }
const C = { key: 'ns/c', createdAt: '2026-01-03T00:00:00Z' }
const objects = (...names: readonly string[]): Claim => ({ objects: new Set(names), catchAlls: [] })
const ports = (scope: string, ...numbers: readonly number[]): Claim => ({
  objects: new Set(),
  catchAlls: [{ scope, ports: numbers, globalSidecarNamespace: scope }],
})
const said = (conflicts: readonly ClaimConflict[]): readonly string[] => conflicts.map(({ holder, subject }) => `${holder}: ${subject}`)

describe('of two SlimeBoots that want the same object', () => {
  test('the one that was granted it keeps it, older or not', () => {
    const claims = createClaims()
    assert.deepEqual(claims.claim(B, objects('x')), [])
    assert.deepEqual(said(claims.claim(A, objects('x', 'y'))), ['ns/b: x'])
    assert.deepEqual(claims.claim(B, objects('x')), [])
  })

  test('the older one comes first where neither has it', () => {
    const claims = createClaims()
    claims.claim(C, objects('x'))
    assert.equal(claims.claim(A, objects('x')).length, 1)
    assert.equal(claims.claim(B, objects('x')).length, 2)
    assert.deepEqual(claims.release(C.key), [A.key, B.key])
    assert.deepEqual(said(claims.claim(B, objects('x'))), ['ns/a: x'])
    assert.deepEqual(claims.claim(A, objects('x')), [])
  })

  test('at the same second the lesser key is the older one', () => {
    const claims = createClaims()
    claims.claim(C, objects('x'))
    claims.claim({ ...B, createdAt: A.createdAt }, objects('x'))
    claims.claim(A, objects('x'))
    claims.release(C.key)
    assert.deepEqual(said(claims.claim({ ...B, createdAt: A.createdAt }, objects('x'))), ['ns/a: x'])
  })

  test('what lives of a SlimeBoot is not taken away by an older one that merely wants it', () => {
    const claims = createClaims()
    claims.claim(C, objects('y'))
    assert.equal(claims.claim(A, objects('x', 'y')).length, 1)
    assert.deepEqual(said(claims.claim(B, objects('x'))), ['ns/a: x'])
    assert.deepEqual(
      claims.claim(B, objects('x'), () => objects('x')),
      [],
    )
  })

  test('a claim that was refused grants nothing, not even its undisputed part, and keeps what was granted before', () => {
    const claims = createClaims()
    claims.claim(A, objects('x'))
    claims.claim(B, objects('y'))
    assert.equal(claims.claim(B, objects('x', 'z')).length, 1)
    assert.deepEqual(said(claims.claim(C, objects('y'))), ['ns/b: y'])
    assert.deepEqual(said(claims.claim(A, objects('z'))), [])
  })

  test('a claim that is made again unchanged is judged anew once somebody else wants some of it', () => {
    const claims = createClaims()
    const wanted = objects('x', 'y')
    assert.deepEqual(claims.claim(C, wanted), [])
    assert.deepEqual(claims.release(C.key, wanted), [])
    assert.deepEqual(claims.claim(C, wanted), [])
    // A lives with y, as after a restart: its claim stands although y is granted to C
    assert.deepEqual(
      claims.claim(A, objects('y'), () => objects('y')),
      [],
    )
    assert.deepEqual(said(claims.claim(C, wanted)), ['ns/a: y'])
    assert.deepEqual(said(claims.claim(C, wanted)), ['ns/a: y'])
    claims.release(A.key)
    assert.deepEqual(claims.claim(C, wanted), [])
  })

  test('what was rendered before stays claimed until it is released', () => {
    const claims = createClaims()
    claims.claim(A, objects('x'))
    claims.claim(A, objects('y'))
    assert.deepEqual(said(claims.claim(B, objects('x'))), ['ns/a: x'])
    assert.deepEqual(claims.release(A.key, objects('y')), [B.key])
    assert.deepEqual(claims.claim(B, objects('x')), [])
  })
})

describe('ports that two catch-alls take over', () => {
  const cases: readonly (readonly [string, Claim, Claim, readonly string[]])[] = [
    ['the same namespace', ports('shop', 80, 9080), ports('shop', 9080), ['port 9080 of namespace shop']],
    ['different namespaces', ports('shop', 80), ports('default', 80), []],
    ['different ports', ports('shop', 80), ports('shop', 81), []],
    ['the whole mesh and a namespace', ports('*', 80), ports('shop', 80), ['port 80 of namespace shop']],
    ['a namespace and the whole mesh', ports('shop', 80), ports('*', 80), ['port 80 of namespace shop']],
    ['the whole mesh twice', ports('*', 80), ports('*', 80), ['port 80 of the whole mesh']],
  ]
  for (const [what, first, second, expected] of cases) {
    test(what, () => {
      assert.deepEqual(sharedPorts(first.catchAlls[0]!, second.catchAlls[0]!), expected)
      const claims = createClaims()
      claims.claim(A, first)
      assert.deepEqual(
        said(claims.claim(B, second)),
        expected.map((subject) => `ns/a: ${subject}`),
      )
    })
  }
})
