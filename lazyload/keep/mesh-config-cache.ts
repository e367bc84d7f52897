/**
 * The mesh configuration as it is now, read where istiod reads it: ConfigMap `istio` in Istio's namespace, and `istio-<revision>` of
 * the revisions that are served. Each is watched by its name, so that no other ConfigMap need be readable.
 */
import type { Client } from '../../runtime/client.ts'
import { messageOf } from '../../runtime/errors.ts'
import { createInformer, type InformerProblem } from '../../runtime/informer.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { CONFIG_MAP } from '../kinds.ts'
import { type MeshConfig, parseMeshConfig } from './mesh-config.ts'

export interface MeshConfigOptions {
  readonly client: Pick<Client, 'list' | 'watch'>
  readonly istioNamespace: string
  /** Revisions that are served; the first says whose defaults count. Empty: all. */
  readonly revisions: readonly string[]
  /** Must not throw and must not wait. */
  readonly onChange: () => void
  /** Once until it can be read again. */
  readonly onProblem: (name: string, problem: InformerProblem) => void
}

export function createMeshConfigCache({ client, istioNamespace, revisions, onChange, onProblem }: MeshConfigOptions) {
  const names = [...new Set([...revisions.map((name) => `istio-${name}`), 'istio'])]
  const configs = names.map((name) => createOne(name))

  function createOne(name: string) {
    let told = false
    let config: MeshConfig | undefined
    let failure: string | undefined
    const informer = createInformer({
      client,
      type: CONFIG_MAP,
      namespace: istioNamespace,
      fieldSelector: `metadata.name=${name}`,
      paged: true,
      builtIn: true,
      transform: slimConfigMap,
      onChange: (previous, current) => {
        const mesh = current?.['mesh'] as string | undefined
        if (previous?.['mesh'] === mesh) return
        failure = undefined
        config = undefined
        try {
          config = mesh === undefined ? undefined : parseMeshConfig(mesh)
        } catch (error) {
          failure = `Key mesh of ConfigMap ${name} in ${istioNamespace} is not YAML: ${messageOf(error).split('\n')[0]}.`
        }
        onChange()
      },
      onProblem: (problem) => {
        if (told) return
        told = true
        onProblem(name, problem)
        onChange()
      },
      onRegained: () => {
        told = false
        onChange()
      },
    })
    return {
      informer,
      config: () => config,
      problem: () => (informer.forbidden() ? `ConfigMap ${name} in ${istioNamespace} may not be read: grant "list" and "watch".` : failure),
    }
  }

  return {
    run: async (signal: AbortSignal): Promise<void> =>
      void (await Promise.all(configs.map(async ({ informer }) => await informer.run(signal)))),
    /** Resolves when each is listed, or may not be. */
    whenSynced: async (): Promise<void> => void (await Promise.all(configs.map(async ({ informer }) => await informer.whenSynced()))),
    /** Hosts of all of them, because a host too many costs little; everything else as the first one says it. */
    current(): MeshConfig | undefined {
      const known = configs.flatMap(({ config }) => config() ?? [])
      const [first] = known
      if (known.length <= 1) return first
      return { ...first!, hosts: [...new Set(known.flatMap(({ hosts }) => hosts))].sort() }
    },
    /** Why it is not known in full, a sentence; undefined: it is known. Stable text. */
    unseen(): string | undefined {
      const problem = configs.flatMap((each) => each.problem() ?? [])[0]
      if (problem !== undefined || configs.some(({ config }) => config() !== undefined)) return problem
      return `There is no mesh configuration in ${istioNamespace}: neither ${names.join(' nor ')} is a ConfigMap with key mesh.`
    },
  }
}

/** For the cache. */
function slimConfigMap(object: KubeObject): KubeObject {
  const { name, namespace = '', uid = '', resourceVersion = '' } = object.metadata
  const { data } = object as { readonly data?: Readonly<Record<string, string>> | null }
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: { name, namespace, uid, resourceVersion },
    mesh: data?.['mesh'],
  }
}
