import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FIELD_MANAGER } from '../../operator/api/slimeboot.ts'
import { typeOf } from '../../operator/api/kinds.ts'
import type { Manifest } from '../../operator/render/manifest.ts'
import { render } from '../../operator/render/render.ts'
import { specPathOf } from '../../operator/render/spec-path.ts'
import type { Values } from '../../operator/spec/values.ts'
import { type JsonObject, objectId } from '../../runtime/object.ts'
import { objectPath, refOf } from '../../runtime/resource.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { SHAPES, type ShapeOptions, nameOfShape, valuesOf } from '../helpers/shapes.ts'

/** Every optional part of the stock global-sidecar. */
const WITH_OPTIONS = {
  revision: '1-30',
  priorityClassName: 'system-cluster-critical',
  networkPolicy: true,
  nodeSelector: { disk: 'ssd' },
  tolerations: [{ operator: 'Exists' }],
}

for (const options of SHAPES) {
  test(`${nameOfShape(options)}: the API server accepts every object, with no unknown field`, async () => {
    const values = await valuesInNewNamespaces(options)
    const withOptions: Values = { ...values, globalSidecar: { ...values.globalSidecar, ...WITH_OPTIONS } }
    for (const manifest of [...render(values), ...render(withOptions)]) {
      const { status, body } = await dryRun(manifest)
      assert.ok(status === 200 || status === 201, `${objectId(manifest.object)}: ${JSON.stringify(body)}`)
    }
  })
}

const PLAIN: ShapeOptions = { mode: 'namespaced', source: 'prometheus', shape: 'pilot', volumes: true, dispatches: false }

test('the API server refuses a field that it does not know', async () => {
  const [manifest] = render(await valuesInNewNamespaces(PLAIN))
  assert.ok(manifest)
  const { status } = await dryRun({ ...manifest, object: { ...manifest.object, automountServiceAccountTokens: true } })
  assert.ok(status >= 400)
})

const refused: Readonly<Record<string, JsonObject>> = {
  'spec.image.pullPolicy': { image: { repository: 'slime', pullPolicy: 'Sometimes' } },
  'spec.resources.requests': { resources: { requests: { cpu: '3' }, limits: { cpu: '2' } } },
  'spec.containers.slime.volumeMounts[0].name': { volumes: [] },
  'spec.volumes[0].persistentVolumeClaim.claimName': { volumes: [{ name: 'lazyload-storage', persistentVolumeClaim: { claimName: '' } }] },
  'spec.healthProbePort': { healthProbePort: 70000 },
  'spec.service.port': { service: { port: 0 } },
  'spec.service.type': { service: { type: 'Cluster' } },
  'spec.tolerations[0].operator': { tolerations: [{ operator: 'Sometimes' }] },
  'spec.replicaCount': { replicaCount: -1 },
}
for (const [specPath, extra] of Object.entries(refused)) {
  test(`a refusal by the API server is traced to ${specPath}`, async () => {
    const answers = await Promise.all(
      render(await valuesInNewNamespaces(PLAIN, extra)).map(async (manifest) => ({ manifest, ...(await dryRun(manifest)) })),
    )
    const fields = answers.flatMap(({ manifest, body }) => {
      const causes = (body as { details?: { causes?: { field?: string }[] } }).details?.causes ?? []
      return causes.map(({ field }) => specPathOf(manifest, field ?? ''))
    })
    assert.ok(
      fields.some((field) => field?.startsWith(specPath)),
      JSON.stringify([fields, answers.map(({ body }) => (body as { message?: string }).message)]),
    )
  })
}

async function valuesInNewNamespaces(options: ShapeOptions, extra: JsonObject = {}): Promise<Values> {
  const cluster = await sharedCluster()
  const prefixes = ['modules', 'istio', 'app', 'app']
  const [namespace = '', istioNamespace = '', ...namespaces] = await Promise.all(
    prefixes.map(async (prefix) => await createNamespace(cluster, prefix)),
  )
  return valuesOf({ ...options, namespaces }, { namespace, istioNamespace, ...extra })
}

async function dryRun({ object }: Manifest): Promise<{ status: number; body: unknown }> {
  const cluster = await sharedCluster()
  const query = `dryRun=All&force=true&fieldManager=${FIELD_MANAGER}&fieldValidation=Strict`
  return await cluster.request('PATCH', `${objectPath(refOf(typeOf(object), object))}?${query}`, {
    body: object,
    contentType: 'application/apply-patch+yaml',
  })
}
