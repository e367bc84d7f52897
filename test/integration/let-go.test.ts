/**
 * Fences that nobody serves any more: their Sidecars go before the catch-all that serves their pods, some a second; the fences stay and
 * say so. What somebody else serves stays untouched.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { SIDECAR } from '../../lazyload/kinds.ts'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { LEAVING_ANNOTATION } from '../../operator/api/slimeboot.ts'
import { SIDECARS_PER_SECOND } from '../../operator/controller/fences/letting-go.ts'
import type { JsonObject } from '../../runtime/object.ts'
import { conditionOf as fenceCondition, createFence, createGlobalSidecar, fenceOf, startLazyload } from '../helpers/lazyload.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { createServedFence, LEARNED } from '../helpers/served-fence.ts'
import {
  annotate,
  bootRef,
  changeSpec,
  conditionOf,
  createBoot,
  isGone,
  isReady,
  newInstallation,
  ownedIds,
  read,
  readBoot,
  refTo,
  setStage,
  specOf,
  type Stage,
} from '../helpers/stage.ts'

// A cluster of its own: a SlimeBoot of type cluster of another test would serve these fences too.
let cluster: Cluster
let stage: Stage
before(async () => {
  cluster = await startCluster({ name: 'let-go' })
  await installCrds(cluster)
  stage = await setStage(cluster, 'let-go')
})
after(async () => {
  await stage?.[Symbol.asyncDispose]()
  await cluster?.stop()
})

const served = async (namespace: string, name: string, revision?: string): Promise<void> =>
  await createServedFence(stage.client, namespace, name, revision)

const isLetGo = async (namespace: string, name: string): Promise<void> => {
  assert.equal(await stage.client.get({ type: SIDECAR, namespace, name }), undefined)
  const fence = await fenceOf(stage.client, namespace, name)
  for (const type of ['Ready', 'Learning']) {
    const { status, reason, message } = fenceCondition(fence, type)
    assert.deepEqual([status, reason], ['False', 'NotServed'])
    assert.match(
      message ?? '',
      /^No lazyload module serves this fence any more: SlimeBoot let-go-\S+ (is deleted|does not serve it any more)\./,
    )
  }
  assert.equal(fenceCondition(fence, 'Accepted').status, 'True')
  assert.deepEqual(fence.status?.metricStatus, LEARNED)
}
const isUntouched = async (namespace: string, name: string): Promise<void> => {
  await read(stage, { type: SIDECAR, namespace, name })
  assert.equal(fenceCondition(await fenceOf(stage.client, namespace, name), 'Ready').reason, 'SidecarApplied')
}

/** Deletes of Sidecars of fences, and of what the SlimeBoot of `installation` installed, in the order in which they came. */
async function deletes(since: Date, namespaces: readonly string[]): Promise<readonly { what: string; at: number }[]> {
  const events = await stage.cluster.auditEvents(since)
  return events
    .filter(
      ({ user, verb, namespace, code }) =>
        user === stage.operator().user && verb === 'delete' && code < 300 && namespaces.includes(namespace),
    )
    .map(({ resource, name, requestReceivedTimestamp }) => ({ what: `${resource}/${name}`, at: requestReceivedTimestamp.getTime() }))
}

describe('a SlimeBoot that is deleted lets go of its fences', { concurrency: true }, () => {
  test('lazyload stops, then the Sidecars go, then the catch-all; Sidecars of others stay', async () => {
    const installation = await newInstallation(stage, 'order', 2)
    const [shop, other] = installation.apps as [string, string]
    const elsewhere = await createNamespace(stage.cluster, 'elsewhere')
    await createBoot(stage, 'order', specOf(installation))
    await isReady(stage, 'order')
    for (const namespace of [shop, other, elsewhere]) await served(namespace, 'web')
    const by = { apiVersion: SIDECAR.apiVersion, kind: SIDECAR.kind, spec: { egress: [{ hosts: ['./*'] }] } }
    await stage.client.create(SIDECAR, { ...by, metadata: { name: 'by-hand', namespace: shop } }, 'kubectl-create')
    const since = new Date()
    await stage.client.remove(bootRef(stage, 'order'))
    await isGone(stage, 'order')
    const order = (await deletes(since, [shop, installation.home])).map(({ what }) => what)
    const at = (what: string): number => {
      assert.ok(order.includes(what), `${what} in ${order.join(' ')}`)
      return order.indexOf(what)
    }
    assert.ok(at(`deployments/${installation.module}`) < at('sidecars/web'), order.join('\n'))
    assert.ok(at('sidecars/web') < at('envoyfilters/to-global-sidecar'), order.join('\n'))
    for (const namespace of [shop, other]) await isLetGo(namespace, 'web')
    await isUntouched(elsewhere, 'web')
    await read(stage, { type: SIDECAR, namespace: shop, name: 'by-hand' })
  })

  test('some a second, with the progress in the condition; an operator that starts anew goes on', async () => {
    const installation = await newInstallation(stage, 'many')
    const [shop] = installation.apps as [string]
    await createBoot(stage, 'many', specOf(installation))
    await isReady(stage, 'many')
    const names = Array.from({ length: 3 * SIDECARS_PER_SECOND }, (_, index) => `web-${index}`)
    await Promise.all(names.map(async (name) => await served(shop, name)))
    const since = new Date()
    await stage.client.remove(bootRef(stage, 'many'))
    await stage.eventually(async () =>
      assert.match(
        conditionOf(await readBoot(stage, 'many'), 'Ready').message ?? '',
        new RegExp(`waiting for the fences: (20|40|60) of ${names.length} Sidecars let go$`),
      ),
    )
    await isGone(stage, 'many')
    for (const name of names) await isLetGo(shop, name)
    const times = (await deletes(since, [shop])).filter(({ what }) => what.startsWith('sidecars/web-')).map(({ at }) => at)
    assert.equal(times.length, names.length)
    // never more than two batches within less than a second
    for (let index = 0; index + SIDECARS_PER_SECOND < times.length; index++)
      assert.ok(times[index + SIDECARS_PER_SECOND]! - times[index]! > 500, `${times[index + SIDECARS_PER_SECOND]! - times[index]!} ms`)
  })

  test('what another SlimeBoot serves with a catch-all of its own is left alone, also its revision', async () => {
    // two that render into one namespace cannot be: the second has no global-sidecar, and fences of its own revision
    const [first, second] = await Promise.all([newInstallation(stage, 'first'), newInstallation(stage, 'second')])
    const [shop] = first.apps as [string]
    const withRevision = (spec: JsonObject, istioRev: string): JsonObject => {
      const [module] = spec['module'] as readonly JsonObject[]
      return { ...spec, module: [{ ...module, global: { ...(module!['global'] as JsonObject), istioRev, strictRev: true } }] }
    }
    await createBoot(stage, 'first', withRevision(specOf(first), '1-19'))
    await createBoot(stage, 'second', withRevision(specOf(second, { mode: 'none' }), second.module))
    for (const name of ['first', 'second']) await isReady(stage, name)
    await served(shop, 'mine', '1-19')
    await served(shop, 'theirs', second.module)
    await stage.client.remove(bootRef(stage, 'first'))
    await isGone(stage, 'first')
    await isLetGo(shop, 'mine')
    await isUntouched(shop, 'theirs')
    await stage.client.remove(bootRef(stage, 'second'))
    await isGone(stage, 'second')
    await isLetGo(shop, 'theirs')
  })

  test('deletion-policy orphan leaves all of it and says what that means', async () => {
    const installation = await newInstallation(stage, 'orphan')
    const [shop] = installation.apps as [string]
    await createBoot(stage, 'orphan', specOf(installation), { 'config.netease.com/deletion-policy': 'orphan' })
    await isReady(stage, 'orphan')
    await served(shop, 'web')
    await stage.client.remove(bootRef(stage, 'orphan'))
    await isGone(stage, 'orphan')
    await isUntouched(shop, 'web')
    await read(stage, refTo('EnvoyFilter', shop, 'to-global-sidecar'))
    await stage.eventually(async () => {
      const { items } = await stage.client.list(
        { apiVersion: 'v1', kind: 'Event', plural: 'events', namespaced: true },
        { namespace: stage.namespace },
      )
      const [event] = items.filter(
        ({ reason, involvedObject }) => reason === 'LeftBehind' && (involvedObject as { name: string }).name === 'orphan',
      )
      assert.match(String(event?.['message']), /So do 1 Sidecars of fences/)
    })
  })
})

describe('a SlimeBoot whose spec serves fewer fences', { concurrency: true }, () => {
  test('a namespace that leaves the list: its Sidecars go before its catch-all, the others stay', async () => {
    const installation = await newInstallation(stage, 'shrink', 2)
    const [stays, leaves] = installation.apps as [string, string]
    await createBoot(stage, 'shrink', specOf(installation))
    await isReady(stage, 'shrink')
    for (const namespace of [stays, leaves]) await served(namespace, 'web')
    const since = new Date()
    await changeSpec(stage, 'shrink', specOf(installation, { namespaces: [stays] }))
    await stage.eventually(async () => {
      assert.deepEqual(
        (await ownedIds(stage, 'shrink')).filter((id) => id.includes(leaves)),
        [],
      )
      await isLetGo(leaves, 'web')
    })
    await isReady(stage, 'shrink')
    const order = (await deletes(since, [leaves])).map(({ what }) => what)
    assert.ok(
      order.indexOf('sidecars/web') >= 0 && order.indexOf('sidecars/web') < order.indexOf('envoyfilters/to-global-sidecar'),
      order.join(),
    )
    await isUntouched(stays, 'web')
  })

  for (const [name, change] of [
    [
      'module',
      (spec: JsonObject): JsonObject => ({
        ...spec,
        module: (spec['module'] as readonly JsonObject[]).map((module) => ({ ...module, enable: false })),
      }),
    ],
    [
      'ports',
      (spec: JsonObject): JsonObject => ({
        ...spec,
        module: (spec['module'] as readonly JsonObject[]).map((module) => ({ ...module, fence: { enable: true, wormholePort: [] } })),
      }),
    ],
  ] as const) {
    test(`without its ${name}: its Sidecars go before the catch-all, and its fences say so`, async () => {
      const installation = await newInstallation(stage, `off-${name}`)
      const [shop] = installation.apps as [string]
      const spec = specOf(installation)
      await createBoot(stage, `off-${name}`, spec)
      await isReady(stage, `off-${name}`)
      await served(shop, 'web')
      const since = new Date()
      await changeSpec(stage, `off-${name}`, change(spec))
      await stage.eventually(async () => {
        assert.equal(await stage.client.get({ type: SIDECAR, namespace: shop, name: 'web' }), undefined)
        assert.equal(await stage.client.get(refTo('EnvoyFilter', shop, 'to-global-sidecar')), undefined)
      })
      const order = (await deletes(since, [shop])).map(({ what }) => what)
      assert.ok(order.indexOf('sidecars/web') < order.indexOf('envoyfilters/to-global-sidecar'), order.join())
      await isLetGo(shop, 'web')
    })
  }

  test('a namespace that comes back while it is being let go keeps its catch-all, without the mark', async () => {
    const installation = await newInstallation(stage, 'back', 2)
    const [stays, returns] = installation.apps as [string, string]
    await createBoot(stage, 'back', specOf(installation))
    await isReady(stage, 'back')
    const names = Array.from({ length: 2 * SIDECARS_PER_SECOND }, (_, index) => `web-${index}`)
    await Promise.all(names.map(async (name) => await served(returns, name)))
    const catchAll = refTo('EnvoyFilter', returns, 'to-global-sidecar')
    const { uid } = (await read(stage, catchAll)).metadata
    await changeSpec(stage, 'back', specOf(installation, { namespaces: [stays] }))
    await stage.eventually(async () => assert.equal((await read(stage, catchAll)).metadata.annotations?.[LEAVING_ANNOTATION], 'true'))
    await changeSpec(stage, 'back', specOf(installation))
    await isReady(stage, 'back')
    const { metadata } = await read(stage, catchAll)
    assert.deepEqual([metadata.uid, metadata.annotations?.[LEAVING_ANNOTATION]], [uid, undefined])
  })
})

test('a lazyload that goes on elsewhere makes no Sidecar anew behind a catch-all that leaves', async () => {
  const installation = await newInstallation(stage, 'told', 1)
  const [shop] = installation.apps as [string]
  const own = await createNamespace(stage.cluster, 'own')
  await createBoot(stage, 'told', specOf(installation))
  await isReady(stage, 'told')
  await createGlobalSidecar(stage.client, own)
  await using lazyload = await startLazyload(stage.cluster, { namespaces: [shop, own], globalSidecar: false })
  for (const namespace of [shop, own]) await createFence(stage.client, namespace, 'web')
  for (const namespace of [shop, own])
    await stage
      .eventually(async () => await read(stage, { type: SIDECAR, namespace, name: 'web' }), { timeout: 30_000 })
      .catch((error: unknown) => assert.fail(`${String(error)}\n${lazyload.log()}`))
  const since = new Date()
  await stage.client.remove(bootRef(stage, 'told'))
  await isGone(stage, 'told')
  assert.equal(await stage.client.get({ type: SIDECAR, namespace: shop, name: 'web' }), undefined)
  assert.notEqual(fenceCondition(await fenceOf(stage.client, shop, 'web'), 'Ready').status, 'True')
  const order = (await deletes(since, [shop])).map(({ what }) => what)
  assert.deepEqual(
    order.filter((what) => what === 'sidecars/web'),
    ['sidecars/web'],
  )
  await read(stage, { type: SIDECAR, namespace: own, name: 'web' })
})

test('an operator that dies in between goes on where it was, and annotates nothing twice', async () => {
  const installation = await newInstallation(stage, 'dies')
  const [shop] = installation.apps as [string]
  await createBoot(stage, 'dies', specOf(installation))
  await isReady(stage, 'dies')
  const names = Array.from({ length: 2 * SIDECARS_PER_SECOND + 5 }, (_, index) => `web-${index}`)
  await Promise.all(names.map(async (name) => await served(shop, name)))
  await stage.client.remove(bootRef(stage, 'dies'))
  const left = async (): Promise<number> =>
    (await stage.client.list(SIDECAR, { namespace: shop })).items.filter(({ metadata }) => metadata.name.startsWith('web-')).length
  await stage.eventually(async () => assert.ok((await left()) < names.length))
  await stage.restart(async () => {
    assert.ok((await left()) > 0)
    await read(stage, refTo('EnvoyFilter', shop, 'to-global-sidecar'))
    await annotate(stage, bootRef(stage, 'dies'), { note: 'meanwhile' })
  })
  await isGone(stage, 'dies')
  for (const name of names) await isLetGo(shop, name)
})
