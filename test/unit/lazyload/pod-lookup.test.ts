/** Asking whose an address is: how often, in which order, and what is kept of it. */
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { callerOf, createPodCallers } from '../../../lazyload/accesslog/pod-callers.ts'
import { createPodLookup, type PodLookup } from '../../../lazyload/mesh/pod-lookup.ts'
import type { Pod } from '../../../lazyload/mesh/pods.ts'
import { ApiError } from '../../../runtime/errors.ts'

const pod = (name: string, over: Partial<Pod> = {}): Pod => ({
  namespace: 'shop',
  name,
  uid: name,
  labels: { app: name },
  hostNetwork: false,
  finished: false,
  finishedAt: undefined,
  ...over,
})

interface Scene {
  readonly lookup: PodLookup
  readonly asked: readonly string[]
  readonly answers: readonly string[]
  readonly allowed: readonly string[]
  readonly tick: (ms: number) => Promise<void>
  answerWith: (address: string) => Promise<readonly Pod[]>
}

function setScene(): Scene {
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  const [asked, answers, allowed]: [string[], string[], string[]] = [[], [], []]
  const scene = {
    asked,
    answers,
    allowed,
    answerWith: async (): Promise<readonly Pod[]> => [],
    lookup: createPodLookup({
      pods: {
        withAddress: async (address, namespace) => {
          asked.push(`${namespace ?? ''} ${address}`)
          return await scene.answerWith(address)
        },
      },
      onAnswer: (place, address, pods) => answers.push(`${place} ${address} ${pods?.length ?? 'none'}`),
      onAllowed: (place, may) => allowed.push(`${place} ${may}`),
      onProblem: () => {},
      now: Date.now,
    }),
    tick: async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 10) {
        mock.timers.tick(10)
        for (let turn = 0; turn < 8; turn++) await Promise.resolve()
      }
    },
  } as Scene & { answerWith: Scene['answerWith'] }
  return scene
}

test('an address is asked for once, and again when the answer is too old', async () => {
  const { lookup, asked, tick } = setScene()
  for (let count = 0; count < 5; count++) assert.equal(lookup.ask('shop', '10.0.0.1', true), true)
  assert.equal(lookup.known('shop', '10.0.0.1'), undefined)
  await tick(10)
  assert.deepEqual(asked, ['shop 10.0.0.1'])
  assert.deepEqual(lookup.known('shop', '10.0.0.1'), [])
  assert.equal(lookup.known('', '10.0.0.1'), undefined)
  await tick(6000)
  assert.equal(lookup.known('shop', '10.0.0.1'), undefined)
})

test('made-up addresses from one place are asked for slowly, and hold up no other place', async () => {
  const { lookup, asked, tick } = setScene()
  const taken = Array.from({ length: 5000 }, (_, index) => lookup.ask('enemy', `10.1.${index >> 8}.${index & 255}`, true))
  assert.ok(taken.filter((each) => each).length <= 600, 'few may wait')
  lookup.ask('shop', '10.0.0.1', true)
  await tick(1000)
  assert.ok(asked.includes('shop 10.0.0.1'))
  assert.ok(asked.length <= 40, `${asked.length} requests in a second`)
  await tick(10_000)
  assert.ok(asked.length > 100 && asked.length <= 140, `${asked.length} requests in eleven seconds`)
})

test('an address that no Service has is asked for first', async () => {
  const { lookup, asked, tick } = setScene()
  for (let index = 0; index < 60; index++) lookup.ask('', `10.0.1.${index}`, false)
  lookup.ask('', '10.0.0.1', true)
  await tick(100)
  assert.ok(asked.indexOf(' 10.0.0.1') >= 0 && asked.indexOf(' 10.0.0.1') < 10, String(asked.indexOf(' 10.0.0.1')))
})

test('what fails is asked for again a few times; where it is forbidden nothing is asked for a while, and that is told', async () => {
  const scene = setScene()
  const { lookup, asked, answers, allowed, tick } = scene
  scene.answerWith = async () => await Promise.reject(new Error('no answer'))
  lookup.ask('shop', '10.0.0.1', true)
  await tick(20_000)
  assert.deepEqual([asked.length, answers], [5, ['shop 10.0.0.1 none']])
  scene.answerWith = async () => await Promise.reject(new ApiError('list pods', 403, 'forbidden'))
  lookup.ask('shop', '10.0.0.2', true)
  await tick(2000)
  assert.deepEqual([allowed, answers.at(-1)], [['shop false'], 'shop 10.0.0.2 none'])
  assert.equal(lookup.ask('shop', '10.0.0.3', true), false)
  await tick(15_000)
  scene.answerWith = async () => [pod('a')]
  assert.equal(lookup.ask('shop', '10.0.0.3', true), true)
  await tick(100)
  assert.deepEqual([allowed, answers.at(-1)], [['shop false', 'shop true'], 'shop 10.0.0.3 1'])
  lookup.close()
  assert.equal(lookup.ask('shop', '10.0.0.4', true), false)
})

test('which of the pods with an address calls: the one that lives, else the one that has just finished; none where that is not sure', () => {
  const now = 1_000_000
  const done = (name: string, ago: number): Pod => pod(name, { finished: true, finishedAt: now - ago })
  const cases: readonly (readonly [readonly Pod[], string | undefined])[] = [
    [[], undefined],
    [[pod('a')], 'a'],
    [[pod('a'), done('b', 1)], 'a'],
    [[pod('a'), pod('b')], undefined],
    [[done('b', 1000)], 'b'],
    [[done('b', 1000), done('c', 60_000)], 'b'],
    [[done('b', 1000), done('c', 2000)], undefined],
    [[done('b', 60_000)], undefined],
    [[pod('b', { finished: true })], undefined],
    [[pod('node', { hostNetwork: true })], undefined],
    [[pod('node', { hostNetwork: true }), pod('a')], undefined],
  ]
  for (const [pods, expected] of cases) assert.equal(callerOf(pods, now)?.name, expected, JSON.stringify(pods))
})

test('a fence that comes to select the pod learns from its next call, one that does not any more learns nothing', () => {
  const busy = pod('job')
  const learned: string[] = []
  let fences = ['shop/job']
  let version = 1
  const callers = createPodCallers({
    lookup: { known: () => [busy], ask: () => assert.fail('nothing is new') },
    selecting: { of: () => fences, version: () => version },
    destinationsOf: ({ authority }) => [authority],
    isNew: () => false,
    learn: (fence, hosts) => hosts.forEach((_, host) => learned.push(`${fence} ${host}`)),
    observe: () => {},
  })
  const take = (): void =>
    callers.take({ directRemote: '10.0.0.1', remote: '', upstreamCluster: '', authority: 'details' }, 'shop', '10.0.0.1', true)
  take()
  fences = ['shop/later']
  version++
  take()
  assert.deepEqual(learned, ['shop/job details', 'shop/later details'])
})

test('calls that wait are bounded for an address and for a place, and each is kept once with its count', () => {
  const counts = new Map<string, number>()
  const learned = new Map<string, number>()
  const callers = createPodCallers({
    lookup: { known: () => undefined, ask: () => true },
    selecting: { of: (namespace, labels) => [`${namespace}/${labels['app']}`], version: () => 1 },
    destinationsOf: ({ authority }) => [authority],
    isNew: () => true,
    learn: (fence, hosts) => hosts.forEach((count, host) => learned.set(`${fence} ${host}`, count)),
    observe: (result, count) => counts.set(result, (counts.get(result) ?? 0) + count),
  })
  const take = (authority: string, address: string): void =>
    callers.take({ directRemote: address, remote: '', upstreamCluster: '', authority }, 'shop', address, true)
  for (let count = 0; count < 3; count++) take('details', '10.0.0.1')
  take('x'.repeat(5000), '10.0.0.1')
  for (let index = 0; index < 5000; index++) take(`h${index}`, '10.0.0.2')
  for (let index = 0; index < 5000; index++) take('details', `10.1.${index >> 8}.${index & 255}`)
  callers.answer('shop', '10.0.0.1', [pod('job')])
  assert.deepEqual([...learned], [['shop/job details', 3]])
  assert.equal(counts.get('learnable'), 3)
  // one too long, all but 100 of the second address, and all but the 899 for which there is room then
  assert.equal(counts.get('no-source'), 1 + 4900 + 5000 - 899)
  callers.answer('elsewhere', '10.0.0.2', [pod('job')])
  assert.equal(learned.size, 1)
})
