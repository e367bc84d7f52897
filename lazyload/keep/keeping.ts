/** What decides which hosts are kept, put together: which namespaces are in the mesh, its configuration, its hosts. */
import type { Logger } from 'winston'
import { onAbort } from '../../runtime/callbacks.ts'
import type { Client } from '../../runtime/client.ts'
import { messageOf } from '../../runtime/errors.ts'
import type { KubeObject } from '../../runtime/object.ts'
import type { LazyloadConfig } from '../config.ts'
import { GLOBAL_SIDECAR } from '../kinds.ts'
import type { VirtualServiceIndex } from '../mesh/virtual-services.ts'
import { globalSidecarHome } from '../sidecar/hosts.ts'
import type { Exposure } from './exposure.ts'
import { createInMesh, membershipByLabels, meshLabelsOf } from '../../module/in-mesh.ts'
import { createKeeper } from './keeper.ts'
import { createMeshConfigCache } from './mesh-config-cache.ts'

export interface KeepingOptions {
  readonly config: LazyloadConfig
  readonly client: Pick<Client, 'list' | 'watch'>
  readonly log: Logger
  readonly service: (key: string) => KubeObject | undefined
  readonly namespace: (name: string) => KubeObject | undefined
  readonly routes: () => VirtualServiceIndex
  readonly resolve: (name: string, namespace: string) => string | undefined
  readonly fences: () => number
  /** For fences of these namespaces something else is kept. */
  readonly onChange: (namespaces: readonly string[]) => void
  /** All fences have something else to say. */
  readonly onMeshConfig: () => void
}

export type Keeping = ReturnType<typeof createKeeping>

export function createKeeping(options: KeepingOptions) {
  const { config, client, log, service, namespace, routes, resolve, fences, onChange, onMeshConfig } = options
  const { istioNamespace, slimeNamespace, mode, ports } = config
  const named = ports.length === 0 ? undefined : new Set(ports)
  const served = new WeakMap<Exposure, ReadonlySet<number>>()

  const inMesh = createInMesh({
    client,
    labelsOf: (name) => meshLabelsOf(name, namespace(name)?.metadata.labels),
    onChange: () => keeper.touch(),
    onProblem: (name, { error }) => log.warn('pods cannot be seen; their Services are kept', { namespace: name, error: messageOf(error) }),
  })
  const meshConfig = createMeshConfigCache({
    client,
    istioNamespace,
    revisions: config.revisions.names,
    onChange: () => {
      keeper.touch()
      onMeshConfig()
    },
    onProblem: (name, { error }) =>
      log.warn('the mesh configuration cannot be read', { configMap: `${istioNamespace}/${name}`, error: messageOf(error) }),
  })
  const keeper = createKeeper({
    inMesh,
    everywhere: new Set([istioNamespace, slimeNamespace]),
    viewOf: (name) => {
      const home = globalSidecarHome(name, config)
      return { namespace: name, home, ports: home === undefined ? undefined : portsOf(home) }
    },
    callerRoutes: () => routes().byCaller(),
    meshConfig: () => meshConfig.current(),
    resolve: (name) => resolve(name, istioNamespace),
    fences,
    onChange,
  })

  /** Where a global-sidecar serves: what its Service says is true, what the module says is meant. */
  function portsOf(home: string): ReadonlySet<number> | undefined {
    const exposure = service(`${home}/${GLOBAL_SIDECAR}`)?.['exposure'] as Exposure | undefined
    if (exposure === undefined || exposure.http.length === 0) return mode === 'no' ? undefined : named
    const found = served.get(exposure) ?? new Set(exposure.http)
    served.set(exposure, found)
    return found
  }

  return {
    changeService: (previous: KubeObject | undefined, current: KubeObject | undefined): void => keeper.changeService(previous, current),
    changeEntry: (previous: KubeObject | undefined, current: KubeObject | undefined): void => keeper.changeEntry(previous, current),
    changeNamespace(name: string): void {
      const found = namespace(name)
      if (found === undefined || membershipByLabels(found.metadata.labels) !== undefined) inMesh.forget(name)
      keeper.touch()
    },
    /** A VirtualService is another one now. */
    changeRoutes: keeper.touch,
    of: keeper.of,
    unseen: (): string | undefined => meshConfig.unseen(),
    rootNamespace: (): string => meshConfig.current()?.rootNamespace ?? istioNamespace,
    async run(signal: AbortSignal): Promise<void> {
      inMesh.run(signal)
      onAbort(signal, 'kept hosts', () => keeper.close())
      await meshConfig.run(signal)
    },
    /** Once Services, ServiceEntries and Namespaces are listed: resolves when it is known what is kept. */
    async whenSettled(): Promise<void> {
      await meshConfig.whenSynced()
      await keeper.settle()
    },
  }
}
