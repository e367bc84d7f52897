/**
 * Which Sidecar istiod takes for a pod, asked of istiod itself and of what lazyload believes: the oldest whose selector the pod matches,
 * of its own revision. https://istio.io/latest/docs/ops/diagnostic-tools/controlz/
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SIDECAR } from '../../lazyload/kinds.ts'
import { createSidecarPrecedence, takenBy } from '../../lazyload/sidecar/precedence.ts'
import { type Mesh, startMesh } from '../../local-cluster/mesh/mesh.ts'
import { type Client, createClient } from '../../runtime/client.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import { createTransport } from '../../runtime/transport.ts'
import { eventually } from '../helpers/eventually.ts'
import { podImages } from '../helpers/image.ts'

const NAMESPACE = 'default'
const PATIENT = { timeout: 60_000, interval: 100 }
/** What istiod calls the scope of a proxy without a Sidecar of its own. */
const NONE = 'default-sidecar'
const POD = { app: 'ordinary', version: 'v1' }

type Labels = Readonly<Record<string, string>>
interface Given {
  readonly name: string
  readonly selector: Labels | undefined
  readonly revision?: string
}

let mesh: Mesh
let client: Client
let close: () => void
before(async () => {
  mesh = await startMesh({ image: await podImages(), settings: ['values.revisionTags[0]=stable'] })
  const transport = createTransport({
    loadConfig: () => loadKubeConfig(mesh.cluster.kubeconfigFor({ name: 'test', groups: ['system:masters'] })),
    userAgent: 'test',
  })
  client = createClient(transport)
  close = () => transport.close()
  await mesh.apply([
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'ordinary', namespace: NAMESPACE },
      spec: {
        selector: { matchLabels: { app: 'ordinary' } },
        template: {
          metadata: { labels: { ...POD, 'sidecar.istio.io/inject': 'true' } },
          spec: { containers: [{ name: 'app', image: 'ordinary:1' }] },
        },
      },
    } as never,
  ])
  await eventually(async () => assert.equal(await takenFor('ordinary'), NONE), PATIENT)
})
after(async () => {
  close?.()
  await mesh?.[Symbol.asyncDispose]()
})

const app = (name: string, selector: Labels | undefined, revision?: string): Given => ({
  name,
  selector,
  ...(revision === undefined ? {} : { revision }),
})

for (const [title, sidecars, expected] of [
  ['the oldest of two with the same selector', [app('z-first', { app: 'ordinary' }), app('a-second', { app: 'ordinary' })], 'z-first'],
  ['the oldest, not the one that says more', [app('wide', { app: 'ordinary' }), app('narrow', POD)], 'wide'],
  ['the older narrow one', [app('narrow', POD), app('wide', { app: 'ordinary' })], 'narrow'],
  ['one by another label, if it is older', [app('by-version', { version: 'v1' }), app('by-app', { app: 'ordinary' })], 'by-version'],
  ['none for other pods', [app('others', { app: 'other' }), app('half', { ...POD, tier: 'x' }), app('right', POD)], 'right'],
  ['an empty selector before a younger one', [app('empty', {}), app('right', POD)], 'empty'],
  ['a younger one before one for the namespace', [app('for-all', undefined), app('right', POD)], 'right'],
  ['only those of its own revision', [app('canary', POD, 'canary'), app('right', POD, 'default')], 'right'],
  ['none with a tag, though it stands for its revision', [app('tagged', POD, 'stable'), app('right', POD)], 'right'],
] as const)
  test(`istiod takes ${title}, and so lazyload believes`, async () => {
    for (const each of sidecars) {
      await nextSecond()
      await client.create(SIDECAR, {
        apiVersion: SIDECAR.apiVersion,
        kind: SIDECAR.kind,
        metadata: {
          name: each.name,
          namespace: NAMESPACE,
          ...(each.revision === undefined ? {} : { labels: { 'istio.io/rev': each.revision } }),
        },
        spec: {
          egress: [{ hosts: ['./*'] }],
          ...(each.selector === undefined ? {} : { workloadSelector: { labels: each.selector } }),
        },
      })
    }
    await eventually(async () => assert.equal(await takenFor('ordinary'), expected), PATIENT)
    const precedence = createSidecarPrecedence()
    const { items } = await client.list(SIDECAR, { namespace: NAMESPACE })
    for (const item of items) precedence.change(undefined, item)
    // the last of them would be the fence's
    const last = sidecars.at(-1)!
    const believed = takenBy(precedence.before(`${NAMESPACE}/${last.name}`), { labels: POD, revision: 'default' })
    assert.equal(believed?.name ?? last.name, expected)
    for (const { metadata } of items) await client.remove({ type: SIDECAR, namespace: NAMESPACE, name: metadata.name })
    await eventually(async () => assert.equal(await takenFor('ordinary'), NONE), PATIENT)
  })

test('an injected pod says which revision it is of', async () => {
  const type = { apiVersion: 'v1', kind: 'Pod', plural: 'pods', namespaced: true }
  const { items } = await client.list(type, { namespace: NAMESPACE, labelSelector: 'app=ordinary', metadataOnly: true })
  assert.equal(items[0]?.metadata.annotations?.['istio.io/rev'], 'default')
})

/** The name of the Sidecar that istiod has for the proxy in the pod of `label`. */
async function takenFor(label: string): Promise<string> {
  const podOf = (name: string) => mesh.kubelet.pods().find(({ labels }) => labels['app'] === name)
  const [pod, istiod] = [podOf(label), podOf('istiod')]
  assert.ok(pod !== undefined && istiod !== undefined, `there is no pod of ${label}`)
  const { status, text } = await istiod.place.app().call(`http://127.0.0.1:8080/debug/sidecarz?proxyID=${pod.name}.${pod.namespace}`)
  assert.equal(status, 200, text)
  return (JSON.parse(text) as { readonly name: string }).name
}

/** The API server's times of creation have seconds. */
async function nextSecond(): Promise<void> {
  const second = Math.floor(Date.now() / 1000)
  await eventually(() => assert.ok(Math.floor(Date.now() / 1000) > second + 1))
}
