/**
 * The tutorial line by line on a real mesh: kube-apiserver, istiod with injection and mTLS, an Envoy in every pod, the operator and
 * lazyload from their image, installed and removed by the scripts. What the operator renders is used as it is.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { INSTALL, ROOT, runBash, UNINSTALL } from '../helpers/scripts.ts'
import { setStage, type Stage } from './stage.ts'
import { startTraffic, type Traffic } from './traffic.ts'

const SAMPLES = join(ROOT, 'samples')
const SAMPLE = join(SAMPLES, 'slimeboot_lazyload_accesslog.yaml')
const THROUGH = 'outbound|9080||global-sidecar.default.svc.cluster.local'
const OURS = ['istio-system/*', 'mesh-operator/*', '*/global-sidecar.default.svc.cluster.local']

/** Of a user, without a fence: nothing is learned, so what details calls goes through the global-sidecar as long as there is one. */
const OF_DETAILS = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'Sidecar',
  metadata: { name: 'details', namespace: 'default' },
  spec: { workloadSelector: { labels: { app: 'details' } }, egress: [{ hosts: OURS }] },
}

/** Every pod takes nothing but mTLS, every caller is told to speak it. */
const MTLS = [
  {
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name: 'strict', namespace: 'istio-system' },
    spec: { mtls: { mode: 'STRICT' } },
  },
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'strict', namespace: 'istio-system' },
    spec: { host: '*.local', trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } } },
  },
]

let stage: Stage
let traffic: Traffic

before(async () => {
  stage = await setStage()
  await stage.mesh.apply([OF_DETAILS])
  traffic = startTraffic(stage)
  traffic.add('details', 'http://ratings.default:9080/ratings/0')
  traffic.add('reviews-v1', 'http://ratings:9080/ratings/0')
})
after(async () => {
  await traffic?.end()
  await stage?.[Symbol.asyncDispose]()
})

test('the install script makes lazyload Ready, with a global-sidecar that Istio injects', async () => {
  const { kubectl, mesh } = stage
  const { code, output } = await runBash([INSTALL, '-f', SAMPLE], { kubeconfig: mesh.cluster.kubeconfig })
  assert.equal(code, 0, output)
  assert.match(output, /✔ SlimeBoot mesh-operator\/lazyload is Ready/)
  assert.match(await kubectl('get', 'pods', '-n', 'default', '-l', 'app=qz-ingress'), /^global-sidecar-\S+ +1\/1 +Running/m)
  // elsewhere the proxy is a native sidecar; a pod of nothing else would be left without containers
  assert.deepEqual(await containersOf('qz-ingress'), { init: [], main: ['istio-proxy'] })
  assert.deepEqual(await containersOf('details'), { init: ['istio-init', 'istio-proxy'], main: ['details'] })
  assert.match(await kubectl('get', 'pods', '-n', 'mesh-operator', '-l', 'app=lazyload'), /^lazyload-\S+ +1\/1 +Running/m)
})

test('every proxy accepts what istiod makes of the rendered objects', async () => {
  await stage.eventually(async () => assert.deepEqual(await stage.rejected(), []))
})

test('a fence makes a Sidecar with the three hosts of the tutorial', async () => {
  await stage.kubectl('apply', '-f', join(SAMPLES, 'servicefence_productpage.yaml'))
  await stage.eventually(async () => assert.deepEqual(await sidecarHosts(), OURS))
  // istiod has told the proxy
  await stage.eventually(async () => assert.ok(!(await stage.knows('productpage', 'details'))))
})

test('the first calls go through the global-sidecar and are answered', async () => {
  const from = stage.accessLog('productpage').length
  const { status, text } = await visit()
  assert.deepEqual([status, statuses(text)], [200, [200, 200]], text)
  await stage.eventually(() => assert.deepEqual(outbound(from), [`GET /details/0 200 ${THROUGH}`, `GET /reviews/0 200 ${THROUGH}`]))
})

test('what was called is learned from the access log, and the Sidecar grows', async () => {
  const expected = ['*/details.default.svc.cluster.local', '*/reviews.default.svc.cluster.local']
  await stage.eventually(async () => assert.deepEqual(await sidecarHosts(), [...expected, ...OURS]))
})

test('the second calls go straight to the services', async () => {
  await stage.eventually(async () => assert.ok(await stage.knows('productpage', 'reviews')))
  await stage.eventually(async () => {
    const from = stage.accessLog('productpage').length
    const { status, text } = await visit()
    assert.deepEqual([status, statuses(text)], [200, [200, 200]], text)
    await stage.eventually(() =>
      assert.deepEqual(
        outbound(from),
        ['details', 'reviews'].map((service) => `GET /${service}/0 200 outbound|9080||${service}.default.svc.cluster.local`),
      ),
    )
  })
  traffic.add('productpage', 'http://details:9080/details/0')
})

test('a host that nobody knows goes to the address that was called', async () => {
  const from = stage.accessLog('productpage').length
  assert.equal((await stage.call('productpage', 'http://unknown.example:9080/unknown')).status, 200)
  await stage.eventually(() => assert.ok(stage.accessLog('productpage').slice(from).includes(`GET /unknown 200 ${THROUGH}`)))
  await stage.eventually(() => assert.ok(stage.accessLog('qz-ingress').includes('GET /unknown 200 slime_original_destination')))
})

test('the address of the global-sidecar itself is answered and does not go round', async () => {
  const { ip } = stage.pod('qz-ingress')
  const memory = await stage.stat('qz-ingress', 'server.memory_allocated')
  for (let round = 0; round < 20; round++) {
    const headers = { host: `unknown-${round}.example`, connection: 'close' }
    const { status } = await stage.pod('productpage').place.app().call(`http://${ip}:9080/`, { headers })
    assert.equal(status, 508)
  }
  const memoryAfter = await stage.stat('qz-ingress', 'server.memory_allocated')
  assert.ok(memoryAfter < memory + 2 ** 22, `${memory} → ${memoryAfter} bytes`)
})

test('hosts that are dispatched go where the SlimeBoot says', async () => {
  const dispatches = [
    { name: 163, domains: ['www.163.com'], cluster: 'outbound|9080||reviews.default.svc.cluster.local' },
    { name: 'outside', domains: ['*.example'], cluster: 'PassthroughCluster' },
    { name: 'default', domains: ['*'], cluster: '_GLOBAL_SIDECAR' },
  ]
  await patchBoot([{ op: 'add', path: '/spec/module/0/fence/dispatches', value: dispatches }])
  const route = async (host: string): Promise<readonly (string | undefined)[]> => {
    const from = stage.accessLog('productpage').length
    const { status } = await stage.call('productpage', `http://${host}:9080/${host}`)
    return await stage.eventually(() => {
      const line = stage
        .accessLog('productpage')
        .slice(from)
        .find((each) => each.includes(`/${host}`))
      assert.ok(line !== undefined)
      return [String(status), line.split(' ').at(-1)]
    })
  }
  await stage.eventually(async () => assert.deepEqual(await route('a.example'), ['200', 'PassthroughCluster']))
  assert.deepEqual(await route('www.163.com'), ['200', 'outbound|9080||reviews.default.svc.cluster.local'])
  assert.deepEqual(await route('nowhere.test'), ['200', THROUGH])
  assert.deepEqual(await stage.rejected(), [])
})

test('first calls work when the whole mesh demands mTLS', async (t) => {
  const outside = async () =>
    await stage
      .pod('lazyload')
      .place.app()
      .call(`http://${stage.pod('ratings').ip}:9080/`)
  t.after(async () => {
    for (const { kind } of MTLS) await stage.kubectl('delete', kind, 'strict', '-n', 'istio-system')
    await stage.eventually(async () => assert.equal((await outside()).status, 200))
  })
  await stage.mesh.apply(MTLS)
  await stage.eventually(async () => await assert.rejects(outside))
  const from = stage.accessLog('details').length
  assert.equal((await stage.call('details', 'http://reviews.default:9080/health')).status, 200)
  await stage.eventually(() => assert.ok(stage.accessLog('details').slice(from).includes(`GET /health 200 ${THROUGH}`)))
})

test('first calls work where only registered hosts may be called', async (t) => {
  const policy = async (mode: string): Promise<void> => {
    const { data } = await stage.get('configmap', 'istio', '-n', 'istio-system')
    const mesh = `${data.mesh.replace(/\noutboundTrafficPolicy:.*/, '')}\noutboundTrafficPolicy: { mode: ${mode} }`
    await stage.kubectl('patch', 'configmap', 'istio', '-n', 'istio-system', '--type=merge', '-p', JSON.stringify({ data: { mesh } }))
    await stage.eventually(async () =>
      assert.equal((await activeListeners('details')).includes('"PassthroughCluster"'), mode === 'ALLOW_ANY'),
    )
  }
  t.after(async () => await policy('ALLOW_ANY'))
  await policy('REGISTRY_ONLY')
  assert.equal((await stage.call('details', 'http://reviews.default:9080/health')).status, 200)
  assert.equal((await stage.call('details', 'http://unknown.test:9080/')).status, 404)
  assert.deepEqual(await stage.rejected(), [])
})

test('first calls keep their protocol', async () => {
  const client = `
    const request = require('node:http2').connect('http://${stage.pod('ratings').ip}:9080').request({ ':authority': 'ratings.default:9080', ':path': '/h2' })
    request.on('response', (headers) => { console.log(headers[':status']); process.exit() })`
  assert.equal((await stage.pod('details').place.run(process.execPath, ['-e', client])).trim(), '200')
  await stage.eventually(() => {
    const lines = stage.pod('qz-ingress').log('istio-proxy').split('\n')
    assert.match(lines.find((line) => line.includes(' /h2 ')) ?? 'not in its log', /"GET \/h2 HTTP\/2" 200/)
  })
})

test('a new global-sidecar takes over from the old one', async () => {
  const old = stage.pod('qz-ingress').name
  await patchBoot([{ op: 'replace', path: '/spec/component/globalSidecar/resources/limits/cpu', value: '300m' }])
  await stage.eventually(() => assert.notEqual(stage.pod('qz-ingress').name, old))
  assert.ok(last('details')?.endsWith(THROUGH))
})

test('in mode cluster the global-sidecar of mesh-operator does the same for names with a namespace', async () => {
  await patchBoot([
    { op: 'replace', path: '/spec/component/globalSidecar/type', value: 'cluster' },
    { op: 'remove', path: '/spec/component/globalSidecar/namespace' },
  ])
  const through = THROUGH.replace('.default.', '.mesh-operator.')
  await stage.eventually(() => assert.ok(last('details')?.endsWith(through), last('details')))
  await stage.eventually(async () => assert.deepEqual((await sidecarHosts()).slice(-2), OURS.slice(0, 2)))
  assert.equal((await stage.call('details', 'http://reviews.default:9080/health')).status, 200)
  // it knows no short names of other namespaces, and sends the call on to where it went
  assert.equal((await stage.call('details', 'http://reviews:9080/health')).status, 200)
  assert.deepEqual(await stage.rejected(), [])
})

test('the uninstall script removes everything, and calls are direct again', async () => {
  const { code, output } = await runBash([UNINSTALL], { kubeconfig: stage.mesh.cluster.kubeconfig })
  assert.equal(code, 0, output)
  for (const kind of ['envoyfilters,sidecars,destinationrules', 'deployments'])
    assert.doesNotMatch(await stage.kubectl('get', kind, '-A', '-o', 'name'), /global-sidecar|lazyload|productpage$|slime-boot/)
  await stage.eventually(async () => assert.ok(await stage.knows('productpage', 'details')))
  assert.equal((await visit()).status, 200)
  assert.deepEqual(await stage.rejected(), [])
})

test('no call has failed at any time', async () => {
  const { calls, failed } = await traffic.end()
  assert.ok(calls > 500, `${calls} calls`)
  assert.deepEqual(failed, [])
})

/** Resolves when the operator has done it. */
async function patchBoot(patch: readonly object[]): Promise<void> {
  const { kubectl, get, eventually } = stage
  await kubectl('patch', 'slimeboot', 'lazyload', '-n', 'mesh-operator', '--type=json', '-p', JSON.stringify(patch))
  await eventually(async () => {
    const { metadata, status } = await get('slimeboot', 'lazyload', '-n', 'mesh-operator')
    const [ready] = status.conditions.filter(({ type }: { type: string }) => type === 'Ready')
    assert.deepEqual([ready.observedGeneration, ready.status], [metadata.generation, 'True'], ready.message)
  })
}

const visit = async () => await stage.call('ratings', 'http://productpage:9080/productpage')

async function containersOf(app: string): Promise<{ readonly init: readonly string[]; readonly main: readonly string[] }> {
  const { spec } = await stage.get('pod', stage.pod(app).name, '-n', 'default')
  const names = (containers: readonly { readonly name: string }[] = []): readonly string[] => containers.map(({ name }) => name)
  return { init: names(spec.initContainers), main: names(spec.containers) }
}

/** The last that the application of this pod has sent. */
function last(app: string): string | undefined {
  return stage.accessLog(app).findLast((line) => !line.includes(' inbound|'))
}

/** Of productpage's own calls. */
function statuses(page: string): readonly number[] {
  return (JSON.parse(page) as { readonly calls: readonly { readonly status: number }[] }).calls.map(({ status }) => status)
}

/** What productpage's proxy has sent out for a page since line `from`. */
function outbound(from: number): readonly string[] {
  return stage
    .accessLog('productpage')
    .slice(from)
    .filter((line) => /\/(details|reviews)\/0 /.test(line))
    .sort()
}

/** Listeners of a pod's proxy as JSON, without those that it drains. */
async function activeListeners(app: string): Promise<string> {
  const { configs } = JSON.parse(await stage.admin(app, '/config_dump?resource=dynamic_listeners')) as {
    readonly configs: readonly { readonly active_state?: unknown }[]
  }
  return JSON.stringify(configs.map(({ active_state }) => active_state))
}

async function sidecarHosts(): Promise<readonly string[]> {
  const { spec } = await stage.get('sidecar', 'productpage', '-n', 'default')
  assert.deepEqual(spec.workloadSelector, { labels: { app: 'productpage' } })
  assert.equal(spec.egress.length, 1)
  return spec.egress[0].hosts
}
