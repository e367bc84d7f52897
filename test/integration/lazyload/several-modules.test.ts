/** Several lazyload modules: each fence is served by exactly one, the first; the others say who, and write nothing of it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { REVISION_LABEL } from '../../../lazyload/kinds.ts'
import type { JsonObject } from '../../../runtime/object.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { createFence, fenceOf, type Lazyload, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import {
  bootRef,
  changeSpec,
  createBoot,
  type Installation,
  isReady,
  newInstallation,
  read,
  readyIs,
  refTo,
  setStage,
  specOf,
  type Stage,
} from '../../helpers/stage.ts'

let stage: Stage
before(async () => {
  stage = await setStage(await sharedCluster(), 'several')
})
after(async () => await stage[Symbol.asyncDispose]())

/** A module as its pod would run, with the configuration that the operator mounts. */
async function runModule({ home, module, apps }: Installation): Promise<Lazyload> {
  return await startLazyload(stage.cluster, {
    namespaces: apps,
    user: `${home}-${module}`,
    env: { WATCH_NAMESPACE: home },
    globalSidecar: false,
    config: await configOf(home, module),
  })
}

async function configOf(home: string, module: string): Promise<JsonObject> {
  const { data } = (await read(stage, refTo('ConfigMap', home, module))) as unknown as { data: { cfg: string } }
  return JSON.parse(data.cfg) as JsonObject
}

/** Who wrote Sidecars and the status of fences there: users by `fences/status name` and `sidecars name`. */
async function writersIn(namespace: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const events = (await stage.cluster.auditEvents()).filter(
    (event) =>
      event.namespace === namespace &&
      event.code < 300 &&
      ['create', 'patch', 'delete'].includes(event.verb) &&
      (event.resource === 'sidecars' || (event.resource === 'servicefences' && event.subresource === 'status')) &&
      event.name !== 'global-sidecar',
  )
  return Object.fromEntries(
    [...Map.groupBy(events, ({ name }) => name)].map(([name, each]) => [name, [...new Set(each.map(({ user }) => user))]]),
  )
}

function withModules(installation: Installation, modules: readonly JsonObject[], extra: JsonObject = {}): JsonObject {
  const spec = specOf(installation, { source: 'accesslog' }, extra)
  const [module] = spec['module'] as readonly [JsonObject]
  const misc = { misc: { metric_source_type: 'accesslog' } }
  return {
    ...spec,
    module: modules.map(({ global = {}, ...each }) => ({ ...module, ...each, global: { ...(global as JsonObject), ...misc } })),
  }
}

test('one module for each revision: each fence has one that serves it, also a fence without a revision', async () => {
  const installation = await newInstallation(stage, 'revisions')
  const [app] = installation.apps as [string]
  const [older, newer] = [installation, { ...installation, module: `${installation.module}-next` }]
  await createBoot(
    stage,
    'revisions',
    withModules(installation, [
      { name: older.module, global: { istioRev: '1-19' } },
      { name: newer.module, global: { istioRev: '1-20' } },
    ]),
  )
  await isReady(stage, 'revisions')
  const { message = '' } = await readyIs(stage, 'revisions', 'True', 'Ready')
  assert.match(
    message,
    new RegExp(`FencesShared: spec.module\\[1\\] leaves fences without a revision in namespace ${app} to module ${older.module}`),
  )
  // logs of the global-sidecar go to both
  const { data } = (await read(stage, refTo('ConfigMap', app, 'lazyload-accesslog-source'))) as unknown as { data: Record<string, string> }
  const addresses = [...data['custom_bootstrap.json']!.matchAll(/"address":"([^"]+)"/g)].map(([, address]) => address)
  assert.deepEqual(addresses, [`${older.module}.${installation.home}`, `${newer.module}.${installation.home}`])

  await createFence(stage.client, app, 'old', { enable: true }, { [REVISION_LABEL]: '1-19' })
  await createFence(stage.client, app, 'new', { enable: true }, { [REVISION_LABEL]: '1-20' })
  await createFence(stage.client, app, 'none')
  {
    await using first = await runModule(older)
    await using second = await runModule(newer)
    for (const name of ['old', 'new', 'none']) await stage.eventually(async () => await sidecarOf(stage.client, app, name))
    // what is written after each has looked at all of them once
    await createFence(stage.client, app, 'later')
    await stage.eventually(async () => await sidecarOf(stage.client, app, 'later'))
    for (const each of [first, second]) await each.stop()
  }
  const user = ({ home, module }: Installation): string => `${home}-${module}`
  assert.deepEqual(await writersIn(app), { old: [user(older)], none: [user(older)], later: [user(older)], new: [user(newer)] })
})

test('two modules without a revision in one SlimeBoot: the first serves all, the second says so and is idle', async () => {
  const installation = await newInstallation(stage, 'twice')
  const [app] = installation.apps as [string]
  const [first, second] = [installation, { ...installation, module: `${installation.module}-too` }]
  await createBoot(stage, 'twice', withModules(installation, [{ name: first.module }, { name: second.module }]))
  const { message = '' } = await readyIs(stage, 'twice', 'True', 'Ready')
  assert.match(message, new RegExp(`spec.module\\[1\\] leaves fences in namespace ${app} to module ${first.module}`))
  await createFence(stage.client, app, 'web')
  {
    await using idle = await runModule(second)
    await idle.logs('working')
    await using serving = await runModule(first)
    await stage.eventually(async () => await sidecarOf(stage.client, app, 'web'))
    for (const each of [idle, serving]) await each.stop()
  }
  assert.deepEqual(await writersIn(app), { web: [`${installation.home}-${first.module}`] })
  assert.equal(
    (await fenceOf(stage.client, app, 'web')).status?.conditions?.some(({ reason }) => reason === 'Contested'),
    false,
  )
})

// without a global-sidecar a module of these tests has a revision of its own, because the cluster is shared
test('a module for all namespaces leaves those of an older SlimeBoot to that one, until it is gone', async () => {
  const team = await newInstallation(stage, 'team')
  const platform = await newInstallation(stage, 'platform')
  await createBoot(stage, 'team', specOf(team))
  await isReady(stage, 'team')
  await createBoot(stage, 'platform', specOf(platform, { mode: 'none' }))
  const left = `leaves fences of revision ${platform.module} in namespace ${team.apps[0]} to module ${team.module} of SlimeBoot ${stage.namespace}/team`
  await stage.eventually(async () => assert.match((await readyIs(stage, 'platform', 'True', 'Ready')).message ?? '', new RegExp(left)))
  const served = (await configOf(platform.home, platform.module))['general'] as { servedElsewhere: readonly JsonObject[] }
  assert.ok(served.servedElsewhere.some(({ by }) => by === `module ${team.module} of SlimeBoot ${stage.namespace}/team`))

  // the answer does not hang on what was reconciled first
  const { uid, resourceVersion } = (await read(stage, refTo('ConfigMap', platform.home, platform.module))).metadata
  await stage.restart()
  await stage.operator().logs('watching')
  await isReady(stage, 'platform')
  const again = (await read(stage, refTo('ConfigMap', platform.home, platform.module))).metadata
  assert.deepEqual([again.uid, again.resourceVersion], [uid, resourceVersion])

  await stage.client.remove(bootRef(stage, 'team'))
  await stage.eventually(async () =>
    assert.doesNotMatch((await readyIs(stage, 'platform', 'True', 'Ready')).message ?? '', new RegExp(left)),
  )
  await stage.client.remove(bootRef(stage, 'platform'))
})

test('a global-sidecar comes with its module: one without global-sidecars leaves it the fences there, also when it is older', async () => {
  const everywhere = await newInstallation(stage, 'everywhere')
  const late = await newInstallation(stage, 'late')
  await createBoot(stage, 'everywhere', specOf(everywhere, { mode: 'none' }))
  await isReady(stage, 'everywhere')
  const left = new RegExp(
    `leaves fences of revision ${everywhere.module} in namespace ${late.apps[0]} to module ${late.module} of SlimeBoot ${stage.namespace}/late`,
  )
  assert.doesNotMatch((await readyIs(stage, 'everywhere', 'True', 'Ready')).message ?? '', left)
  await createBoot(stage, 'late', specOf(late))
  await isReady(stage, 'late')
  await stage.eventually(async () => assert.match((await readyIs(stage, 'everywhere', 'True', 'Ready')).message ?? '', left))
  assert.equal((await configOf(late.home, late.module))['general'], undefined)

  // fences of another revision are not the same fences
  const spec = specOf(late)
  const [module] = spec['module'] as readonly [JsonObject]
  await changeSpec(stage, 'late', {
    ...spec,
    module: [{ ...module, global: { ...(module['global'] as JsonObject), istioRev: '1-18', strictRev: true } }],
  })
  await stage.eventually(async () => assert.doesNotMatch((await readyIs(stage, 'everywhere', 'True', 'Ready')).message ?? '', left))
  for (const name of ['everywhere', 'late']) await stage.client.remove(bootRef(stage, name))
})
