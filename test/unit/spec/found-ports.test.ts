/** What `wormholePort: auto` serves, of which Services, and for how long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatFoundPorts,
  nextLeaveMs,
  parseFoundPorts,
  portsInMesh,
  portsToServe,
  type ServicePorts,
} from '../../../operator/spec/found-ports.ts'

const service = (key: string, http: readonly number[], tcp: readonly number[] = []): ServicePorts => ({
  key,
  namespace: key.split('/')[0]!,
  http,
  tcp,
})
const NOW = Date.parse('2026-01-01T12:00:00Z')
const HOUR = 3_600_000

test('HTTP ports are served where nobody speaks TCP, but for those of the proxy', () => {
  const found = portsInMesh([service('a/x', [80, 15_021, 8080]), service('b/y', [9000], [8080]), service('a/z', [], [3306])])
  assert.deepEqual(found, { http: [80, 9000], conflicts: [{ port: 8080, http: ['a/x'], tcp: ['b/y'] }], leftOut: [] })
})

test('a conflict names ten Services of each side', () => {
  const many = Array.from({ length: 30 }, (_, index) => service(`a/s${String(index).padStart(2, '0')}`, [80], index % 2 === 0 ? [80] : []))
  const [conflict] = portsInMesh(many).conflicts
  assert.equal(conflict?.http.length, 10)
  assert.equal(conflict?.tcp.length, 10)
  assert.equal(conflict?.http[0], 'a/s00')
})

test('one namespace with very many ports takes no place from the others', () => {
  const flood = service(
    'enemy/flood',
    Array.from({ length: 5000 }, (_, index) => index + 1),
  )
  const { http, leftOut } = portsInMesh([flood, service('a/x', [60_000]), service('b/y', [443]), service('c/z', [61_000])])
  for (const port of [60_000, 61_000, 443]) assert.ok(http.includes(port), String(port))
  assert.equal(http.length, 100)
  assert.ok(leftOut.length > 4800)
})

test('a port that goes stays for the grace, from the first time that it was missed', () => {
  const first = portsToServe([{ port: 80 }, { port: 81 }], { http: [81], conflicts: [] }, NOW, HOUR)
  assert.deepEqual(first, [{ port: 80, goneSince: '2026-01-01T12:00:00Z' }, { port: 81 }])
  assert.deepEqual(portsToServe(first, { http: [81], conflicts: [] }, NOW + HOUR - 1, HOUR), first)
  assert.equal(nextLeaveMs(first, NOW + HOUR - 1, HOUR), 1)
  assert.deepEqual(portsToServe(first, { http: [81], conflicts: [] }, NOW + HOUR, HOUR), [{ port: 81 }])
  assert.deepEqual(portsToServe(first, { http: [80, 81], conflicts: [] }, NOW + 1000, HOUR), [{ port: 80 }, { port: 81 }])
  assert.deepEqual(portsToServe(first, { http: [], conflicts: [] }, NOW + 1000 * HOUR, Infinity)[0], first[0])
  assert.equal(nextLeaveMs(first, NOW, Infinity), undefined)
})

test('a port on which somebody speaks TCP goes at once', () => {
  const conflicts = [{ port: 80, http: ['a/x'], tcp: ['b/y'] }]
  assert.deepEqual(portsToServe([{ port: 80 }], { http: [], conflicts }, NOW, HOUR), [])
})

test('the annotation says what was served, and nothing else of it counts', () => {
  const ports = [{ port: 80 }, { port: 8080, goneSince: '2026-01-01T12:00:00Z' }]
  assert.equal(formatFoundPorts(ports), '80 8080=2026-01-01T12:00:00Z')
  assert.deepEqual(parseFoundPorts(formatFoundPorts(ports)), ports)
  assert.deepEqual(parseFoundPorts(' 0 x 70000 15021 81=never 82=2026-99-99T12:00:00Z 83'), [{ port: 83 }])
  assert.deepEqual(parseFoundPorts(''), [])
})
