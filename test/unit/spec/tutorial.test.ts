/** Every sample and every SlimeBoot of the tutorial is valid, and its values are those that the tutorial describes. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { KIND } from '../../../operator/api/slimeboot.ts'
import { buildValues } from '../../../operator/spec/build-values.ts'
import { validate } from '../../../operator/spec/validate.ts'
import type { Values } from '../../../operator/spec/values.ts'
import { readManifestFile } from '../../../operator/spec/yaml-file.ts'
import { VERSION } from '../../../operator/version.ts'
import type { JsonObject } from '../../../runtime/object.ts'

const ROOT = join(import.meta.dirname, '../../..')
const TUTORIAL = join(ROOT, 'test/fixtures/tutorial')
const SAMPLES = join(ROOT, 'samples')
const FACTS = { rootNamespace: 'istio-system', kubernetesVersion: { major: 1, minor: 36 } }

async function bootIn(folder: string, file: string) {
  const [boot] = (await readManifestFile(join(folder, file))).filter(({ kind }) => kind === KIND)
  assert.ok(boot !== undefined, `${file} has a SlimeBoot`)
  return boot
}

async function valuesIn(folder: string, file: string): Promise<Values> {
  return buildValues(await bootIn(folder, file))
}

for (const folder of [TUTORIAL, SAMPLES]) {
  for (const file of readdirSync(folder)) {
    test(`${file} reads, and its SlimeBoots are valid without unknown keys`, async () => {
      for (const object of await readManifestFile(join(folder, file))) {
        if (object.kind !== KIND) continue
        const { errors, warnings } = validate(object, FACTS)
        assert.deepEqual(errors, [])
        assert.deepEqual(
          warnings.filter(({ reason }) => reason === 'UnknownKey'),
          [],
        )
      }
    })
  }
}

const DEFAULT_NAMESPACE = [{ namespace: 'default', filterNamespace: 'default' }]
const ALL_NAMESPACES = [{ namespace: 'mesh-operator', filterNamespace: 'istio-system' }]

/** Fixture 12: what decides the set of rendered objects. */
const SETS: readonly (readonly [
  file: string,
  expected: Pick<Values, 'mode' | 'shape' | 'globalSidecars'> & { name: string; pilot: boolean; accessLog: string | undefined },
])[] = [
  [
    'namespaced.yaml',
    { name: 'lazyload', mode: 'namespaced', shape: 'pilot', globalSidecars: DEFAULT_NAMESPACE, pilot: true, accessLog: undefined },
  ],
  [
    'cluster.yaml',
    { name: 'slime-fence', mode: 'cluster', shape: 'pilot', globalSidecars: ALL_NAMESPACES, pilot: true, accessLog: undefined },
  ],
  ['no-global-sidecar.yaml', { name: 'slime-fence', mode: 'none', shape: 'stock', globalSidecars: [], pilot: false, accessLog: undefined }],
  [
    'accesslog.yaml',
    {
      name: 'lazyload',
      mode: 'namespaced',
      shape: 'pilot',
      globalSidecars: DEFAULT_NAMESPACE,
      pilot: true,
      accessLog: 'lazyload.mesh-operator',
    },
  ],
  ['logrotate.yaml', { name: 'lazyload', mode: 'none', shape: 'stock', globalSidecars: [], pilot: false, accessLog: undefined }],
]

for (const [file, expected] of SETS) {
  test(`the tutorial's ${file} is one module ${expected.name}, mode ${expected.mode}`, async () => {
    const { modules, mode, shape, globalSidecars, pilot, accessLogs } = await valuesIn(TUTORIAL, file)
    assert.deepEqual(
      {
        name: modules.map(({ name }) => name).join(),
        mode,
        shape,
        globalSidecars,
        pilot: pilot !== undefined,
        accessLog: accessLogs[0]?.address,
      },
      expected,
    )
  })
}

test("the tutorial's dispatches give four virtual hosts for each port", async () => {
  const { ports } = await valuesIn(TUTORIAL, 'dispatches.yaml')
  const dispatches = [
    { name: '163', domains: ['www.163.com'], cluster: 'outbound|80||egress1.testns.svc.cluster.local' },
    { name: 'baidu', domains: ['*.baidu.com', 'baidu.*'], cluster: 'bar.mesh-operator' },
    { name: 'sohu', domains: ['*.sohu.com', 'sodu.*'], cluster: undefined },
    { name: 'default', domains: ['*'], cluster: 'PassthroughCluster' },
  ]
  assert.deepEqual(ports, [
    { port: 80, dispatches },
    { port: 8080, dispatches },
  ])
})

test('the tutorial\'s mode "no" reaches the controller as text', async () => {
  const { modules } = await valuesIn(TUTORIAL, 'no-global-sidecar.yaml')
  assert.match(modules[0]?.config['cfg'] ?? '', /"global-sidecar-mode":"no"/)
})

test("the tutorial's volume is mounted", async () => {
  const { controller } = await valuesIn(TUTORIAL, 'logrotate.yaml')
  assert.deepEqual(controller.volumes, [{ name: 'lazyload-storage', persistentVolumeClaim: { claimName: 'lazyload-claim' } }])
  assert.deepEqual(controller.volumeMounts, [{ mountPath: '/tmp/log', name: 'lazyload-storage' }])
})

test('the pilot sample has the values of the tutorial, and the image of this version', async () => {
  const [sample, tutorial] = [await bootIn(SAMPLES, 'slimeboot_lazyload_pilot.yaml'), await bootIn(TUTORIAL, 'namespaced.yaml')]
  const spec = tutorial['spec'] as JsonObject
  assert.deepEqual(sample['spec'], { ...spec, image: { ...(spec['image'] as JsonObject), tag: `v${VERSION}` } })
})

test("the samples but the pilot's work on a current cluster", async () => {
  for (const file of readdirSync(SAMPLES).filter((name) => name.startsWith('slimeboot_') && !name.includes('pilot'))) {
    assert.equal((await valuesIn(SAMPLES, file)).shape, 'stock', file)
  }
})
