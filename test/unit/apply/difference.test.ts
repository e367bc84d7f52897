import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { differences } from '../../../operator/apply/difference.ts'
import type { KubeObject, ManagedFieldsEntry } from '../../../runtime/object.ts'

const object = (kind: string, sections: Readonly<Record<string, unknown>>, metadata: Partial<KubeObject['metadata']> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name: 'a', ...metadata },
  ...sections,
})
const found = (desired: KubeObject, live: KubeObject): readonly string[] =>
  differences(desired, live).map(({ type, path }) => `${type} ${path}`)
const deployment = (
  pod: unknown,
  more: Readonly<Record<string, unknown>> = {},
  metadata: Partial<KubeObject['metadata']> = {},
): KubeObject => object('Deployment', { spec: { ...more, template: { spec: pod } } }, metadata)
const containers = (container: Readonly<Record<string, unknown>>): unknown => ({ containers: [{ name: 'slime', ...container }] })

describe('kinds of which live must contain desired', () => {
  const cases: readonly (readonly [string, KubeObject, KubeObject, readonly string[]])[] = [
    [
      'defaults of the server',
      deployment(containers({ image: 'i' })),
      deployment({ ...(containers({ image: 'i', terminationMessagePath: '/dev' }) as object), dnsPolicy: 'ClusterFirst' }),
      [],
    ],
    [
      'another value',
      deployment(containers({ image: 'i' })),
      deployment(containers({ image: 'j' })),
      ['missing /spec/template/spec/containers/0/image'],
    ],
    ['an absent field', deployment({ nodeSelector: { a: 'b' } }), deployment({}), ['missing /spec/template/spec/nodeSelector']],
    ['an empty map is absent', deployment({ securityContext: {} }), deployment({}), []],
    ['an empty list is absent', deployment({ tolerations: [] }), deployment({}), []],
    [
      'empty text is absent',
      deployment(containers({ env: [{ name: 'A', value: '' }] })),
      deployment(containers({ env: [{ name: 'A' }] })),
      [],
    ],
    ['zero is not absent', deployment({}, { replicas: 0 }), deployment({}), ['missing /spec/replicas']],
    ['false is not absent', deployment({ hostNetwork: false }), deployment({}), ['missing /spec/template/spec/hostNetwork']],
    [
      'quantities',
      deployment(containers({ resources: { limits: { cpu: '1000m', memory: '1024Mi' } } })),
      deployment(containers({ resources: { limits: { cpu: '1', memory: '1Gi' } } })),
      [],
    ],
    [
      'other quantities',
      deployment(containers({ resources: { limits: { cpu: '1001m' } } })),
      deployment(containers({ resources: { limits: { cpu: '1' } } })),
      ['missing /spec/template/spec/containers/0/resources/limits/cpu'],
    ],
    [
      'quantities only where there are some',
      deployment(containers({ args: ['1000m'] })),
      deployment(containers({ args: ['1'] })),
      ['missing /spec/template/spec/containers/0/args/0'],
    ],
    [
      'containers by name, one injected before',
      deployment(containers({ image: 'i' })),
      deployment({ containers: [{ name: 'proxy' }, { name: 'slime', image: 'i' }] }),
      [],
    ],
    [
      'a container that is gone',
      deployment(containers({ image: 'i' })),
      deployment({ containers: [{ name: 'proxy' }] }),
      ['missing /spec/template/spec/containers/-'],
    ],
    [
      'ports by number and protocol',
      object('Service', { spec: { ports: [{ port: 80, name: 'a' }] } }),
      object('Service', {
        spec: {
          ports: [
            { port: 53, protocol: 'UDP' },
            { port: 80, protocol: 'TCP', name: 'b' },
          ],
        },
      }),
      ['missing /spec/ports/1/name'],
    ],
    [
      'mounts by path',
      deployment(containers({ volumeMounts: [{ name: 'v', mountPath: '/b' }] })),
      deployment(
        containers({
          volumeMounts: [
            { name: 't', mountPath: '/a' },
            { name: 'v', mountPath: '/b' },
          ],
        }),
      ),
      [],
    ],
    [
      'lists of text by position and length',
      deployment(containers({ command: ['a'] })),
      deployment(containers({ command: ['a', 'b'] })),
      ['missing /spec/template/spec/containers/0/command'],
    ],
    ['labels contained', object('Service', {}, { labels: { app: 'a' } }), object('Service', {}, { labels: { app: 'a', other: 'b' } }), []],
    [
      'a label changed',
      object('Service', {}, { labels: { 'x/y': 'a' } }),
      object('Service', {}, { labels: { 'x/y': 'b' } }),
      ['missing /metadata/labels/x~1y'],
    ],
    ['status is none of it', object('Service', { status: { a: 1 } }), object('Service', {}), []],
  ]
  for (const [what, desired, live, expected] of cases) test(what, () => assert.deepEqual(found(desired, live), expected))
})

describe('kinds that must be exactly as desired', () => {
  const filter = (spec: unknown): KubeObject => object('EnvoyFilter', { spec })
  const patches = { configPatches: [{ applyTo: 'VIRTUAL_HOST' }] }
  const cases: readonly (readonly [string, KubeObject, KubeObject, readonly string[]])[] = [
    ['equal', filter(patches), filter({ configPatches: [{ applyTo: 'VIRTUAL_HOST' }] }), []],
    ['a field more', filter(patches), filter({ ...patches, workloadSelector: { labels: { app: 'a' } } }), ['extra /spec']],
    ['a nested field more', filter(patches), filter({ configPatches: [{ applyTo: 'VIRTUAL_HOST', match: {} }] }), ['extra /spec']],
    [
      'an element more',
      filter(patches),
      filter({ configPatches: [{ applyTo: 'VIRTUAL_HOST' }, { applyTo: 'CLUSTER' }] }),
      ['missing /spec/configPatches'],
    ],
    ['another value', filter(patches), filter({ configPatches: [{ applyTo: 'CLUSTER' }] }), ['missing /spec/configPatches/0/applyTo']],
    [
      'data of a ConfigMap',
      object('ConfigMap', { data: { cfg: 'a' } }),
      object('ConfigMap', { data: { cfg: 'a', more: 'b' } }),
      ['extra /data'],
    ],
    [
      'binaryData of a ConfigMap that has none',
      object('ConfigMap', { data: { cfg: 'a' } }),
      object('ConfigMap', { data: { cfg: 'a' }, binaryData: { more: 'Yg==' } }),
      ['extra /binaryData'],
    ],
    [
      'subjects of a binding',
      object('ClusterRoleBinding', { subjects: [{ kind: 'ServiceAccount', name: 'a' }] }),
      object('ClusterRoleBinding', {
        subjects: [
          { kind: 'ServiceAccount', name: 'a' },
          { kind: 'Group', name: 'b' },
        ],
      }),
      ['extra /subjects'],
    ],
  ]
  for (const [what, desired, live, expected] of cases) test(what, () => assert.deepEqual(found(desired, live), expected))
})

describe('fields of strangers', () => {
  const owns = (manager: string, fields: Readonly<Record<string, unknown>>, subresource?: string): ManagedFieldsEntry => ({
    manager,
    operation: 'Update',
    fieldsV1: { 'f:spec': { 'f:template': fields } } as never,
    ...(subresource === undefined ? {} : { subresource }),
  })
  const env = {
    'f:spec': {
      'f:containers': { 'k:{"name":"slime"}': { '.': {}, 'f:env': { 'k:{"name":"X"}': { '.': {}, 'f:name': {}, 'f:value': {} } } } },
    },
  }
  const desired = deployment(containers({ image: 'i', env: [{ name: 'A', value: 'a' }] }))
  const withEnv = (managedFields: readonly ManagedFieldsEntry[]): KubeObject =>
    deployment(
      containers({
        image: 'i',
        env: [
          { name: 'A', value: 'a' },
          { name: 'X', value: 'x' },
        ],
      }),
      {},
      { managedFields },
    )

  test('an added environment variable is too much, named at its highest path', () => {
    assert.deepEqual(found(desired, withEnv([owns('kubectl-edit', env)])), ['extra /spec/template/spec/containers/0/env/1'])
  })
  test('what nobody claims is a default of the server', () => assert.deepEqual(found(desired, withEnv([])), []))
  test('status and scale are not spec', () => {
    assert.deepEqual(found(desired, withEnv([owns('hpa', env, 'scale'), owns('controller', env, 'status')])), [])
  })
  test('fields of ours are no strangers', () => assert.deepEqual(found(desired, withEnv([owns('slimeboot', env)])), []))
  test('a claim on a field that is as desired is harmless', () => {
    const image = { 'f:spec': { 'f:containers': { 'k:{"name":"slime"}': { 'f:image': {} } } } }
    assert.deepEqual(
      found(
        desired,
        deployment(containers({ image: 'i', env: [{ name: 'A', value: 'a' }] }), {}, { managedFields: [owns('kubectl-edit', image)] }),
      ),
      [],
    )
  })
  test('kubectl rollout restart is tolerated, another annotation of the pods is not', () => {
    const annotations = { 'kubectl.kubernetes.io/restartedAt': 'now', other: 'x' }
    const live = object(
      'Deployment',
      {
        spec: {
          template: { metadata: { annotations }, spec: desired['spec'] && containers({ image: 'i', env: [{ name: 'A', value: 'a' }] }) },
        },
      },
      {
        managedFields: [
          owns('kubectl-rollout', { 'f:metadata': { 'f:annotations': { 'f:kubectl.kubernetes.io/restartedAt': {}, 'f:other': {} } } }),
        ],
      },
    )
    assert.deepEqual(found(desired, live), ['extra /spec/template/metadata/annotations/other'])
  })
  test('a ServiceAccount is open to everybody', () => {
    const live = object(
      'ServiceAccount',
      { imagePullSecrets: [{ name: 'a' }] },
      { managedFields: [{ manager: 'admin', fieldsV1: { 'f:imagePullSecrets': {} } }] },
    )
    assert.deepEqual(found(object('ServiceAccount', {}), live), [])
  })
})
