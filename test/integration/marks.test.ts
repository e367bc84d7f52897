/** Marks: whoever may write in one namespace can put ours on whatever he has there. That stops nobody, and nothing of his is touched. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { SLIMEBOOT } from '../../operator/api/kinds.ts'
import { type KubeObject, objectId } from '../../runtime/object.ts'
import { configMap, type Enemy, enemyIn, envoyFilter, forged } from '../helpers/enemy.ts'
import { createNamespace } from '../helpers/namespace.ts'
import {
  bootRef,
  changeSpec,
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
  typeOfKind,
} from '../helpers/stage.ts'

const HOLD = 'example.com/hold'

// of its own: the operator sees every SlimeBoot, and one of them takes the whole mesh
let cluster: Cluster
let stage: Stage
let enemy: Enemy
before(async () => {
  cluster = await startCluster({ name: 'marks' })
  await installCrds(cluster)
  stage = await setStage(cluster, 'marks', { watchNamespaces: [] })
  enemy = await enemyIn(cluster, await createNamespace(cluster, 'tenant'))
})
after(async () => {
  await stage[Symbol.asyncDispose]()
  await cluster.stop()
})

/** What of `objects` is gone or going. */
async function touched(objects: readonly KubeObject[]): Promise<readonly string[]> {
  const live = await Promise.all(
    objects.map(async ({ kind, metadata }) => await stage.client.get(refTo(kind, metadata.namespace, metadata.name))),
  )
  return objects.flatMap((object, index) => {
    const now = live[index]
    const isSame = now !== undefined && now.metadata.deletionTimestamp === undefined
    return isSame ? [] : [objectId(object)]
  })
}

async function restoresItsCatchAll(name: string, namespace: string): Promise<void> {
  const ref = refTo('EnvoyFilter', namespace, 'to-global-sidecar')
  const { uid } = (await read(stage, ref)).metadata
  await stage.client.remove(ref)
  await stage.eventually(async () => assert.notEqual((await read(stage, ref)).metadata.uid, uid), { timeout: 20_000 })
  await isReady(stage, name)
}

async function warningsOf(name: string): Promise<string> {
  return ((await readBoot(stage, name)).status?.warnings ?? []).map(({ message }) => message).join('\n')
}

describe('somebody who may write in one namespace', () => {
  test('ends no operator with an annotation of whatever form, also not when it starts anew', async () => {
    const { namespace } = enemy
    const texts = [
      'foo=/ConfigMap/NS/NAME',
      '=/ConfigMap/NS/NAME',
      '/=/ConfigMap/NS/NAME',
      'a/b/c=/ConfigMap/NS/NAME',
      'A B/ä=/ConfigMap/NS/NAME',
      '__proto__/constructor=/ConfigMap/NS/NAME',
      'no/such=/ConfigMap/NS/NAME',
      'x=y',
      '=',
      '',
      `${'n'.repeat(100_000)}/x=/ConfigMap/NS/NAME`,
      `kube-system/${'x'.repeat(300)}=/ConfigMap/NS/NAME`,
    ]
    const made: KubeObject[] = []
    for (const [index, text] of texts.entries()) {
      const object = configMap(namespace, `form-${index}`)
      const owned = text.replace('NS', namespace).replace('NAME', object.metadata.name)
      await enemy.create(forged(object, { owner: 'gone/boot', owned, catchAll: '*=x' }))
      await enemy.apply(
        forged(configMap(namespace, `form-${index}-applied`), { owner: 'gone/boot', owned: `${owned}-applied` }),
        'slimeboot',
      )
      made.push(object, configMap(namespace, `form-${index}-applied`))
    }
    const odd = { ...envoyFilter(namespace, 'to-global-sidecar'), spec: { workloadSelector: { labels: { a: 'b' } }, configPatches: [{}] } }
    await enemy.create(forged(odd, { owner: 'gone/boot', catchAll: '*=*' }))
    made.push(odd)
    const { pid } = stage.operator()
    await createBoot(stage, 'lives', specOf(await newInstallation(stage, 'lives')))
    await isReady(stage, 'lives')
    // orphans are told two seconds after they were found
    await enemy.apply(forged(configMap(namespace, 'last'), { owner: 'gone/last' }), 'slimeboot')
    await stage.eventually(() => assert.match(stage.operator().log(), /orphan object=ConfigMap\/[^ ]*\/last/), { timeout: 20_000 })
    assert.equal(stage.operator().pid, pid)
    await stage.restart()
    await createBoot(stage, 'lives-on', specOf(await newInstallation(stage, 'lives-on')))
    await isReady(stage, 'lives-on')
    assert.deepEqual(await touched(made), [])
    await enemy.send('DELETE', odd)
  })

  for (const [what, make] of [
    ['made by hand', async (object: KubeObject) => await enemy.create(object)],
    ['applied under our field manager', async (object: KubeObject) => await enemy.apply(object, 'slimeboot')],
  ] as const)
    test(`keeps nothing of a SlimeBoot from being repaired, pruned or removed by objects with its marks, ${what}`, async () => {
      const name = `forged-${what.split(' ')[0]}`
      const installation = await newInstallation(stage, name, 2)
      const [first, second] = installation.apps
      await createBoot(stage, name, specOf(installation))
      await isReady(stage, name)
      const forgery = { owner: `${stage.namespace}/${name}`, catchAll: '*=x', finalizer: HOLD }
      const objects = [
        configMap(enemy.namespace, `${name}-a`),
        envoyFilter(enemy.namespace, 'to-global-sidecar'),
        { ...configMap(enemy.namespace, `${name}-b`), kind: 'Service', data: undefined, spec: { ports: [{ port: 80 }] } },
      ] as readonly KubeObject[]
      for (const object of objects) await make(forged(object, forgery))
      await restoresItsCatchAll(name, first!)
      const warnings = await stage.eventually(async () => {
        const found = await warningsOf(name)
        for (const object of objects) assert.match(found, new RegExp(`${objectId(object)}\\b`))
        return found
      })
      assert.doesNotMatch(warnings, new RegExp(second!))
      // a namespace that leaves the spec is cleared though his finalizers stay
      await changeSpec(stage, name, specOf(installation, { namespaces: [first!] }))
      await stage.eventually(async () =>
        assert.deepEqual(
          (await ownedIds(stage, name)).filter((id) => id.includes(second!)),
          [],
        ),
      )
      await isReady(stage, name)
      await stage.client.remove(bootRef(stage, name))
      await isGone(stage, name, { timeout: 25_000 })
      assert.deepEqual(
        (await ownedIds(stage, name)).filter((id) => !id.includes(enemy.namespace)),
        [],
      )
      for (const { kind, metadata } of objects) {
        const ref = refTo(kind, metadata.namespace, metadata.name)
        const live = await read(stage, ref)
        if (what === 'made by hand') assert.equal(live.metadata.deletionTimestamp, undefined, `${kind} was deleted`)
        await stage.client.mergePatch(ref, { metadata: { finalizers: null } }, 'test')
        await stage.client.remove(ref)
      }
    })

  test('takes no port from anybody by an EnvoyFilter that names itself, whichever SlimeBoot it is said to be of', async () => {
    const [one, two, whole] = await Promise.all(['one', 'two', 'whole'].map(async (name) => await newInstallation(stage, name)))
    await createBoot(stage, 'one', specOf(one!))
    await isReady(stage, 'one')
    for (const owner of ['no/such', `${stage.namespace}/one`]) {
      const object = forged(envoyFilter(enemy.namespace, 'to-global-sidecar'), { owner, catchAll: '*=x' })
      await enemy.apply(object, 'slimeboot')
      // known to a fresh operator before any SlimeBoot is
      await stage.restart()
      await createBoot(stage, 'two', specOf(two!))
      await isReady(stage, 'two')
      await stage.client.remove(bootRef(stage, 'two'))
      await isGone(stage, 'two')
      await enemy.send('DELETE', object)
    }
    // the whole mesh is free for one that wants it
    const { items } = await stage.client.list(SLIMEBOOT, { namespace: stage.namespace })
    for (const { metadata } of items) {
      await stage.client.remove(bootRef(stage, metadata.name))
      await isGone(stage, metadata.name)
    }
    const object = forged(envoyFilter(enemy.namespace, 'to-global-sidecar'), { owner: 'no/such', catchAll: '*=x' })
    await enemy.apply(object, 'slimeboot')
    // nor does he tell where the root of the mesh is
    for (const name of ['istio', 'istio-1-20'])
      await enemy.create({
        ...configMap(enemy.namespace, name, { labels: { 'istio.io/rev': '1-20' } }),
        data: { mesh: 'rootNamespace: x' },
      })
    await createBoot(stage, 'whole', specOf(whole!, { mode: 'cluster' }))
    await isReady(stage, 'whole')
    assert.match(
      await warningsOf('whole'),
      new RegExp(`EnvoyFilter/${enemy.namespace}/to-global-sidecar .*no SlimeBoot that exists renders it`),
    )
    await stage.client.remove(bootRef(stage, 'whole'))
    await isGone(stage, 'whole')
  })

  test('makes nobody lose what a spec rendered before it changed while the operator was away', async () => {
    const installation = await newInstallation(stage, 'away', 2)
    const [first, second] = installation.apps
    await createBoot(stage, 'away', specOf(installation))
    await isReady(stage, 'away')
    await stage.restart(async () => await changeSpec(stage, 'away', specOf(installation, { namespaces: [first!] })))
    await stage.eventually(async () =>
      assert.deepEqual(
        (await ownedIds(stage, 'away')).filter((id) => id.includes(second!)),
        [],
      ),
    )
    await isReady(stage, 'away')
  })

  test('is told by name where his marks are not ours, at most ten times', async () => {
    const installation = await newInstallation(stage, 'many')
    await createBoot(stage, 'many', specOf(installation))
    await isReady(stage, 'many')
    for (let index = 0; index < 25; index++)
      await enemy.create(forged(configMap(enemy.namespace, `many-${index}`), { owner: `${stage.namespace}/many` }))
    await stage.eventually(async () => {
      const warnings = (await readBoot(stage, 'many')).status?.warnings ?? []
      const told = warnings.filter(({ reason }) => reason === 'Forged')
      assert.equal(told.length, 11)
      assert.match(told.at(-1)?.message ?? '', /15 more/)
    })
    await isReady(stage, 'many')
    const { items } = await stage.client.list(typeOfKind('ConfigMap'), { namespace: enemy.namespace })
    assert.equal(items.filter(({ metadata }) => metadata.name.startsWith('many-') && metadata.deletionTimestamp === undefined).length, 25)
  })
})
