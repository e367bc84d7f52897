/**
 * What istiod would send to proxies of Istio's own build, which have the filters of metadata exchange. The Envoys here do not, so they
 * refuse that; what istiod means to send it tells itself: https://istio.io/latest/docs/ops/diagnostic-tools/controlz/
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Mesh, startMesh } from '../../local-cluster/mesh/mesh.ts'
import { render } from '../../operator/render/render.ts'
import { eventually } from '../helpers/eventually.ts'
import { podImages } from '../helpers/image.ts'
import { valuesOf } from '../helpers/shapes.ts'

const FILTER = 'istio.metadata_exchange'
const PATIENT = { timeout: 60_000, interval: 100 }

const values = valuesOf({
  mode: 'namespaced',
  source: 'prometheus',
  shape: 'stock',
  volumes: false,
  dispatches: false,
  namespaces: ['default'],
})
const rendered = render(values).map(({ object }) => object)
const globalSidecar = rendered.filter(({ metadata }) => metadata.namespace === 'default' && metadata.labels?.['app'] !== 'lazyload')
const removal = globalSidecar.filter(({ metadata }) => metadata.name === 'global-sidecar-metadata-exchange-remove')

/** Any application. */
const ORDINARY = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'ordinary', namespace: 'default' },
  spec: {
    selector: { matchLabels: { app: 'ordinary' } },
    template: {
      metadata: { labels: { app: 'ordinary', 'sidecar.istio.io/inject': 'true' } },
      spec: { containers: [{ name: 'app', image: 'ordinary:1' }] },
    },
  },
}

let mesh: Mesh
before(async () => {
  mesh = await startMesh({ image: await podImages(), settings: ['values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE=true'] })
  await mesh.apply([...globalSidecar.filter((object) => !removal.includes(object)), ORDINARY])
})
after(async () => await mesh?.[Symbol.asyncDispose]())

test('a proxy that passes calls on would write its own name over the name of the caller', async () => {
  assert.equal(removal.length, 1)
  await eventually(async () => assert.ok((await listenerOf('qz-ingress')).includes(FILTER)), PATIENT)
  await eventually(async () => assert.ok((await listenerOf('ordinary')).includes(FILTER)), PATIENT)
})

test('the rendered EnvoyFilter keeps the global-sidecar from it, and no other proxy', async () => {
  await mesh.apply(removal)
  await eventually(async () => assert.ok(!(await listenerOf('qz-ingress')).includes(FILTER)), PATIENT)
  assert.ok((await listenerOf('ordinary')).includes(FILTER))
})

/** The listener for calls to port 9080 that istiod has for the proxy in the pod of `app`, as JSON. */
async function listenerOf(app: string): Promise<string> {
  const podOf = (label: string) => mesh.kubelet.pods().find(({ labels }) => labels['app'] === label)
  const [pod, istiod] = [podOf(app), podOf('istiod')]
  assert.ok(pod !== undefined && istiod !== undefined, `there is no pod of ${app}`)
  const { status, text } = await istiod.place.app().call(`http://127.0.0.1:8080/debug/config_dump?proxyID=${pod.name}.${pod.namespace}`)
  assert.equal(status, 200, text)
  const { configs } = JSON.parse(text) as {
    readonly configs: readonly { readonly dynamic_listeners?: readonly object[]; readonly dynamicListeners?: readonly object[] }[]
  }
  const listeners = configs.flatMap(({ dynamic_listeners: snake = [], dynamicListeners: camel = [] }) => [...snake, ...camel])
  const found = listeners.map((each) => JSON.stringify(each)).filter((each) => each.includes('"name":"0.0.0.0_9080"'))
  assert.equal(found.length, 1, `${listeners.length} listeners`)
  return found[0]!
}
