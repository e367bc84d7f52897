/** `slimeboot preflight` on a mesh whose own defaults hide hosts from a global-sidecar for all of it. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { CONFIG_MAP } from '../../operator/api/kinds.ts'
import { createFactReader } from '../../operator/controller/facts.ts'
import { validate } from '../../operator/spec/validate.ts'
import type { Finding } from '../../operator/preflight/findings.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { bootOf } from '../helpers/shapes.ts'
import { adminClient } from '../helpers/stage.ts'

const MAIN = join(import.meta.dirname, '../../operator/cli/main.ts')
const cluster = await sharedCluster()
const client = adminClient(cluster)
const kubeconfig = cluster.kubeconfigFor({ name: 'preflight', groups: ['system:masters'] })

/** A SlimeBoot in a mesh with this configuration. */
async function bootIn(mesh: string, { mode = 'cluster', map = 'istio' }: { mode?: 'cluster' | 'namespaced'; map?: string } = {}) {
  const istioNamespace = await createNamespace(cluster, 'mesh')
  const revision = map.slice('istio-'.length)
  const labels = revision === '' ? {} : { 'istio.io/rev': revision }
  await client.create(CONFIG_MAP, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: map, namespace: istioNamespace, labels },
    data: { mesh: `rootNamespace: ${istioNamespace}\n${mesh}` },
  })
  const boot = bootOf({ mode, source: 'accesslog', shape: 'stock', volumes: false, dispatches: false }, { istioNamespace })
  return boot
}

/** What preflight says of exported hosts. */
async function findings(mesh: string, options: Parameters<typeof bootIn>[1] = {}) {
  const boot = await bootIn(mesh, options)
  const file = join(cluster.dir, `${randomBytes(4).toString('hex')}.json`)
  writeFileSync(file, JSON.stringify(boot))
  const args = ['preflight', '-f', file, '--kubeconfig', kubeconfig, '-o', 'json']
  // exit code 1 where something stands against it
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args]).catch((error: unknown) => error as { stdout: string })
  const all = JSON.parse(stdout) as readonly Finding[]
  return all
    .filter(({ check, detail }) => check === 'Exported hosts' || detail.includes('ExportTo'))
    .map(({ level, detail }) => ({ level, detail }))
}

for (const [mesh, map] of [
  ['defaultServiceExportTo: ["."]', 'istio'],
  ['defaultServiceExportTo: ["~"]', 'istio'],
  ['defaultServiceExportTo: [".", "istio-system"]', 'istio-1-20'],
  ['defaultServiceExportTo: []', 'istio'],
] as const)
  test(`type cluster, ${mesh}: an error, because the global-sidecar would not see the Services`, async () => {
    const [found, ...others] = await findings(mesh, { map })
    assert.deepEqual([found?.level, others], ['error', []])
    assert.match(found?.detail ?? '', /^defaultServiceExportTo is \[.*global-sidecar in mesh-operator would not see Services/)
  })

test('hidden VirtualServices and DestinationRules are warnings', async () => {
  const found = await findings('defaultVirtualServiceExportTo: ["."]\ndefaultDestinationRuleExportTo: ["."]')
  assert.deepEqual(
    found.map(({ level, detail }) => [level, detail.split(' ')[0]]),
    [
      ['warning', 'defaultVirtualServiceExportTo'],
      ['warning', 'defaultDestinationRuleExportTo'],
    ],
  )
})

test('nothing is said where all is exported, at least to the global-sidecar, nor for type namespaced', async () => {
  for (const mesh of [
    '',
    'defaultServiceExportTo: ["*"]',
    'defaultServiceExportTo: [".", "mesh-operator"]',
    'defaultServiceExportTo: 7',
    '[not, a, map',
  ])
    assert.deepEqual(await findings(mesh), [], mesh)
  assert.deepEqual(await findings('defaultServiceExportTo: ["."]', { mode: 'namespaced' }), [])
})

test('the operator warns of it too', async () => {
  const reasons = async (...given: Parameters<typeof bootIn>): Promise<readonly string[]> => {
    const boot = await bootIn(...given)
    const { errors, warnings } = validate(boot, await createFactReader(client).read(boot))
    assert.deepEqual(errors, [])
    return warnings.filter(({ message }) => message.includes('ExportTo')).map(({ reason }) => reason)
  }
  assert.deepEqual(await reasons('defaultServiceExportTo: ["."]'), ['HiddenHosts'])
  assert.deepEqual(await reasons('defaultDestinationRuleExportTo: ["."]', { map: 'istio-1-20' }), ['HiddenHosts'])
  assert.deepEqual(await reasons('defaultServiceExportTo: ["*"]'), [])
  assert.deepEqual(await reasons('defaultServiceExportTo: ["."]', { mode: 'namespaced' }), [])
})
