/**
 * A mesh under STRICT mTLS before lazyload, with it, and after it: what was answered before is answered with a fence on the caller, from
 * the first call on, and afterwards.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { INSTALL, runBash, UNINSTALL } from '../helpers/scripts.ts'
import type { Destination, Outcome, SwitchingStage } from './switching-stage.ts'
import { setSwitchingStage } from './switching-stage.ts'

const BOOT = {
  apiVersion: 'config.netease.com/v1alpha1',
  kind: 'SlimeBoot',
  metadata: { name: 'lazyload', namespace: 'mesh-operator' },
  spec: {
    image: { repository: 'docker.io/slimeio/slime-lazyload', tag: 'v1.0.0' },
    module: [
      {
        name: 'lazyload',
        enable: true,
        fence: { wormholePort: ['9080'] },
        global: { misc: { metric_source_type: 'accesslog' } },
      },
    ],
    component: { globalSidecar: { enable: true, type: 'namespaced', namespace: ['default', 'closed'] } },
  },
}
const FENCE = {
  apiVersion: 'microservice.slime.io/v1alpha1',
  kind: 'ServiceFence',
  metadata: { name: 'caller', namespace: 'default' },
  spec: { enable: true },
}

/** Under STRICT a pod does not take what comes to its address in plain text, and REGISTRY_ONLY lets nothing out. */
const REFUSED = [
  'caller → pod in the mesh by its address',
  'unfenced → pod in the mesh by its address',
  'closed → host outside the mesh, namespace REGISTRY_ONLY',
]

const KEPT = {
  'called-tcp.default.svc.cluster.local': 'NotHTTP',
  'mysql.default.svc.cluster.local': 'NotHTTP',
  'mysql-headless.default.svc.cluster.local': 'Headless',
  'none.example': 'NoResolution',
  'routed.default.svc.cluster.local': 'CallerRoutes',
  'routed-by-namespace.default.svc.cluster.local': 'CallerRoutes',
  'routed-for-caller.default.svc.cluster.local': 'CallerRoutes',
  'unnamed.default.svc.cluster.local': 'NotHTTP',
  'web.default.svc.cluster.local': 'Headless',
  'web-8000.default.svc.cluster.local': 'Port',
}

let stage: SwitchingStage
const seen: Record<'before' | 'with' | 'cluster' | 'after', Outcome[]> = { before: [], with: [], cluster: [], after: [] }

before(async () => {
  stage = await setSwitchingStage()
  seen.before = await callAll()
})
after(async () => {
  if (stage !== undefined) console.log(table())
  await stage?.[Symbol.asyncDispose]()
})

test('before, every destination answers but those that this mesh refuses', () => {
  const silent = stage.destinations.filter((_, index) => !isAnswer(seen.before[index]))
  assert.deepEqual(silent.map(nameOf), REFUSED)
})

test('lazyload is installed, and a fence narrows the caller', async () => {
  const file = join(stage.mesh.network.dir, 'boot.json')
  writeFileSync(file, JSON.stringify(BOOT))
  const { code, output } = await runBash([INSTALL, '-f', file], { kubeconfig: stage.mesh.cluster.kubeconfig })
  assert.equal(code, 0, output)
  await stage.mesh.apply([FENCE])
  await stage.eventually(async () => assert.doesNotMatch(await stage.admin('caller', '/clusters'), /outbound\|9080\|\|plain\./))
  assert.deepEqual(await stage.rejected(), [])
})

test('what was answered before is answered with the fence, from the first call on', async () => {
  seen.with = await callAll()
  assert.deepEqual(lost(seen.with), [])
})

test('the fence says which of them it keeps and why; nothing of lazyload is among them', async () => {
  await stage.eventually(async () => assert.deepEqual(await kept(), KEPT))
})

test('where only registered hosts may be called, that stays so, also for who writes the address himself', async () => {
  assert.equal(seen.before[closed()], '502')
  assert.equal(seen.with[closed()], '404')
  const forged = { [HEADER]: `${stage.pod('outside').ip}:9080` }
  assert.equal((await stage.http('closed', 'outside', { host: 'api.example', headers: forged })).outcome, '404')
})

test('an unknown host is reached with the protocol of the caller, and sees no address of ours', async () => {
  const { ip } = stage.pod('outside')
  assert.match(await stage.client('unfenced', 'http2', ip, '9080', 'api.example:9080'), /^200 \{"name":"outside:9080"/)
  assert.equal(await stage.client('unfenced', 'websocket', ip, '9080', 'api.example:9080'), '101 hello\n')
  const { received } = await stage.http('unfenced', 'outside', { host: 'api.example:9080' })
  assert.deepEqual(Object.keys(ours(received)), ['x-slime-hops'])
  assert.equal(received['host'], 'api.example:9080')
  // nor does a host that the mesh knows
  assert.deepEqual(ours((await stage.http('closed', 'plain', { host: 'plain.default:9080' })).received), {})
})

test('what an application writes into the header counts for nothing', async () => {
  for (const address of ['127.0.0.1:9080', `${stage.pod('server').ip}:9080`, 'nonsense']) {
    const { outcome, received } = await stage.http('unfenced', 'outside', { host: 'api.example:9080', headers: { [HEADER]: address } })
    assert.equal(outcome, '200 outside:9080', address)
    assert.deepEqual(Object.keys(ours(received)), ['x-slime-hops'])
  }
  // by its own name the global-sidecar is no way out
  const headers = { [HEADER]: `${stage.pod('outside').ip}:9080` }
  const { outcome } = await stage.http('unfenced', 'global-sidecar', { host: 'global-sidecar:9080', headers })
  assert.equal(outcome, '404')
})

test('whoever reaches the global-sidecar without a proxy gets nowhere but to the port at hand', async () => {
  const { ip } = globalSidecar()
  const via = async (address: string | readonly string[], hops = '') => {
    const headers = { host: 'api.example', [HEADER]: address, ...(hops === '' ? {} : { 'x-slime-hops': hops }) }
    return (await stage.pod('outside').place.app().call(`http://${ip}:9080/`, { headers })).status
  }
  const outside = stage.pod('outside').ip
  assert.equal(await via(`${outside}:9080`), 200)
  assert.equal(await via(`${outside}:9080`, '111'), 200)
  assert.equal(await via(`${outside}:9080`, '1111'), 508)
  assert.equal(await via(`${ip}:9080`), 508)
  // of several it is the first that counts, for what is allowed and for where the call goes
  assert.equal(await via([`${outside}:9080`, '127.0.0.1:9080']), 200)
  assert.equal(await via(['127.0.0.1:9080', `${outside}:9080`]), 403)
  assert.equal(await via(['[::1]:9080', `${outside}:9080`]), 404)
  assert.equal(await via([`${ip}:15020`, `${outside}:9080`]), 404)
  for (const address of ['127.0.0.1:9080', '169.254.169.254:9080', '0.0.0.0:9080']) assert.equal(await via(address), 403, address)
  for (const address of [`${outside}:8000`, '127.0.0.1:15000'.replace('127.0.0.1', ip), '[::1]:9080', 'localhost:9080'])
    assert.equal(await via(address), 404, address)
})

test('what goes round is answered and does not go on', async () => {
  const headers = { host: 'api.example' }
  const call = async (ip: string): Promise<number> =>
    (await stage.pod('outside').place.app().call(`http://${ip}:9080/`, { headers })).status
  // the proxy of that pod tells the global-sidecar its own address
  assert.equal(await call(stage.pod('looping').ip), 508)
  const earlier = await forwarded()
  assert.equal(await call(stage.pod('looping').ip), 508)
  assert.equal(await forwarded(), earlier + 4)
})

test('in mode cluster everything is answered from the first call on, too', async () => {
  await stage.kubectl('delete', 'servicefence', 'caller', '-n', 'default')
  await patchBoot([
    { op: 'replace', path: '/spec/component/globalSidecar/type', value: 'cluster' },
    { op: 'remove', path: '/spec/component/globalSidecar/namespace' },
  ])
  await stage.mesh.apply([FENCE])
  await stage.eventually(async () => assert.doesNotMatch(await stage.admin('caller', '/clusters'), /outbound\|9080\|\|plain\./))
  seen.cluster = await callAll()
  assert.deepEqual(lost(seen.cluster), [])
  // the global-sidecar is in another namespace
  await stage.eventually(async () => assert.deepEqual(await kept(), { ...KEPT, 'hidden.default.svc.cluster.local': 'Hidden' }))
  assert.equal(seen.cluster[closed()], '404')
  assert.deepEqual(await stage.rejected(), [])
})

test('after the removal everything is answered as before', async () => {
  const { code, output } = await runBash([UNINSTALL], { kubeconfig: stage.mesh.cluster.kubeconfig })
  assert.equal(code, 0, output)
  await stage.eventually(async () => assert.match(await stage.admin('caller', '/clusters'), /outbound\|9080\|\|plain\./))
  await stage.eventually(async () => {
    seen.after = await callAll()
    assert.deepEqual(seen.after, seen.before)
  })
  assert.deepEqual(await stage.rejected(), [])
})

const HEADER = 'x-slime-original-destination'

const closed = (): number => stage.destinations.findIndex(({ title }) => title === 'host outside the mesh, namespace REGISTRY_ONLY')

/** By host, why the fence keeps it. */
async function kept(): Promise<Readonly<Record<string, string>>> {
  const { status } = await stage.get('servicefence', 'caller', '-n', 'default')
  return Object.fromEntries(status.kept.hosts.map(({ host, reason }: { host: string; reason: string }) => [host, reason]))
}

/** Resolves when the operator has done it. */
async function patchBoot(patch: readonly object[]): Promise<void> {
  await stage.kubectl('patch', 'slimeboot', 'lazyload', '-n', 'mesh-operator', '--type=json', '-p', JSON.stringify(patch))
  await stage.eventually(async () => {
    const { metadata, status } = await stage.get('slimeboot', 'lazyload', '-n', 'mesh-operator')
    const [ready] = status.conditions.filter(({ type }: { type: string }) => type === 'Ready')
    assert.deepEqual([ready.observedGeneration, ready.status], [metadata.generation, 'True'], ready.message)
  })
}

/** Calls to unknown hosts that the global-sidecar of namespace default has sent on. */
async function forwarded(): Promise<number> {
  const path = '/stats?filter=^cluster.slime_original_destination.upstream_rq_total$'
  const { text } = await globalSidecar().place.app().call(`http://127.0.0.1:15000${path}`)
  return Number(text.split(': ')[1])
}

/** Of namespace default. */
function globalSidecar() {
  const found = stage.mesh.kubelet.pods().find(({ labels, namespace }) => labels['app'] === 'qz-ingress' && namespace === 'default')
  assert.ok(found !== undefined)
  return found
}

function ours(received: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(received).filter(([name]) => name.startsWith('x-slime')))
}

async function callAll(): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const { call } of stage.destinations) outcomes.push(await call())
  return outcomes
}

const isAnswer = (outcome: Outcome | undefined): boolean => outcome !== undefined && /^200 |greets/.test(outcome)

/** Destinations that answered before and do not now. */
function lost(now: readonly Outcome[]): readonly string[] {
  return stage.destinations.flatMap((destination, index) =>
    isAnswer(seen.before[index]) && now[index] !== seen.before[index] ? [`${nameOf(destination)}: ${now[index]}`] : [],
  )
}

function nameOf({ from, title }: Destination): string {
  return `${from} → ${title}`
}

function table(): string {
  const cell = (text: string | undefined = ''): string => text.replace(/\s+/g, ' ').slice(0, 24).padEnd(26)
  const rows = [
    ['what is called, under STRICT', 'before', 'first call with a fence', 'in mode cluster', 'after'],
    ...stage.destinations.map((each, index) => [
      nameOf(each),
      seen.before[index],
      seen.with[index],
      seen.cluster[index],
      seen.after[index],
    ]),
  ]
  return rows.map(([name = '', ...cells]) => name.padEnd(60) + cells.map(cell).join('')).join('\n')
}
