import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Registry from 'prom-client/lib/registry.js'
import { after, attempt, every, guarded, inBackground, listen, listenOnce, onAbort, soon } from '../../../runtime/callbacks.ts'
import { collectCounters, collectGauge } from '../../../runtime/collected-metrics.ts'
import { startHealthServer } from '../../../runtime/health-server.ts'
import { createInformer } from '../../../runtime/informer.ts'
import type { KubeObject } from '../../../runtime/object.ts'
import { createObjectCache } from '../../../runtime/object-cache.ts'
import { CALLBACK_KINDS, type CallbackKind, type Panic, panicCounts, panicked, tellPanicsTo } from '../../../runtime/panics.ts'
import { createWorkQueue } from '../../../runtime/work-queue.ts'
import { runWorkers } from '../../../runtime/worker.ts'
import { eventually } from '../../helpers/eventually.ts'

const ROOT = join(import.meta.dirname, '../../..')
const told: Panic[] = []
tellPanicsTo((panic) => told.push(panic))

/** Each error once, so that none is taken for a repetition. */
let number = 0
function fail(): never {
  throw new Error(`bug number ${++number}`)
}

/** What `work` adds to the counts. */
async function counted(kind: CallbackKind, least: number, work: () => unknown): Promise<void> {
  const before = panicCounts().get(kind) ?? 0
  await work()
  await eventually(() => assert.ok((panicCounts().get(kind) ?? 0) >= before + least, `${panicCounts().get(kind)} after ${before}`))
}

const object = (name: string, resourceVersion: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'shop', name, resourceVersion },
})

test('what a callback throws is counted and told with its place, whatever has called it', async () => {
  const emitter = new EventEmitter()
  const abort = new AbortController()
  await counted('timer', 1, () => after(1, 'once', fail))
  await counted('timer', 2, () => {
    const timer = every(1, 'again and again', fail)
    onAbort(abort.signal, 'end', () => clearInterval(timer))
  })
  await counted('timer', 1, () => soon('soon', fail))
  await counted('event', 2, () => {
    listen(emitter, 'news', 'news', fail)
    listenOnce(emitter, 'news', 'first news', fail)
    emitter.emit('news')
  })
  await counted('event', 2, () => {
    onAbort(abort.signal, 'later', fail)
    abort.abort()
    onAbort(abort.signal, 'at once', fail)
  })
  await counted(
    'stream',
    1,
    guarded('stream', 'async', async () => await Promise.reject(new Error(`bug number ${++number}`))),
  )
  await counted('background', 1, () => inBackground('nobody waits', Promise.reject(new Error(`bug number ${++number}`))))
  assert.equal(attempt('round', 'a value', fail, 'otherwise'), 'otherwise')
  assert.match(told.find(({ place }) => place === 'first news')?.error ?? '', /bug number \d+\n +at fail/)
})

test('an error that is no Error, one that cannot be told, and who cannot tell it: each is counted', () => {
  const hostile = {
    toString(): string {
      throw new Error('not even a text')
    },
  }
  const before = panicCounts().get('process') ?? 0
  for (const error of [undefined, null, 'text', hostile, Object.create(null)]) panicked('process', 'odd', error)
  assert.equal(panicCounts().get('process'), before + 5)
})

test('the same error again and again is told once, and how often it was not told', () => {
  const before = told.length
  for (let time = 0; time < 1000; time++) panicked('timer', 'flood', new Error('the same'))
  assert.equal(told.length, before + 1)
})

test('an object whose handler throws is in the cache, and those after it are heard of', () => {
  const seen: string[] = []
  const cache = createObjectCache((_, current) => {
    if (current?.metadata.name === 'bad') fail()
    seen.push(current?.metadata.name ?? '')
  })
  for (const name of ['bad', 'good']) cache.put(object(name, '1'), 'watch')
  assert.deepEqual(seen, ['good'])
  assert.equal(cache.size(), 2)
  assert.ok(told.some(({ kind, place }) => kind === 'watch' && place === 'Service/shop/bad'))
})

test('one object that cannot be read leaves the others: it stays as it was known', async () => {
  const stop = new AbortController()
  const informer = createInformer({
    client: {
      list: async (_, options) => ({
        resourceVersion: '9',
        items: await Promise.resolve(['bad', 'good'].flatMap((name) => options?.map?.(object(name, '5')) ?? [])),
      }),
      watch: async () => {
        stop.abort()
        return await Promise.reject(new Error('over'))
      },
    },
    type: { apiVersion: 'v1', kind: 'Service', plural: 'services', namespaced: true },
    transform: (each) => (each.metadata.name === 'bad' && each.metadata.resourceVersion !== '1' ? fail() : each),
  })
  informer.record(object('bad', '1'))
  await informer.run(stop.signal)
  assert.deepEqual(
    [...informer.values()].map(({ metadata: { name, resourceVersion } }) => `${name} ${resourceVersion}`),
    ['bad 1', 'good 5'],
  )
})

test('who observes queues and workers, and whom panics of a reconcile are told, stops no worker', async () => {
  const observer = { added: fail, taken: fail, finished: fail, retried: fail }
  const queue = createWorkQueue({ observer, firstBackoffMs: 1 })
  const done: string[] = []
  await counted('observer', 8, async () => {
    const working = runWorkers({
      queue,
      concurrency: 2,
      reconcile: async (key) => {
        done.push(key)
        return await (key === 'bad' ? Promise.reject(new Error('a bug')) : Promise.resolve({}))
      },
      onPanic: fail,
      observer: { finished: fail },
    })
    for (const key of ['bad', 'good', 'better']) queue.add(key)
    await eventually(() => assert.ok(done.filter((key) => key === 'bad').length > 1 && done.includes('better'), done.join(' ')))
    queue.close()
    await working
  })
})

test('a metric that cannot be looked up leaves the others', async () => {
  const registry = new Registry()
  collectGauge(registry, 'broken', 'Broken.', {}, fail)
  collectCounters(registry, 'broken_total', 'Broken.', [], fail)
  collectGauge(registry, 'whole', 'Whole.', {}, () => 7)
  await counted('metrics', 2, async () => assert.match(await registry.metrics(), /^whole 7$/m))
})

test('a request whose handler throws is answered with 500, a liveness check that throws is no reason to restart', async (context: TestContext) => {
  const server = await startHealthServer({
    address: { host: '127.0.0.1', port: 0 },
    live: fail,
    ready: fail,
    metrics: fail,
    onProblem: fail,
    handle: async (_, { pathname }) => await (pathname === '/mine' ? Promise.reject(new Error('a bug')) : Promise.resolve(undefined)),
  })
  context.after(() => server.close())
  const codeOf = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${server.port}${path}`)).status
  await counted('request', 4, async () => {
    assert.equal(await codeOf('/livez'), 200)
    for (const path of ['/readyz', '/metrics', '/mine']) assert.equal(await codeOf(path), 500, path)
  })
  assert.equal(await codeOf('/nowhere'), 404)
})

test('every kind of callback has its count from the start', () => {
  assert.deepEqual([...panicCounts().keys()].sort(), [...CALLBACK_KINDS].sort())
})

/** What the sources say without comments and texts. */
function sources(): readonly { readonly file: string; readonly lines: readonly string[] }[] {
  return globSync('{runtime,lazyload,operator}/**/*.ts', { cwd: ROOT }).map((file) => ({
    file,
    lines: readFileSync(join(ROOT, file), 'utf8')
      .replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ''))
      .split('\n')
      .map((line) => line.replace(/(?:^|\s)\/\/.*$/, '')),
  }))
}

test('no function is handed to Node but through runtime/callbacks.ts', () => {
  const bare =
    /\.(?:on|once|addListener|prependListener|prependOnceListener|addEventListener|handle)\(|\bon(?:abort|message|error|close) = |\bset(?:Timeout|Interval|Immediate)\(|\bqueueMicrotask\(|\bnextTick\(|\bcollect\(\)|\bFinalizationRegistry\(|\bMutationObserver\(|\bPerformanceObserver\(|\bwatch(?:File)?\([^)]*=>/
  const found = sources()
    .filter(({ file }) => file !== 'runtime/callbacks.ts')
    .flatMap(({ file, lines }) => lines.flatMap((line, index) => (bare.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])))
    // the only place where prom-client calls us: what it calls is guarded there
    .filter((line) => !line.startsWith('runtime/collected-metrics.ts:'))
  assert.deepEqual(found, [])
})

test('no promise is left to itself: whoever does not wait for one says so with inBackground or a catch', () => {
  const found = sources().flatMap(({ file, lines }) =>
    lines.flatMap((line, index) => {
      const isFloating = /^\s*void (?!0)[\w.]+[(.]/.test(line) || /^\s*[\w.]+\(.*\)\.then\(/.test(line)
      return isFloating ? [`${file}:${index + 1} ${line.trim()}`] : []
    }),
  )
  assert.deepEqual(found, [])
})

test('every server hands its requests and connections to a guarded handler', () => {
  for (const { file, lines } of sources()) {
    const text = lines.join('\n')
    for (const [, after_ = ''] of text.matchAll(/\bcreateServer\(([\s\S]{0,120})/g)) assert.match(after_, /guarded\(/, file)
  }
})
