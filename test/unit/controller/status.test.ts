import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ConditionReason } from '../../../operator/api/reasons.ts'
import type { Change } from '../../../operator/apply/apply.ts'
import { ReconcileError, type Retry } from '../../../operator/apply/failure.ts'
import { NOTHING, type Outcome } from '../../../operator/controller/outcome.ts'
import { readyOf, statusOf } from '../../../operator/controller/status.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const outcome = (part: Partial<Outcome>): Outcome => ({ ...NOTHING, total: 5, ...part })
const problem = (reason: ConditionReason, retry: Retry): ReconcileError =>
  new ReconcileError(reason, `${reason} it is`, retry, { objects: ['Service/n/a'] })
const change = (part: Partial<Change>): Change => ({ object: 'Service/n/a', action: 'unchanged', fields: [], mutated: [], ...part })
const unready = (reason: string): Outcome['unready'][number] => ({ object: 'Deployment/n/d', reason, message: 'says why' })
const contested = change({ action: 'contested', fields: ['/spec/x'], contest: { managers: 'meddler', retryMs: 1 } })

describe('Ready, Reconciling and Stalled', () => {
  /** Status and reason of Ready, then which of the other two is True. */
  const cases: readonly (readonly [string, Partial<Outcome>, string, 'Reconciling' | 'Stalled' | 'neither', RegExp])[] = [
    ['all is well', {}, 'True Ready', 'neither', /^5 objects are as rendered/],
    [
      'a field that a webhook keeps',
      { changes: [change({ mutated: ['/spec/a'] })] },
      'True MutatedByAdmission',
      'neither',
      /Service\/n\/a: .* keeps \/spec\/a/,
    ],
    ['a warning', { warnings: [{ reason: 'Copy', path: 'metadata', message: 'a copy' }] }, 'True Ready', 'neither', /Copy: a copy/],
    ['a rollout', { unready: [unready('RollingOut')] }, 'False Progressing', 'Reconciling', /Deployment\/n\/d: says why/],
    ['a gate', { waiting: ['waits for x'] }, 'False Progressing', 'Reconciling', /waits for x/],
    [
      'a workload that does not come up',
      { unready: [unready('RollingOut'), unready('ImagePullBackOff')] },
      'False WorkloadNotReady',
      'Reconciling',
      /says why/,
    ],
    ['a contest', { changes: [contested] }, 'False Contested', 'Stalled', /\/spec\/x is set again and again by meddler/],
    ['a refusal that heals', { problems: [problem('Conflict', 'heals')] }, 'False Conflict', 'Stalled', /Conflict it is/],
    ['an invalid spec', { problems: [problem('InvalidSpec', 'terminal')] }, 'False InvalidSpec', 'Stalled', /InvalidSpec it is/],
    [
      'a server that is away',
      { problems: [problem('ApiServerUnreachable', 'backoff')] },
      'False ApiServerUnreachable',
      'Reconciling',
      /it is/,
    ],
    [
      'a problem beside a rollout',
      { problems: [problem('Forbidden', 'heals')], unready: [unready('RollingOut')] },
      'False Forbidden',
      'Stalled',
      /Forbidden it is/,
    ],
    [
      'a catch-all that is withdrawn',
      { withdrawn: ['b', 'c'], waiting: ['waits for x'], unready: [unready('ImagePullBackOff')] },
      'False CatchAllWithdrawn',
      'Reconciling',
      /available for 15 s in b, c: the catch-all is withdrawn.* Deployment\/n\/d: says why$/,
    ],
    [
      'a problem while a catch-all is withdrawn',
      { withdrawn: ['b'], problems: [problem('Forbidden', 'heals')] },
      'False Forbidden',
      'Stalled',
      /^Forbidden it is\nNo replica .* in b: the catch-all is withdrawn/,
    ],
    ['suspended', { phase: 'suspended' }, 'Unknown Suspended', 'neither', /Remove it to go on/],
    [
      'on its way out',
      { phase: 'delete', deleted: ['a', 'b'], waiting: ['c to go'] },
      'False Deleting',
      'Reconciling',
      /^2 objects deleted; waiting for c to go$/,
    ],
  ]
  const boot: KubeObject = { apiVersion: 'v1', kind: 'SlimeBoot', metadata: { name: 'b', namespace: 'n', generation: 4 } }
  for (const [what, part, expected, other, message] of cases) {
    test(`${what}: ${expected}, ${other} besides`, () => {
      const { conditions, observedGeneration } = statusOf(boot, outcome(part), '2026-01-01T00:00:00Z')
      const [ready, reconciling, stalled] = conditions
      assert.equal(`${ready!.status} ${ready!.reason}`, expected)
      assert.match(ready!.message, message)
      assert.deepEqual(
        [reconciling!.status, stalled!.status],
        [other === 'Reconciling' ? 'True' : 'False', other === 'Stalled' ? 'True' : 'False'],
      )
      assert.equal(observedGeneration, 4)
      assert.ok(conditions.every((condition) => condition.observedGeneration === 4))
    })
  }
})

test('a status that is computed again is the same, and its times are those of the last change', () => {
  const boot = (status: unknown): KubeObject => ({
    apiVersion: 'v1',
    kind: 'SlimeBoot',
    metadata: { name: 'b', namespace: 'n', generation: 1 },
    status,
  })
  const first = statusOf(boot(undefined), outcome({}), '2026-01-01T00:00:00Z')
  assert.deepEqual(statusOf(boot(first), outcome({}), '2026-01-02T00:00:00Z'), first)
  const worse = statusOf(boot(first), outcome({ waiting: ['x'] }), '2026-01-03T00:00:00Z')
  assert.deepEqual(
    worse.conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime.slice(0, 10)]),
    [
      ['Ready', '2026-01-03'],
      ['Reconciling', '2026-01-03'],
      ['Stalled', '2026-01-01'],
    ],
  )
})

test('an invalid spec keeps telling what runs', () => {
  const status = { mode: 'cluster', modules: ['lazyload'], moduleNames: 'lazyload', objects: { total: 9, ready: 9 }, shape: 'stock' }
  const boot: KubeObject = { apiVersion: 'v1', kind: 'SlimeBoot', metadata: { name: 'b' }, status }
  const { mode, shape, modules, moduleNames, objects } = statusOf(boot, outcome({ problems: [problem('InvalidSpec', 'terminal')] }), 'now')
  assert.deepEqual({ mode, shape, modules, moduleNames, objects }, status)
})

test('of very many problems the first are told', () => {
  const problems = Array.from({ length: 100 }, (_, index) => new ReconcileError('Invalid', `problem ${index}`, 'heals'))
  assert.equal(readyOf(outcome({ problems })).message.split('\n').length, 20)
})
