/** An informer on ConfigMaps of one namespace, in this process, whose traffic goes through a fault proxy. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { CONFIG_MAP } from '../../operator/api/kinds.ts'
import { type Client, createClient } from '../../runtime/client.ts'
import { createInformer, type Informer, type InformerOptions, type InformerProblem } from '../../runtime/informer.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import { createTransport } from '../../runtime/transport.ts'
import { eventually } from './eventually.ts'
import { type Exchange, type FaultProxy, isWatch, startFaultProxy } from './fault-proxy.ts'
import { createNamespace } from './namespace.ts'
import { adminClient } from './stage.ts'

export interface Watching extends AsyncDisposable {
  readonly proxy: FaultProxy
  readonly namespace: string
  /** Straight to the API server, as the administrator. */
  readonly admin: Client
  /** Through the proxy, as the informer's. */
  readonly client: Client
  readonly informer: Informer
  readonly problems: readonly InformerProblem[]
  /** The watches that it asked for, in order. */
  readonly watches: () => readonly Exchange[]
  /** Writes a ConfigMap past the proxy and waits until the informer has it, with its content. */
  readonly hears: (name: string) => Promise<void>
  readonly put: (name: string, value: string) => Promise<void>
  /** Waits until the informer holds just these ConfigMaps. */
  readonly holds: (...names: readonly string[]) => Promise<void>
  /** Gives the informer's user another token, as when a mounted one is rotated; undefined: the file is being written just now. */
  readonly rotate: (token: string | undefined) => void
}

export interface WatchingOptions {
  readonly timing?: InformerOptions['timing']
  readonly labelSelector?: string
  readonly timeoutMs?: number
  readonly pageSize?: number
  /** Looks at the informer every few milliseconds until its first watch is open. */
  readonly observe?: (informer: Informer) => void
  /** Called before the informer starts. */
  readonly prepare?: (scene: Pick<Watching, 'proxy' | 'namespace' | 'admin' | 'put'>) => Promise<void>
}

/** A ConfigMap by which it is known that the first watch is open. */
const OPEN = 'watch-is-open'
/** Quick enough for a test; what a busy machine makes of it must not matter. */
const QUICK = { backoffMs: 20, maxBackoffMs: 200 }
const PATIENT = { timeout: 60_000, interval: 20 }

/** Starts it; resolves when its first watch is open. */
export async function startWatching(cluster: ClusterAccess, options: WatchingOptions = {}): Promise<Watching> {
  const { timing, labelSelector, timeoutMs, pageSize } = options
  const namespace = await createNamespace(cluster, 'watch')
  const proxy = await startFaultProxy(cluster)
  const admin = adminClient(cluster)
  const kubeconfig = proxy.kubeconfigFor({ name: namespace, groups: ['system:masters'] })
  const original = readFileSync(kubeconfig, 'utf8')
  const transport = createTransport({
    loadConfig: () => loadKubeConfig(kubeconfig),
    userAgent: 'watching',
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
  const client = createClient(transport, pageSize === undefined ? {} : { pageSize })
  const problems: InformerProblem[] = []
  const informer = createInformer({
    client,
    type: CONFIG_MAP,
    namespace,
    labelSelector,
    timing: { ...QUICK, ...timing },
    onProblem: (problem) => problems.push(problem),
  })
  const put = async (name: string, value: string): Promise<void> =>
    void (await admin.apply(
      CONFIG_MAP,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels: { watched: 'yes' } }, data: { value } },
      { fieldManager: 'test' },
    ))
  await options.prepare?.({ proxy, namespace, admin, put })

  const stop = new AbortController()
  const observing = options.observe === undefined ? undefined : setInterval(options.observe, 5, informer)
  const running = informer.run(stop.signal)
  const watches = (): readonly Exchange[] => proxy.exchanges.filter(isWatch)
  const watching: Watching = {
    proxy,
    namespace,
    admin,
    client,
    informer,
    problems,
    watches,
    put,
    async hears(name) {
      const value = `${Math.random()}`
      await put(name, value)
      await eventually(() => assert.deepEqual(informer.get(`${namespace}/${name}`)?.['data'], { value }), PATIENT)
    },
    async holds(...names) {
      const held = (): readonly string[] =>
        [...informer.values()].map(({ metadata }) => metadata.name).filter((name) => !['kube-root-ca.crt', OPEN].includes(name))
      await eventually(() => assert.deepEqual(held().toSorted(), names.toSorted()), PATIENT)
    },
    rotate: (token) => {
      const config = JSON.parse(original) as { users: { user: { token: string } }[] }
      config.users[0]!.user.token = token ?? ''
      const text = JSON.stringify(config)
      writeFileSync(kubeconfig, token === undefined ? text.slice(0, text.length / 2) : text)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
      transport.close()
      await proxy[Symbol.asyncDispose]()
    },
  }
  // the first may come with the list, the second only by the watch
  for (const _ of [1, 2]) await watching.hears(OPEN)
  clearInterval(observing)
  return watching
}
