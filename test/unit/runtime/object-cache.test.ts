import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../../../runtime/object.ts'
import { createObjectCache } from '../../../runtime/object-cache.ts'

const object = (uid: string, resourceVersion: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'shop', name: 'cart', uid, resourceVersion },
})

test('after an outage the history of an object that is gone does not replace the one that we have made since', () => {
  const seen: string[] = []
  const cache = createObjectCache((_, current, source) => seen.push(`${source} ${current?.metadata.uid ?? 'gone'}`))
  cache.put(object('first', '10'), 'watch')
  // the watch is away: we delete it and make a new one
  cache.forget(object('first', '10'))
  cache.put(object('second', '20'), 'write')
  // the watch is back and tells what it had missed
  cache.put(object('first', '12'), 'watch')
  assert.equal(cache.get('shop/cart')?.metadata.uid, 'second')
  cache.remove(object('first', '15'))
  cache.put(object('second', '20'), 'watch')
  assert.equal(cache.get('shop/cart')?.metadata.uid, 'second')
  assert.deepEqual(seen, ['watch first', 'write gone', 'write second'])
})

test('what we have deleted does not come back with the history that a watch tells later', () => {
  const cache = createObjectCache(() => {})
  cache.put(object('first', '10'), 'write')
  cache.forget(object('first', '10'))
  cache.put(object('first', '10'), 'watch')
  assert.equal(cache.get('shop/cart'), undefined)
  // it has a finalizer of somebody else's
  cache.put(object('first', '11'), 'watch')
  assert.equal(cache.get('shop/cart')?.metadata.uid, 'first')
})

test('an object that somebody made anew replaces the one before', () => {
  const cache = createObjectCache(() => {})
  cache.put(object('first', '10'), 'watch')
  cache.put(object('second', '20'), 'watch')
  assert.equal(cache.get('shop/cart')?.metadata.uid, 'second')
})

test('what was listed before a write of ours was answered does not undo it', async () => {
  const cache = createObjectCache(() => {})
  cache.put(object('first', '30'), 'write')
  await cache.replaceAll([], '25', false)
  assert.equal(cache.get('shop/cart')?.metadata.resourceVersion, '30')
  await cache.replaceAll([object('first', '20')], '25', false)
  assert.equal(cache.get('shop/cart')?.metadata.resourceVersion, '30')
  await cache.replaceAll([], '35', false)
  assert.equal(cache.get('shop/cart'), undefined)
})

test('what a restored backup lists replaces what is known of later versions', async () => {
  const cache = createObjectCache(() => {})
  cache.put(object('first', '30'), 'watch')
  await cache.replaceAll([object('first', '10')], '12', true)
  assert.equal(cache.get('shop/cart')?.metadata.resourceVersion, '10')
})
