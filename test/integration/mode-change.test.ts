/** Mode changes: from one shape to another without a moment of two catch-alls, without leftovers, and without restarts that nobody needs. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CATCH_ALL_ANNOTATION, OWNED_ANNOTATION } from '../../operator/api/slimeboot.ts'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { render } from '../../operator/render/render.ts'
import { buildValues } from '../../operator/spec/build-values.ts'
import { type JsonObject, objectId } from '../../runtime/object.ts'
import type { ResourceType } from '../../runtime/resource.ts'
import { readWatch } from '../../runtime/watch.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import {
  bootRef,
  changeSpec,
  createBoot,
  isGone,
  isReady,
  newInstallation,
  ownedIds,
  readBoot,
  refTo,
  setStage,
  specOf,
  type Stage,
} from '../helpers/stage.ts'

const { type: ENVOY_FILTER } = refTo('EnvoyFilter', undefined, '')
const REPLICA_SET: ResourceType = { apiVersion: 'apps/v1', kind: 'ReplicaSet', plural: 'replicasets', namespaced: true }

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'mode')
})
after(async () => await stage[Symbol.asyncDispose]())

describe('a SlimeBoot whose spec changes', { concurrency: true }, () => {
  test('a namespace that leaves the list loses everything, the others keep their pods', async () => {
    const installation = await newInstallation(stage, 'shrink', 3)
    const [first, second, third] = installation.apps
    await createBoot(stage, 'shrink', specOf(installation))
    await settles('shrink')
    const earlier = await replicaSets([first!, third!])
    await changeSpec(stage, 'shrink', specOf(installation, { namespaces: [first!, third!] }))
    await settles('shrink')
    assert.deepEqual(
      (await ownedIds(stage, 'shrink')).filter((id) => id.includes(second!)),
      [],
    )
    assert.deepEqual(await replicaSets([first!, third!]), earlier)
    const { items } = await stage.client.list({ apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true }, { namespace: second! })
    assert.deepEqual(items.filter((pod) => pod.metadata.deletionTimestamp === undefined).map(objectId), [])
  })

  test('only pods whose own configuration changed are rolled', async () => {
    const installation = await newInstallation(stage, 'roll', 2)
    const spec = specOf(installation, { source: 'accesslog' })
    await createBoot(stage, 'roll', spec)
    await settles('roll')
    const [home, apps] = [await replicaSets([installation.home]), await replicaSets(installation.apps)]

    // the fence's ports are in the module's configuration, not in that of the global-sidecars
    await changeSpec(stage, 'roll', { ...spec, module: withPorts(spec, ['9080', '80', '7070']) })
    await settles('roll', 'a further port')
    assert.notDeepEqual(await replicaSets([installation.home]), home)
    assert.deepEqual(await replicaSets(installation.apps), apps)

    const rolled = await replicaSets([installation.home])
    await changeSpec(stage, 'roll', {
      ...spec,
      module: withPorts(spec, ['9080', '80', '7070']),
      service: { port: 81, logSourcePort: 8082 },
    })
    await settles('roll', 'another Service port')
    assert.deepEqual(await replicaSets([installation.home, ...installation.apps]), [...rolled, ...apps].sort())

    // the access log goes to another port now: that is in the bootstrap of the global-sidecars
    await changeSpec(stage, 'roll', {
      ...spec,
      module: withPorts(spec, ['9080', '80', '7070']),
      service: { port: 81, logSourcePort: 8083 },
    })
    await settles('roll', 'another access log port')
    assert.deepEqual(await replicaSets([installation.home]), rolled)
    assert.notDeepEqual(await replicaSets(installation.apps), apps)
  })

  test('a spec that becomes invalid prunes nothing', async () => {
    const installation = await newInstallation(stage, 'invalid')
    await createBoot(stage, 'invalid', specOf(installation))
    await settles('invalid')
    const earlier = await ownedIds(stage, 'invalid')
    await changeSpec(stage, 'invalid', { ...specOf(installation), module: withPorts(specOf(installation), ['http']) })
    await stage.eventually(async () => {
      const { status, metadata } = await readBoot(stage, 'invalid')
      assert.deepEqual(
        [status?.observedGeneration, status?.conditions?.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`)],
        [metadata.generation, ['Ready False InvalidSpec', 'Reconciling False InvalidSpec', 'Stalled True InvalidSpec']],
      )
    })
    assert.deepEqual(await ownedIds(stage, 'invalid'), earlier)
  })
})

// mode cluster and the pilot take what there is only one of in a cluster
describe('a SlimeBoot that has the cluster for itself', () => {
  let cluster: Cluster
  let own: Stage
  before(async () => {
    cluster = await startCluster({ name: 'mode' })
    await installCrds(cluster)
    own = await setStage(cluster, 'mode')
  })
  after(async () => {
    await own[Symbol.asyncDispose]()
    await cluster.stop()
  })

  test('namespaced, cluster, none and back: the objects of each mode are there, no others, and never two catch-alls for one namespace', async () => {
    const installation = await newInstallation(own, 'tour', 2)
    await using catchAlls = await watchCatchAlls(own, 'tour')
    await createBoot(own, 'tour', specOf(installation))
    await settles('tour', 'namespaced', own)
    const inCluster = specOf(installation, { mode: 'cluster' })
    const tour: readonly (readonly [string, JsonObject])[] = [
      ['cluster', inCluster],
      ['namespaced', specOf(installation)],
      ['none', specOf(installation, { mode: 'none' })],
      ['cluster after none', inCluster],
      ['other ports', { ...inCluster, module: withPorts(inCluster, ['9080', '8080']) }],
      ['none after cluster', specOf(installation, { mode: 'none' })],
      ['namespaced with access log', specOf(installation, { source: 'accesslog' })],
    ]
    for (const [what, spec] of tour) {
      await changeSpec(own, 'tour', spec)
      await settles('tour', what, own)
    }
    await own.client.remove(bootRef(own, 'tour'))
    await isGone(own, 'tour')
    assert.deepEqual(catchAlls.overlaps, [])
    // three of them: two namespaces, then the mesh
    assert.equal(catchAlls.seen.size, 3)
  })

  test('a pilot that is switched off, on and off again leaves the right objects each time', async () => {
    const installation = await newInstallation(own, 'pilot')
    await createBoot(own, 'pilot', specOf(installation))
    await settles('pilot', 'stock', own)
    await changeSpec(own, 'pilot', specOf(installation, { shape: 'pilot' }))
    await settles('pilot', 'pilot', own)
    await changeSpec(own, 'pilot', specOf(installation, { shape: 'stock' }))
    await settles('pilot', 'stock again', own)
  })
})

function withPorts(spec: JsonObject, wormholePort: readonly string[]): JsonObject['module'] {
  const [module] = spec['module'] as readonly JsonObject[]
  return [{ ...module, fence: { enable: true, wormholePort } }]
}

/** Waits until the SlimeBoot is Ready and exactly the objects that it renders are there. */
async function settles(name: string, what = name, on: Stage = stage): Promise<void> {
  await isReady(on, name)
  const expected = render(buildValues(await readBoot(on, name)))
    .map(({ object }) => objectId(object))
    .sort()
  await on.eventually(async () => assert.deepEqual(await ownedIds(on, name), expected, what), { timeout: 60_000, interval: 250 })
}

/** ReplicaSets that have pods, by name: a rolled Deployment has a new one. */
async function replicaSets(namespaces: readonly string[]): Promise<readonly string[]> {
  const lists = await Promise.all(namespaces.map(async (namespace) => (await stage.client.list(REPLICA_SET, { namespace })).items))
  return lists
    .flat()
    .filter((set) => (set['spec'] as { replicas?: number }).replicas !== 0)
    .map(objectId)
    .sort()
}

interface CatchAllWatch extends AsyncDisposable {
  /** Ids of all catch-alls that ever were. */
  readonly seen: ReadonlySet<string>
  /** Moments at which two of them covered the same namespace. */
  readonly overlaps: readonly string[]
}

/** Follows the catch-alls of a SlimeBoot from now on: every event of the watch, in the order of their resourceVersions. */
async function watchCatchAlls({ client, namespace }: Stage, name: string): Promise<CatchAllWatch> {
  const stop = new AbortController()
  const { resourceVersion } = await client.list(ENVOY_FILTER, { limit: 1 })
  const response = await client.watch(ENVOY_FILTER, { resourceVersion, timeoutSeconds: 300, signal: stop.signal })
  const scopes = new Map<string, string>()
  const seen = new Set<string>()
  const overlaps: string[] = []
  const following = (async () => {
    for await (const event of readWatch(response, 300_000)) {
      if (event.type === 'BOOKMARK' || event.object.metadata.annotations?.[OWNED_ANNOTATION]?.startsWith(`${namespace}/${name}=`) !== true)
        continue
      const scope = event.object.metadata.annotations[CATCH_ALL_ANNOTATION]?.split('=')[0]
      if (scope === undefined) continue
      const id = objectId(event.object)
      if (event.type === 'DELETED') scopes.delete(id)
      else {
        scopes.set(id, scope)
        seen.add(id)
      }
      const all = [...scopes.values()]
      if (new Set(all).size !== all.length || (all.includes('*') && all.length > 1))
        overlaps.push(`${event.object.metadata.resourceVersion}: ${[...scopes].join('; ')}`)
    }
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) overlaps.push(`the watch ended: ${String(error)}`)
  })
  return {
    seen,
    overlaps,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await following
    },
  }
}
