/**
 * `kill -9` between any two writes: a proxy lets so many writes of the operator through and kills it before it sees the last one's
 * answer. Started again it ends where it would have ended, nothing orphaned, nothing twice. `npm test` takes six of all moments by a
 * printed seed (SLIMEBOOT_SEED), `npm run test:long` takes all.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Cluster, startCluster } from '../../../local-cluster/cluster.ts'
import { installCrds } from '../../../local-cluster/crds.ts'
import { FIELD_MANAGER, FINALIZER } from '../../../operator/api/slimeboot.ts'
import { MANAGED_TYPES } from '../../../operator/api/kinds.ts'
import { render } from '../../../operator/render/render.ts'
import { buildValues } from '../../../operator/spec/build-values.ts'
import { type JsonObject, objectId } from '../../../runtime/object.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import { type Exchange, isWrite, startFaultProxy } from '../../helpers/fault-proxy.ts'
import { createChooser, LONG } from '../../helpers/seed.ts'
import {
  bootRef,
  changeSpec,
  conditionOf,
  createBoot,
  type Installation,
  isGone,
  isReady,
  newInstallation,
  readBoot,
  setStage,
  specOf,
  type Stage,
} from '../../helpers/stage.ts'

const KILLS = 6
const NAME = 'killed'
const REPLICA_SET: ResourceType = { apiVersion: 'apps/v1', kind: 'ReplicaSet', plural: 'replicasets', namespaced: true }

/**
 * What is done while the operator is killed. The installs begin with nothing, the others with an installation. `install and uninstall`:
 * the SlimeBoot is deleted while the operator is dead.
 */
const PHASES = ['install', 'install and uninstall', 'update', 'mode change', 'uninstall'] as const
type Phase = (typeof PHASES)[number]

/** An Event is told once or not at all, what it tells is in the cluster; a question about rights is no write. */
const counts = (exchange: Exchange): boolean =>
  isWrite(exchange) && !exchange.path.endsWith('/events') && !exchange.path.startsWith('/apis/authorization.k8s.io/')

// mode cluster counts for every namespace, and a kill leaves things half done for a while: nobody else should see that
let cluster: Cluster
before(async () => {
  cluster = await startCluster({ name: 'kill' })
  await installCrds(cluster)
})
after(async () => await cluster.stop())

if (LONG) {
  for (const phase of PHASES) {
    test(`killed after each of its writes in turn while it is to ${phase}, the operator ends where it would have ended`, async (context) => {
      let index = 0
      while (await run(phase, ++index)) context.diagnostic(`${phase}: killed after write ${index}`)
      assert.ok(index > 3, 'no write was seen')
    })
  }
} else {
  describe('killed after some of its writes', { concurrency: 3 }, async () => {
    const chooser = createChooser()
    // about as many writes as there are; one that does not come is a phase that ends unharmed
    const moments = { install: 14, 'install and uninstall': 14, update: 9, 'mode change': 12, uninstall: 10 } as const
    const all = PHASES.flatMap((phase) => Array.from({ length: moments[phase] }, (_, index) => ({ phase, index: index + 1 })))
    for (const { phase, index } of chooser.choose(all, KILLS)) {
      test(`${phase}, write ${index} (SLIMEBOOT_SEED=${chooser.seed}): the operator ends where it would have ended`, async (context) => {
        if (!(await run(phase, index))) context.diagnostic(`${phase} had fewer than ${index} writes`)
      })
    }
  })
}

/** False when the phase was over before write `index`. */
async function run(phase: Phase, index: number): Promise<boolean> {
  await using proxy = await startFaultProxy(cluster)
  await using stage = await setStage(cluster, 'kill', { through: proxy })
  const installation = await newInstallation(stage, NAME, 2)
  const specs = specsOf(installation)
  if (!isInstalled(phase)) {
    await createBoot(stage, NAME, specs.install)
    await isReady(stage, NAME)
  }

  const dead = Promise.withResolvers<void>()
  let killed = false
  let seen = 0
  proxy.intercept({
    before: (exchange) => {
      assert.ok(!killed || !counts(exchange), 'what was sent after the last write that counts never arrives')
    },
    after: async (exchange) => {
      if (killed || !counts(exchange) || ++seen < index) return
      killed = true
      await stage.operator().kill()
      dead.resolve()
    },
  })
  const done = act(stage, phase, specs).then(async () => await settle(stage, phase))
  await Promise.race([done.catch(() => {}), dead.promise])
  proxy.intercept({})
  if (killed) {
    await dead.promise
    if (phase === 'install and uninstall') await stage.client.remove(bootRef(stage, NAME))
    await stage.restart()
  }
  await done
  if (phase === 'install and uninstall' && !killed) await stage.client.remove(bootRef(stage, NAME))
  if (isRemoved(phase)) await isGone(stage, NAME)
  await checkEnd(stage, installation, phase)
  return killed
}

function specsOf(installation: Installation): Readonly<Record<'install' | 'update' | 'mode change', JsonObject>> {
  const [first, second] = installation.apps
  // a port of its own: in mode cluster it counts for every namespace
  const port = `${20_000 + Math.floor(Math.random() * 10_000)}`
  const withPort = (spec: JsonObject): JsonObject => {
    const [module] = spec['module'] as readonly JsonObject[]
    return { ...spec, module: [{ ...module, fence: { enable: true, wormholePort: [port] } }] }
  }
  const tag = { image: { repository: 'docker.io/slimeio/slime-lazyload', tag: 'v2' } }
  return {
    install: withPort(specOf(installation, { source: 'accesslog', namespaces: [first!] })),
    update: withPort(specOf(installation, { source: 'accesslog', namespaces: [second!] }, tag)),
    'mode change': withPort(specOf(installation, { source: 'accesslog', mode: 'cluster' })),
  }
}

async function act(stage: Stage, phase: Phase, specs: ReturnType<typeof specsOf>): Promise<void> {
  if (isInstalled(phase)) await createBoot(stage, NAME, specs.install)
  else if (isRemoved(phase)) await stage.client.remove(bootRef(stage, NAME))
  else await changeSpec(stage, NAME, specs[phase])
}

async function settle(stage: Stage, phase: Phase): Promise<void> {
  if (!isRemoved(phase)) return await isReady(stage, NAME)
  await stage.eventually(async () => {
    const boot = await stage.client.get(bootRef(stage, NAME))
    assert.ok(boot === undefined || (phase !== 'uninstall' && conditionOf(boot, 'Ready').status === 'True'))
  })
}

/** It begins with nothing. */
function isInstalled(phase: Phase): phase is 'install' | 'install and uninstall' {
  return phase === 'install' || phase === 'install and uninstall'
}

/** It ends with nothing. */
function isRemoved(phase: Phase): phase is 'uninstall' | 'install and uninstall' {
  return phase === 'uninstall' || phase === 'install and uninstall'
}

async function checkEnd(stage: Stage, installation: Installation, phase: Phase): Promise<void> {
  const boot = isRemoved(phase) ? undefined : await readBoot(stage, NAME)
  const expected = boot === undefined ? [] : render(buildValues(boot)).map(({ object }) => objectId(object))
  await stage.eventually(async () => assert.deepEqual(await touched(stage, installation), expected.toSorted()))
  if (boot !== undefined) assert.deepEqual(boot.metadata.finalizers, [FINALIZER])
  // no Deployment has been rolled once more than its template has changed
  const sets = await Promise.all(
    [installation.home, ...installation.apps].map(async (namespace) => (await stage.client.list(REPLICA_SET, { namespace })).items),
  )
  const templates = Map.groupBy(sets.flat(), ({ metadata }) => `${metadata.namespace} ${metadata.ownerReferences?.[0]?.uid}`)
  for (const [deployment, of] of templates) assert.ok(of.length <= (isInstalled(phase) ? 1 : 2), `${deployment}: ${of.length} ReplicaSets`)
}

/** Everything that the operator has ever written and is still there, marked as ours or not. */
async function touched(stage: Stage, { module, home, root, apps }: Installation): Promise<readonly string[]> {
  const lists = await Promise.all(MANAGED_TYPES.map(async (type) => (await stage.client.list(type)).items))
  const namespaces: ReadonlySet<string | undefined> = new Set([home, root, ...apps])
  return lists
    .flat()
    .filter(({ metadata }) => namespaces.has(metadata.namespace) || (metadata.namespace === undefined && metadata.name.includes(module)))
    .filter(({ metadata }) => metadata.managedFields?.some(({ manager }) => manager === FIELD_MANAGER))
    .map(objectId)
    .toSorted()
}
