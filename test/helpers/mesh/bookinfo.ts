/**
 * The tutorial's bookinfo on a pod network: Services, the pod of productpage that calls, one pod that answers for all the others, a
 * global-sidecar with a real Envoy, and lazyload in pods of its own.
 */
import assert from 'node:assert/strict'
import { ENDPOINT_SLICE, SERVICE } from '../../../lazyload/kinds.ts'
import type { ClusterAccess } from '../../../local-cluster/access.ts'
import type { CallAnswer } from '../../../local-cluster/mesh/agent.ts'
import { type NetworkPod, type PodNetwork, podNetwork } from '../../../local-cluster/mesh/network.ts'
import type { Mode, Shape } from '../../../operator/spec/values.ts'
import type { Client } from '../../../runtime/client.ts'
import type { JsonObject } from '../../../runtime/object.ts'
import { eventually } from '../eventually.ts'
import { createCatchAll, createService, type Lazyload, type LazyloadOptions, startLazyload } from '../lazyload.ts'
import { createNamespace } from '../namespace.ts'
import { adminClient } from '../stage.ts'
import type { MeshService } from './envoy-config.ts'
import { type GlobalSidecar, type GlobalSidecarOptions, startGlobalSidecar } from './global-sidecar.ts'

export const PORT = 9080
/** What the rendered access log of a global-sidecar calls it. */
const LAZYLOAD = 'lazyload.mesh-operator.svc.cluster.local'

export interface BookinfoOptions {
  /** An existing namespace; a new one when absent. */
  readonly namespace?: string
  readonly shape?: Shape
  readonly mode?: Mode
  /** Namespace of the global-sidecar; that of bookinfo when absent. */
  readonly globalSidecarNamespace?: string
  /** Mode cluster: namespace of the catch-all. */
  readonly root?: string
  /** Services of bookinfo's namespace, beside productpage. */
  readonly services?: readonly string[]
  /** Threads of Envoy, each with a log stream of its own (default 2). */
  readonly workers?: number
  /** Pods of lazyload (default 1). Their name is known from the start, as that of a Service is. */
  readonly replicas?: number
  /** Other hosts that the global-sidecar knows, with their ports. */
  readonly others?: readonly Omit<MeshService, 'address'>[]
}

export interface Bookinfo extends AsyncDisposable {
  readonly cluster: ClusterAccess
  readonly client: Client
  readonly network: PodNetwork
  readonly namespace: string
  readonly productpage: NetworkPod
  readonly globalSidecar: GlobalSidecar
  /** Starts a further Envoy with the same routes. */
  readonly startEnvoy: (options: Partial<GlobalSidecarOptions>) => Promise<GlobalSidecar>
  readonly lazyloadPods: readonly NetworkPod[]
  /**
   * Starts lazyload in one of its pods (the first unless told otherwise), as the kubelet starts a container again; resolves when it takes
   * access logs. It ends with bookinfo.
   */
  readonly startLazyload: (options?: Partial<LazyloadOptions> & { readonly replica?: number }) => Promise<Lazyload>
  /** A call that a proxy without a route sends to the global-sidecar; from productpage unless told otherwise. */
  readonly call: (authority: string, options?: CallThrough) => Promise<CallAnswer>
  /** `details.NAMESPACE.svc.cluster.local` */
  readonly host: (service: string) => string
}

export interface CallThrough {
  readonly from?: NetworkPod
  readonly through?: GlobalSidecar
  readonly port?: number
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Resolves when Envoy listens; lazyload is started by the test. */
export async function startBookinfo(cluster: ClusterAccess, options: BookinfoOptions = {}): Promise<Bookinfo> {
  const {
    shape = 'stock',
    mode = 'namespaced',
    services = ['details', 'reviews', 'ratings'],
    others = [],
    replicas = 1,
    workers = 2,
  } = options
  const client = adminClient(cluster)
  const namespace = options.namespace ?? (await createNamespace(cluster, 'bookinfo'))
  const globalSidecarNamespace = options.globalSidecarNamespace ?? namespace
  const host = (service: string): string => `${service}.${namespace}.svc.cluster.local`
  const network = await podNetwork(cluster)
  const running = new Set<Lazyload>()
  const close = async (): Promise<void> => {
    await Promise.all([...running].map(async (lazyload) => await lazyload.stop()))
    await network.dispose()
  }
  try {
    for (const service of [...services, 'productpage']) await createService(client, namespace, service)
    await createGlobalSidecarService(client, globalSidecarNamespace)
    if (options.root === undefined) await createCatchAll(client, globalSidecarNamespace)
    else await createCatchAll(client, options.root, `*=${globalSidecarNamespace}`)
    const [apps, productpage, ...lazyloadPods] = await Promise.all([
      network.createPod({ name: 'apps', namespace }),
      network.createPod({ name: 'productpage-v1', namespace, labels: { app: 'productpage' } }),
      ...Array.from(
        { length: replicas },
        async (_, index) => await network.createPod({ name: `lazyload-${index + 1}`, namespace, names: [LAZYLOAD] }),
      ),
    ])
    const known = [...services.map((service) => ({ host: host(service), ports: [PORT] })), ...others]
    const ports = new Set(known.flatMap((service) => service.ports))
    for (const port of ports) await apps.app().serve(port)

    const startEnvoy: Bookinfo['startEnvoy'] = async (over) =>
      await startGlobalSidecar(network, {
        shape,
        mode,
        workers,
        namespace: globalSidecarNamespace,
        services: known.map((service) => ({ ...service, address: apps.ip })),
        ...over,
      })
    const globalSidecar = await startEnvoy({})
    await untilEndpoint(client, namespace, 'productpage', productpage.ip)
    await untilEndpoint(client, globalSidecarNamespace, 'global-sidecar', globalSidecar.pod.ip)
    return {
      cluster,
      client,
      network,
      namespace,
      productpage,
      globalSidecar,
      startEnvoy,
      lazyloadPods,
      startLazyload: async ({ replica = 0, ...over } = {}) => {
        const pod = lazyloadPods[replica]!
        const env = { POD_NAME: pod.name, WATCH_NAMESPACE: namespace }
        const lazyload = await startLazyload(cluster, { namespaces: [namespace], inside: { network, pod }, env, ...over })
        running.add(lazyload)
        // an Envoy that is refused drops what it has to tell
        await lazyload.logPort()
        return lazyload
      },
      call: async (authority, { from = productpage, through = globalSidecar, port = PORT, path = '/', headers = {} } = {}) =>
        await from.app().call(`http://${through.pod.ip}:${port}${path}`, { headers: { host: authority, ...headers } }),
      host,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Resolves when the controller manager has put a pod into the EndpointSlices of a Service: before that nobody can know whose calls come from it. */
export async function untilEndpoint(client: Client, namespace: string, service: string, ip: string): Promise<void> {
  await eventually(async () => {
    const { items } = await client.list(ENDPOINT_SLICE, { namespace, labelSelector: `kubernetes.io/service-name=${service}` })
    const addresses = items.flatMap(({ endpoints }) =>
      ((endpoints ?? []) as readonly { readonly addresses: readonly string[] }[]).flatMap((each) => each.addresses),
    )
    assert.ok(addresses.includes(ip), `${ip} is not yet an endpoint of Service/${namespace}/${service}`)
  })
}

/** As the operator renders it, with one port. */
async function createGlobalSidecarService(client: Client, namespace: string): Promise<void> {
  const spec: JsonObject = { selector: { app: 'qz-ingress' }, ports: [{ name: `http-${PORT}`, port: PORT }] }
  const { apiVersion, kind } = SERVICE
  await client.create(SERVICE, { apiVersion, kind, metadata: { name: 'global-sidecar', namespace }, spec }, 'slimeboot')
}
