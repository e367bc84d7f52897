/** Who may reset what was learned, and set log levels: callers inside the pod. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { strangerReason } from '../../../lazyload/aux/local-caller.ts'

const reasonFor = (remoteAddress: string, headers: Readonly<Record<string, string>> = {}): string | undefined =>
  strangerReason({ socket: { remoteAddress }, headers: { host: 'localhost:8081', 'user-agent': 'curl/8', ...headers } })

for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1'])
  test(`${address} is inside the pod`, () => assert.equal(reasonFor(address), undefined))

for (const address of ['127.0.0.2', '10.0.0.1', '::2', '::ffff:127.0.0.2', ''])
  test(`${address === '' ? 'an unknown address' : address} is not`, () =>
    assert.match(reasonFor(address) ?? '', /Only from the pod itself/))

test("what comes from the address of Istio's proxy was sent by somebody else, and the answer says how to keep it out", () => {
  for (const address of ['127.0.0.6', '::ffff:127.0.0.6']) assert.match(reasonFor(address) ?? '', /sidecar\.istio\.io\/inject/)
})

for (const header of ['x-forwarded-proto', 'x-forwarded-for', 'x-envoy-attempt-count', 'forwarded', 'origin', 'sec-fetch-site'])
  test(`a request with ${header} was handed on, or is a page's`, () =>
    assert.notEqual(reasonFor('127.0.0.1', { [header]: 'x' }), undefined))
