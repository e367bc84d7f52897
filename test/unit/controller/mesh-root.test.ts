import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readMeshRoot } from '../../../operator/controller/mesh-root.ts'
import type { KubeObject } from '../../../runtime/object.ts'

function config(namespace: string, name: string, mesh: string, labels: Readonly<Record<string, string>> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels }, data: { mesh } }
}

/** A cluster with these ConfigMaps. */
function reading(configs: readonly KubeObject[]): Parameters<typeof readMeshRoot>[0] {
  return {
    get: async (ref) => configs.find(({ metadata }) => metadata.name === ref.name && metadata.namespace === ref.namespace),
    list: async (_, options) => ({
      resourceVersion: '1',
      items: configs.filter(
        ({ metadata }) => metadata.namespace === options?.namespace && metadata.labels?.[options?.labelSelector ?? ''] !== undefined,
      ),
    }),
  }
}

describe('the root namespace of the mesh', () => {
  const rev = (revision: string): Readonly<Record<string, string>> => ({ 'istio.io/rev': revision })
  const cases: readonly (readonly [string, readonly KubeObject[], readonly string[], string | undefined])[] = [
    ['is what ConfigMap istio says', [config('istio-system', 'istio', 'rootNamespace: root')], [], 'root'],
    ['is that of Istio where it says nothing', [config('istio-system', 'istio', '{}')], [], 'istio-system'],
    [
      'is not read from a ConfigMap of that name elsewhere',
      [config('tenant', 'istio', '{}'), config('tenant', 'istio-1-20', '{}', rev('1-20'))],
      ['1-20'],
      undefined,
    ],
    [
      'is that of the revision',
      [config('istio-system', 'istio-1-20', 'rootNamespace: b'), config('istio-system', 'istio', 'rootNamespace: a')],
      ['1-20'],
      'b',
    ],
    ['is that of the default for a tag', [config('istio-system', 'istio', 'rootNamespace: a')], ['stable'], 'a'],
    ['is that of the only revision where none is named', [config('istio-system', 'istio-1-20', 'rootNamespace: b', rev('1-20'))], [], 'b'],
    [
      'is unknown where revisions disagree',
      [config('istio-system', 'istio-a', 'rootNamespace: a', rev('a')), config('istio-system', 'istio-b', 'rootNamespace: b', rev('b'))],
      [],
      undefined,
    ],
    ['is not that of the pilot of ours', [config('istio-system', 'istio', '{}', { 'config.netease.com/slimeboot': 'x' })], [], undefined],
    ['is unknown where the configuration is no YAML', [config('istio-system', 'istio', '{')], [], undefined],
  ]
  for (const [what, configs, revisions, expected] of cases)
    test(what, async () => assert.equal(await readMeshRoot(reading(configs), { namespace: 'istio-system', revisions }), expected))
})
