/**
 * A SlimeBoot that is deleted, on a real mesh under STRICT mTLS, while applications call without a pause: hosts that were learned and
 * hosts that were not. No call may fail, and nothing narrows anybody's view afterwards.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { INSTALL, ROOT, runBash } from '../helpers/scripts.ts'
import { setStage, type Stage } from './stage.ts'
import { startTraffic, type Traffic } from './traffic.ts'

const SAMPLES = join(ROOT, 'samples')
const THROUGH = 'outbound|9080||global-sidecar.default.svc.cluster.local'
const STRICT = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'strict', namespace: 'istio-system' },
  spec: { mtls: { mode: 'STRICT' } },
}
/** A caller that has learned nothing. */
const FENCE = {
  apiVersion: 'microservice.slime.io/v1alpha1',
  kind: 'ServiceFence',
  metadata: { name: 'details', namespace: 'default' },
  spec: { enable: true },
}

let stage: Stage
let traffic: Traffic

before(async () => {
  stage = await setStage()
  await stage.mesh.apply([STRICT])
  const { code, output } = await runBash([INSTALL, '-f', join(SAMPLES, 'slimeboot_lazyload_accesslog.yaml')], {
    kubeconfig: stage.mesh.cluster.kubeconfig,
  })
  assert.equal(code, 0, output)
  await stage.kubectl('apply', '-f', join(SAMPLES, 'servicefence_productpage.yaml'))
  await stage.mesh.apply([FENCE])
  for (const app of ['productpage', 'details']) await stage.eventually(async () => assert.ok(!(await stage.knows(app, 'ratings'))))
})
after(async () => {
  await traffic?.end()
  await stage?.[Symbol.asyncDispose]()
})

test('while calls go on, learned ones and first ones, the SlimeBoot is deleted: Sidecars go before the catch-all, and no call fails', async () => {
  await stage.eventually(async () => assert.equal((await stage.call('productpage', 'http://details:9080/details/0')).status, 200))
  await stage.eventually(async () => assert.ok(await stage.knows('productpage', 'details')))
  traffic = startTraffic(stage)
  traffic.add('productpage', 'http://details:9080/details/0')
  const from = stage.accessLog('details').length
  await stage.kubectl('delete', 'slimeboot', '--all', '-A', '--wait=false')
  // lazyload learns nothing any more, so these stay first calls for as long as the Sidecar is there
  traffic.add('details', 'http://ratings.default:9080/ratings/0')
  traffic.add('details', 'http://reviews:9080/health')
  await stage.kubectl('wait', '--for=delete', 'slimeboot', '--all', '-A', '--timeout=300s')
  for (const kind of ['envoyfilters,sidecars', 'deployments'])
    assert.doesNotMatch(
      await stage.kubectl('get', kind, '-A', '-o', 'name'),
      /to-global-sidecar|global-sidecar|lazyload$|productpage$|sidecar.*details$/,
    )
  // istiod has told everybody
  for (const app of ['productpage', 'details']) await stage.eventually(async () => assert.ok(await stage.knows(app, 'ratings')))
  const { calls, failed } = await traffic.end()
  assert.deepEqual(failed, [])
  assert.ok(calls > 300, `${calls} calls`)
  assert.ok(
    stage
      .accessLog('details')
      .slice(from)
      .some((line) => line.endsWith(THROUGH)),
    'no call went through the global-sidecar: nothing was shown',
  )
})

test('the fences are still there, with what they have learned, and say that nobody serves them', async () => {
  const { status } = await stage.get('servicefence', 'productpage', '-n', 'default')
  const ready = (status.conditions as readonly { type: string; status: string; reason: string }[]).find(({ type }) => type === 'Ready')
  assert.deepEqual([ready?.status, ready?.reason], ['False', 'NotServed'])
  assert.deepEqual(Object.keys(status.metricStatus), ['{destination_service="details.default.svc.cluster.local"}'])
  // a call that was never made before
  assert.equal((await stage.call('productpage', 'http://ratings:9080/ratings/0')).status, 200)
  assert.deepEqual(await stage.rejected(), [])
})
