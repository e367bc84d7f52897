import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { podCause } from '../../../operator/apply/pod-cause.ts'
import { hasAvailableReplica, unreadyDeployment } from '../../../operator/apply/readiness.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const deployment = (status: unknown, replicas = 2, generation = 3): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', namespace: 'n', generation },
  spec: { replicas },
  status,
})
const DONE = { observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 2 }

describe('a Deployment', () => {
  const cases: readonly (readonly [string, unknown, string | undefined, boolean])[] = [
    ['rolled out', DONE, undefined, true],
    ['without any status', undefined, 'NotObserved', false],
    ['of an older generation', { ...DONE, observedGeneration: 2 }, 'NotObserved', false],
    ['with too few new replicas', { ...DONE, updatedReplicas: 1 }, 'RollingOut', true],
    [
      'with only old replicas available',
      { observedGeneration: 3, replicas: 3, updatedReplicas: 1, availableReplicas: 2 },
      'RollingOut',
      false,
    ],
    [
      'with a new one available beside the old ones',
      { observedGeneration: 3, replicas: 3, updatedReplicas: 1, availableReplicas: 3 },
      'RollingOut',
      true,
    ],
    [
      'with old replicas still ending',
      { observedGeneration: 3, replicas: 3, updatedReplicas: 2, availableReplicas: 2 },
      'RollingOut',
      true,
    ],
    ['with one of two available', { ...DONE, availableReplicas: 1 }, 'Unavailable', true],
    ['with none available', { ...DONE, availableReplicas: 0 }, 'Unavailable', false],
    [
      'whose pods are refused',
      { ...DONE, conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' }] },
      'FailedCreate',
      true,
    ],
  ]
  for (const [what, status, reason, open] of cases) {
    test(`${what}: ${reason ?? 'ready'}, ${open ? 'takes' : 'does not take'} traffic`, () => {
      assert.equal(unreadyDeployment(deployment(status))?.reason, reason)
      assert.equal(hasAvailableReplica(deployment(status)), open)
    })
  }
  test('of no replicas is ready', () => assert.equal(unreadyDeployment(deployment({ observedGeneration: 3 }, 0)), undefined))
  test('that is not there takes no traffic', () => assert.equal(hasAvailableReplica(undefined), false))
})

describe('the cause of pods that are not ready', () => {
  const pod = (name: string, status: unknown): KubeObject => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'n' }, status })
  const container = (state: unknown, more: object = {}): unknown => ({
    phase: 'Pending',
    containerStatuses: [{ name: 'c', ready: false, state, ...more }],
  })
  const cases: readonly (readonly [string, unknown, string | undefined, string?])[] = [
    ['no status', undefined, undefined],
    ['being created', container({ waiting: { reason: 'ContainerCreating' } }), undefined],
    [
      'no place',
      { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' }] },
      'Unschedulable',
      'pod p: Unschedulable: 0/1 nodes',
    ],
    [
      'image',
      container({ waiting: { reason: 'ImagePullBackOff', message: 'Back-off\n  pulling' } }),
      'ImagePullBackOff',
      'pod p, container c: ImagePullBackOff: Back-off pulling',
    ],
    [
      'crash',
      container(
        { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 5m0s' } },
        { lastState: { terminated: { exitCode: 137, reason: 'Error' } } },
      ),
      'CrashLoopBackOff',
      'pod p, container c: CrashLoopBackOff: last exit code 137 (Error)',
    ],
    ['ended', container({ terminated: { exitCode: 1, reason: 'Error' } }), 'Error', 'pod p, container c: Error, exit code 1'],
    ['ended well', container({ terminated: { exitCode: 0, reason: 'Completed' } }), undefined],
    [
      'init container',
      {
        initContainerStatuses: [
          { name: 'i', state: { waiting: { reason: 'CreateContainerConfigError', message: 'configmap "a" not found' } } },
        ],
      },
      'CreateContainerConfigError',
      'pod p, container i: CreateContainerConfigError: configmap "a" not found',
    ],
    [
      'probe',
      { phase: 'Running', containerStatuses: [{ name: 'c', ready: false, state: {} }] },
      'NotReady',
      'pod p, container c: running, its readiness probe does not pass',
    ],
    ['ready', { phase: 'Running', containerStatuses: [{ name: 'c', ready: true, state: {} }] }, undefined],
  ]
  for (const [what, status, reason, message] of cases) {
    test(`${what}: ${reason ?? 'none'}`, () => {
      const cause = podCause([pod('p', status)])
      assert.deepEqual([cause?.reason, cause?.message], [reason, message])
    })
  }
  test('is that of the first pod by name that has one', () => {
    const waiting = (reason: string): unknown => container({ waiting: { reason } })
    assert.equal(podCause([pod('c', waiting('X')), pod('b', waiting('Y')), pod('a', undefined)])?.message, 'pod b, container c: Y')
  })
})

describe('a container whose memory was not enough', () => {
  const ended = { terminated: { exitCode: 137, reason: 'OOMKilled' } }
  const pod = (status: object, limits: object | undefined = { memory: '200Mi' }, kind = 'containerStatuses'): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n' },
    spec: { containers: [{ name: 'other' }, { name: 'istio-proxy', resources: { limits } }] },
    status: { phase: 'Running', [kind]: [{ name: 'istio-proxy', ready: false, ...status }] },
  })
  const HEAD = 'pod p, container istio-proxy: OOMKilled: exit code 137'
  const LOW = 'Its memory limit of 200Mi is too low. Set spec.component.globalSidecar.resources.limits.memory higher, for example to 400Mi'
  const ADVICE = `${LOW}; "slimeboot preflight" estimates what it needs.`

  for (const [what, status, expected] of [
    [
      'waits to be restarted',
      { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: ended, restartCount: 7 },
      ', restarted 7 times',
    ],
    ['has just ended for the first time', { state: ended, restartCount: 0 }, ''],
    ['has ended again', { state: ended, lastState: ended, restartCount: 1 }, ', restarted once'],
    ['is starting anew', { state: { running: {} }, lastState: ended, restartCount: 9 }, ', restarted 9 times'],
    ['has ended very often', { state: { running: {} }, lastState: ended, restartCount: 4711 }, ', restarted 10 times or more'],
  ] as const)
    test(`${what}: the message says how often, its limit, and what to set`, () =>
      assert.deepEqual(podCause([pod(status)], 'global-sidecar'), { reason: 'OOMKilled', message: `${HEAD}${expected}. ${ADVICE}` }))

  test('is found among init containers too, where native sidecars are', () =>
    assert.equal(podCause([pod({ state: ended }, {}, 'initContainerStatuses')], 'global-sidecar')?.reason, 'OOMKilled'))

  for (const [name, path] of [
    ['global-sidecar-pilot', 'spec.component.pilot.resources'],
    ['lazyload', 'spec.resources'],
  ] as const)
    test(`of Deployment ${name}: ${path}`, () =>
      assert.ok(
        podCause([pod({ state: ended }, { memory: '1Gi' })], name)?.message.endsWith(
          `limit of 1Gi is too low. Set ${path}.limits.memory higher, for example to 2048Mi.`,
        ),
      ))

  test('without a limit its node was full', () =>
    assert.match(
      podCause([pod({ state: ended }, {})], 'lazyload')?.message ?? '',
      /It has no memory limit, so its node ran out of memory\. Set spec\.resources\.requests/,
    ))

  test('is no longer named when the container is ready, or ended otherwise since', () => {
    assert.equal(podCause([pod({ ready: true, state: { running: {} }, lastState: ended })]), undefined)
    const error = { terminated: { exitCode: 1, reason: 'Error' } }
    assert.equal(podCause([pod({ state: error, lastState: ended })])?.reason, 'Error')
  })
})
