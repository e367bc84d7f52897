/** A watch that never goes blind: whatever happens between the operator and the API server, the cache ends up right. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { CONFIG_MAP } from '../../operator/api/kinds.ts'
import { createOperatorMetrics } from '../../operator/metrics.ts'
import { ApiError, ConnectionError } from '../../runtime/errors.ts'
import type { Informer } from '../../runtime/informer.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { type Exchange, type Fault, isList, isWatch } from '../helpers/fault-proxy.ts'
import { startWatching, type WatchingOptions } from '../helpers/watching.ts'

const PATIENT = { timeout: 60_000, interval: 20 }

let cluster: ClusterAccess
before(async () => {
  cluster = await sharedCluster()
})
const start = async (options?: WatchingOptions) => await startWatching(cluster, options)

describe('a connection that breaks', { concurrency: true }, () => {
  test('by a reset is opened again where it was, without a list, and nothing is missed', async () => {
    await using scene = await start()
    await scene.hears('before')
    scene.proxy.inject(isWatch, { reset: true }, 2)
    scene.proxy.cut()
    await scene.admin.remove({ type: CONFIG_MAP, namespace: scene.namespace, name: 'before' })
    await scene.hears('after')
    await scene.holds('after')
    assert.equal(scene.informer.relists(), 1)
  })

  test('without a word (half-open) is noticed by its silence, and nothing is missed', async () => {
    await using scene = await start({ timing: { inactivityMs: 1000 } })
    await scene.hears('before')
    scene.proxy.stall()
    await scene.hears('after')
    // the list that follows does not go over a connection that died with the watch
    assert.ok(scene.problems.length > 0)
    for (const { error } of scene.problems) assert.match(String(error), /silent for 1 s/)
  })

  test('without a word before a watch or a list is answered is given up after the timeout', async () => {
    const options = { timeoutMs: 500, timing: { inactivityMs: 1000 } }
    await using scene = await start({ ...options, prepare: async ({ proxy }) => proxy.inject(isList, { stall: 'headers' }, 1) })
    scene.proxy.inject(isWatch, { stall: 'headers' }, 1)
    scene.proxy.cut()
    await scene.hears('one')
    scene.proxy.inject(isWatch, { answer: 410, stall: 'body' }, 1)
    scene.proxy.inject(isWatch, { answer: 410 }, 1)
    scene.proxy.inject(isList, { stall: 'body' }, 1)
    scene.proxy.cut()
    await scene.hears('two')
    const timeouts = scene.problems.filter(({ error }) => /no answer within 0.5 s/.test(String(error)))
    assert.ok(timeouts.length >= 4, scene.problems.map(({ error }) => String(error)).join('\n'))
  })

  test('takes the idle connections with it: the next request does not run into another dead one', async () => {
    await using scene = await start({ timeoutMs: 4000 })
    const get = async (): Promise<unknown> => await scene.client.get({ type: CONFIG_MAP, namespace: scene.namespace, name: 'none' })
    await Promise.all(Array.from({ length: 8 }, get))
    scene.proxy.stall()
    await assert.rejects(get(), /no answer within 4 s/)
    assert.equal(await get(), undefined)
  })

  test('because nobody listens is tried again until somebody does', async () => {
    await using scene = await start()
    await scene.proxy.down()
    await scene.put('meanwhile', '1')
    await eventually(() => assert.ok(scene.problems.length >= 3), PATIENT)
    await scene.proxy.up()
    await scene.hears('after')
    await scene.holds('after', 'meanwhile')
    assert.equal(scene.informer.relists(), 1)
  })
})

const expired = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Expired', code: 410, message: 'too old resource version' }

describe('a server that refuses', { concurrency: true }, () => {
  for (const [what, refuse] of [
    ['as a status', (scene: Scene) => (scene.proxy.inject(isWatch, { answer: 410, body: expired }, 1), scene.proxy.cut())],
    ['as an event', (scene: Scene) => assert.equal(scene.proxy.tell(isWatch, JSON.stringify({ type: 'ERROR', object: expired })), 1)],
  ] as const) {
    test(`because the version is too old (410 ${what}) is asked for a list, which tells what came, changed and went`, async () => {
      await using scene = await start()
      for (const name of ['stays', 'goes', 'changes']) await scene.hears(name)
      // what the list is to tell happens while no watch is open
      scene.proxy.inject(isWatch, { answer: 500 }, 1)
      scene.proxy.inject(isWatch, { answer: 410, delayMs: 300 }, 1)
      refuse(scene)
      await scene.admin.remove({ type: CONFIG_MAP, namespace: scene.namespace, name: 'goes' })
      await scene.put('comes', '1')
      await scene.hears('changes')
      await scene.holds('stays', 'changes', 'comes')
      assert.ok(scene.informer.relists() >= 2)
    })
  }

  test('with 429 is asked again after the time that it names, not before', async () => {
    await using scene = await start()
    // more often than the transport asks by itself
    scene.proxy.inject(isWatch, { answer: 429, headers: { 'retry-after': '1' } }, 5)
    scene.proxy.cut()
    await scene.hears('after')
    const [, ...asked] = scene.watches()
    assert.deepEqual(
      asked.map(({ status }) => status),
      [429, 429, 429, 429, 429, 200],
    )
    const waits = asked.slice(1).map((next, index) => next.at - asked[index]!.endedAt!)
    assert.ok(
      waits.every((ms) => ms >= 950),
      `${waits.map(Math.round).join(', ')} ms`,
    )
    assert.equal(scene.informer.relists(), 1)
  })

  test('with 401 is asked again at once with the token that is in the file now', async () => {
    await using scene = await start()
    const old = scene.watches()[0]!.authorization
    scene.rotate(cluster.createUser('rotated', ['system:masters']))
    scene.proxy.inject(({ authorization }) => authorization === old, { answer: 401 })
    scene.proxy.cut()
    await scene.hears('after')
    const [, refused, accepted] = scene.watches()
    assert.deepEqual([refused?.status, accepted?.status], [401, 200])
    assert.notEqual(accepted?.authorization, old)
    assert.deepEqual(
      scene.problems.filter(({ error }) => !/aborted|socket hang up|ECONNRESET/.test(String(error))),
      [],
    )
  })

  test('with a token file that is half written goes on as soon as it is whole', async () => {
    await using scene = await start()
    const token = scene.watches()[0]!.authorization.replace('Bearer ', '')
    scene.rotate(undefined)
    scene.proxy.inject(({ authorization }) => authorization === `Bearer ${token}`, { answer: 401 }, 3)
    scene.proxy.cut()
    await eventually(() => assert.ok(scene.watches().some(({ status }) => status === 401)), PATIENT)
    scene.rotate(token)
    await scene.hears('after')
    assert.deepEqual(
      scene.problems.filter(({ error }) => !(error instanceof ApiError || error instanceof ConnectionError)),
      [],
    )
  })

  test('the same watch again and again is asked for a list instead', async () => {
    await using scene = await start()
    scene.proxy.inject(notYetListed(scene), { answer: 504 })
    scene.proxy.cut()
    await scene.hears('after')
    assert.equal(scene.informer.relists(), 2)
  })

  for (const [what, fault] of [
    ['errors', { answer: 500 }],
    ['watches that end at once', { answer: 200, body: {} }],
    ['connections that break', { reset: true }],
  ] as const satisfies readonly (readonly [string, Fault])[]) {
    test(`with nothing but ${what} is asked by one attempt at a time, in growing intervals up to the limit`, async () => {
      await using scene = await start({ timing: { backoffMs: 50, maxBackoffMs: 400 } })
      const watchesBefore = scene.watches().length
      scene.proxy.inject((exchange) => isWatch(exchange) || isList(exchange), { ...fault, delayMs: 20 })
      scene.proxy.cut()
      const asked = (): readonly Exchange[] =>
        scene.proxy.exchanges.filter((exchange) => isWatch(exchange) || isList(exchange)).slice(watchesBefore + 1)
      await eventually(() => assert.ok(asked().length >= 12), PATIENT)
      const attempts = asked().slice(0, 12)
      for (const [index, attempt] of attempts.slice(1).entries()) assert.ok(attempt.at >= attempts[index]!.endedAt!, 'two at once')
      // after a reset the transport itself sends the request a second time, so not every one waits
      const waits = attempts.slice(1).map((attempt, index) => attempt.at - attempts[index]!.endedAt!)
      const long = waits.filter((ms) => ms >= 300)
      assert.ok(long.length >= 3, `it does not get slower: ${waits.map(Math.round).join(' ')}`)
      scene.proxy.heal()
      await scene.hears('after')
    })
  }
})

describe('a server that talks', { concurrency: true }, () => {
  test('bookmarks keep the place while nothing else is said: after the next watch begins there, no list is needed', async () => {
    await using scene = await start({ labelSelector: 'watched', timing: { watchSeconds: 5 } })
    const first = scene.watches()[0]!
    assert.equal(first.query.get('allowWatchBookmarks'), 'true')
    // others make versions that this watch does not tell
    const noise = await scene.admin.create(CONFIG_MAP, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'noise', namespace: scene.namespace },
    })
    await eventually(() => {
      const last = scene.watches().at(-1)!
      assert.ok(Number(last.query.get('resourceVersion')) >= Number(noise.metadata.resourceVersion))
    }, PATIENT)
    await scene.hears('after')
    assert.equal(scene.informer.relists(), 1)
    assert.deepEqual(scene.problems, [])
  })

  test('watches end by themselves after a time that differs from one to the next', async () => {
    await using scene = await start({ timing: { watchSeconds: 100 } })
    for (let count = 2; count <= 12; count++) {
      scene.proxy.cut()
      await eventually(() => assert.ok(scene.watches().length >= count), PATIENT)
    }
    const seconds = scene.watches().map(({ query }) => Number(query.get('timeoutSeconds')))
    assert.ok(
      seconds.every((each) => each >= 80 && each <= 120),
      seconds.join(' '),
    )
    assert.ok(new Set(seconds).size > 3, seconds.join(' '))
  })

  test('a watch that says something now and then is not taken for dead', async () => {
    await using scene = await start({ timing: { inactivityMs: 3000 } })
    for (let count = 0; count < 10; count++) {
      await scene.hears(`sign-${count}`)
      await sleep(450)
    }
    assert.deepEqual(scene.problems, [])
    assert.equal(scene.watches().length, 1)
  })

  test('metrics tell how long nothing was heard, and how often it was listed', async () => {
    await using scene = await start()
    const metrics = createOperatorMetrics({ workers: 1 })
    metrics.watchController({ informers: [scene.informer], orphans: () => 0 })
    const valueOf = async (name: string): Promise<number> => {
      const { text } = await metrics.render()
      return Number(new RegExp(`^slimeboot_watch_${name}{resource="configmaps"} (\\S+)$`, 'm').exec(text)?.[1])
    }
    assert.equal(await valueOf('relists_total'), 1)
    await eventually(async () => assert.ok((await valueOf('silent_seconds')) > 0.3), PATIENT)
    await scene.hears('something')
    const heardAt = performance.now()
    const seconds = await valueOf('silent_seconds')
    assert.ok(seconds < 0.3 + (performance.now() - heardAt) / 1000, `${seconds} s`)
    scene.proxy.tell(isWatch, JSON.stringify({ type: 'ERROR', object: expired }))
    await eventually(async () => assert.equal(await valueOf('relists_total'), 2), PATIENT)
  })

  test('nonsense in the middle is no reason to miss what comes after it', async () => {
    await using scene = await start()
    await scene.hears('before')
    for (const line of ['{"type":"MODIFIED","object":{"meta', 'null', '<html>502 Bad Gateway</html>']) {
      await eventually(() => assert.equal(scene.proxy.tell(isWatch, line), 1), PATIENT)
      await scene.hears(`after-${line.length}`)
    }
    assert.equal(scene.informer.relists(), 1)
  })

  test('nonsense at the beginning of each watch from one version is left behind by a list', async () => {
    await using scene = await start()
    scene.proxy.inject(notYetListed(scene), { prepend: '<html>\n' })
    scene.proxy.cut()
    await scene.hears('after')
    assert.equal(scene.informer.relists(), 2)
  })

  test('pages are read to the end', async () => {
    const names = Array.from({ length: 7 }, (_, index) => `page-${index}`)
    await using scene = await start({
      pageSize: 2,
      prepare: async ({ put }) => void (await Promise.all(names.map(async (name) => await put(name, '1')))),
    })
    await scene.holds(...names)
    scene.proxy.tell(isWatch, JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } }))
    await scene.hears('after')
    await scene.holds(...names, 'after')
    const pages = scene.proxy.exchanges.filter(isList).filter(({ query }) => query.get('resourceVersion') === null)
    assert.ok(pages.filter(({ query }) => query.has('continue')).length >= 3)
  })

  test('pages that are compacted away while they are read are read all at once', async () => {
    const names = Array.from({ length: 7 }, (_, index) => `page-${index}`)
    await using scene = await start({
      pageSize: 2,
      prepare: async ({ put }) => void (await Promise.all(names.map(async (name) => await put(name, '1')))),
    })
    scene.proxy.inject(({ query }) => query.has('continue'), { answer: 410 })
    scene.proxy.tell(isWatch, JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } }))
    await scene.hears('after')
    await scene.holds(...names, 'after')
    assert.ok(scene.informer.relists() >= 2)
  })

  test('a list that comes slowly but steadily is not given up', async () => {
    const names = ['a', 'b', 'c', 'd']
    const prepare: WatchingOptions['prepare'] = async ({ proxy, put }) => {
      await Promise.all(names.map(async (name) => await put(name, 'x'.repeat(40_000))))
      proxy.inject(isList, { bytesPerSecond: 30_000 })
    }
    await using scene = await start({ timeoutMs: 4000, prepare })
    await scene.holds(...names)
    assert.deepEqual(scene.problems, [])
    const list = scene.proxy.exchanges.find(isList)!
    assert.ok(list.endedAt! - list.at > 4500)
  })

  test('a watch that cannot keep up with the changes ends with the right cache all the same', async () => {
    await using scene = await start({ timing: { inactivityMs: 30_000 } })
    scene.proxy.inject(isWatch, { bytesPerSecond: 400_000 }, 1)
    scene.proxy.cut()
    await eventually(() => assert.equal(scene.watches().at(-1)?.status, 200), PATIENT)
    const text = 'x'.repeat(30_000)
    const last = new Map<string, string>()
    for (let round = 0; round < 8; round++) {
      const names = Array.from({ length: 10 }, (_, index) => `big-${index}`)
      await Promise.all(names.map(async (name) => (last.set(name, `${round} ${text}`), await scene.put(name, `${round} ${text}`))))
    }
    await scene.admin.remove({ type: CONFIG_MAP, namespace: scene.namespace, name: 'big-9' })
    last.delete('big-9')
    scene.proxy.heal()
    await eventually(() => {
      const held = new Map(
        [...scene.informer.values()]
          .filter(({ metadata }) => metadata.name.startsWith('big-'))
          .map((object) => [object.metadata.name, (object['data'] as { value: string }).value]),
      )
      assert.deepEqual([...held.keys()].sort(), [...last.keys()].sort())
      assert.ok([...held].every(([name, value]) => value === last.get(name)))
    }, PATIENT)
  })
})

describe('a kind', { concurrency: true }, () => {
  const missing: Fault = { answer: 404 }
  const stateOf = ({ forbidden, kindMissing, blind }: Informer): string =>
    Object.entries({ forbidden: forbidden(), missing: kindMissing(), blind: blind() })
      .filter(([, is]) => is)
      .map(([what]) => what)
      .join(' ')

  test('that was forbidden and turns out to be missing is known to be empty; when it comes it is not blind for a moment', async () => {
    const states: string[] = []
    await using scene = await start({
      timing: { missingKindMs: 200, backoffMs: 200 },
      prepare: async ({ proxy }) => {
        proxy.inject(isList, { answer: 403 }, 1)
        proxy.inject(isList, missing, 1)
        proxy.inject(isWatch, { delayMs: 500 }, 1)
      },
      observe: (informer) => {
        const state = stateOf(informer)
        if (states.at(-1) !== state) states.push(state)
      },
    })
    assert.deepEqual(states.filter(Boolean), ['blind', 'forbidden blind', 'missing'])
    assert.equal(stateOf(scene.informer), '')
  })

  test('that has vanished is blind until it is back', async () => {
    await using scene = await start({ timing: { missingKindMs: 500 } })
    scene.proxy.inject((exchange) => isWatch(exchange) || isList(exchange), missing, 3)
    scene.proxy.cut()
    await eventually(() => assert.equal(stateOf(scene.informer), 'missing blind'), PATIENT)
    await eventually(() => assert.equal(stateOf(scene.informer), ''), PATIENT)
  })
})

/** Watches from now on, until somebody has listed. */
function notYetListed({ proxy }: Scene): (exchange: Exchange) => boolean {
  const from = proxy.exchanges.length
  return (exchange) => isWatch(exchange) && !proxy.exchanges.slice(from).some(isList)
}

type Scene = Awaited<ReturnType<typeof start>>
