import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OWNED_ANNOTATION, OWNER_LABEL } from '../../../operator/api/slimeboot.ts'
import { slim } from '../../../operator/apply/live.ts'

const configMap = (annotations: Readonly<Record<string, string>>, manager: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: 'x',
    namespace: 'tenant',
    uid: 'u',
    resourceVersion: '5',
    labels: {
      [OWNER_LABEL]: 'mesh-operator.lazyload',
      ...Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`label-${n}`, 'v'.repeat(60)])),
    },
    annotations: { ...annotations, note: 'n'.repeat(100_000) },
    managedFields: [{ manager, operation: 'Apply' as const, fieldsV1: { 'f:data': {} } }],
  },
  data: { x: 'x'.repeat(1_000_000) },
})

test('of an object that only carries our label the cache keeps that it is there, and nothing of what it holds', () => {
  for (const owned of [undefined, 'foo=/ConfigMap/other/x', `${'x'.repeat(200_000)}=y`]) {
    const kept = slim(configMap(owned === undefined ? {} : { [OWNED_ANNOTATION]: owned }, 'kubectl'))
    assert.ok(JSON.stringify(kept).length < 2000, `${JSON.stringify(kept).length}`)
    assert.equal(kept.metadata.labels?.[OWNER_LABEL], 'mesh-operator.lazyload')
    assert.equal(kept.metadata.managedFields?.[0]?.manager, 'kubectl')
  }
})

test('of an object of ours everything is kept that a decision needs, also where its annotation was removed by hand', () => {
  const whole = slim(configMap({ [OWNED_ANNOTATION]: 'mesh-operator/lazyload=/ConfigMap/tenant/x' }, 'kubectl'))
  const unmarked = slim(configMap({}, 'slimeboot'))
  for (const kept of [whole, unmarked]) assert.equal((kept['data'] as { readonly x: string }).x.length, 1_000_000)
})
