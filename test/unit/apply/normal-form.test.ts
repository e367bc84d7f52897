import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { differences } from '../../../operator/apply/difference.ts'
import { createNormalForms } from '../../../operator/apply/normal-form.ts'
import { markOwned, ownerOfKey } from '../../../operator/apply/ownership.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const OWNER = ownerOfKey('ns/boot')
const deployment = (spec: unknown, uid = 'u'): KubeObject =>
  markOwned({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', namespace: 'n', uid }, spec }, OWNER)
const desired = deployment({ replicas: 1, paused: true })
const live = (spec: unknown, uid = 'u'): KubeObject => ({ ...desired, metadata: { ...desired.metadata, uid }, spec })

describe('the form in which the server keeps an object', () => {
  const kept = live({ replicas: 1, paused: false })
  const learnt = (): ReturnType<typeof createNormalForms> => {
    const forms = createNormalForms()
    forms.remember(desired, kept, differences(desired, kept))
    return forms
  }
  const open = (forms: ReturnType<typeof createNormalForms>, wanted: KubeObject, actual: KubeObject): number =>
    forms.settled(wanted, actual, differences(wanted, actual)).length

  test('is unknown at first', () => assert.equal(open(createNormalForms(), desired, kept), 1))
  test('is left as it is once it was the answer to an apply', () => {
    assert.equal(open(learnt(), desired, kept), 0)
    assert.deepEqual(learnt().fields(desired), ['/spec/paused'])
  })
  test('is unknown for another uid', () => assert.equal(open(learnt(), desired, live({ replicas: 1, paused: false }, 'v')), 1))
  test('is unknown for another content', () => assert.ok(open(learnt(), deployment({ replicas: 2, paused: true }), kept) > 0))
  test('does not hide further drift', () => assert.equal(open(learnt(), desired, live({ replicas: 7, paused: false })), 2))
  test('is forgotten with its object', () => {
    const forms = learnt()
    forms.forget(desired)
    assert.equal(open(forms, desired, kept), 1)
  })
})

describe('replicas that an autoscaler owns', () => {
  test('are no difference and are left out of the body, for five minutes', () => {
    let now = 0
    const forms = createNormalForms(() => now)
    const scaled = live({ replicas: 3, paused: true })
    assert.equal(forms.settled(desired, scaled, differences(desired, scaled)).length, 1)
    forms.autoscaled(desired)
    assert.equal(forms.settled(desired, scaled, differences(desired, scaled)).length, 0)
    assert.deepEqual(forms.withoutReplicas(desired, scaled)['spec'], { paused: true })
    now += 6 * 60_000
    assert.equal(forms.settled(desired, scaled, differences(desired, scaled)).length, 1)
    assert.equal(forms.withoutReplicas(desired, scaled), desired)
  })
})
