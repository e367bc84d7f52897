/**
 * What runs in the demo's pods. kwok plays all of them; lazyload itself really runs, with the configuration and the rights that the
 * SlimeBoot gave it. Where network namespaces and Envoy can be had, the calls are real too.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../../local-cluster/cluster.ts'
import { writePrivate } from '../../local-cluster/files.ts'
import { envoyBinary, envoyVersion } from '../../local-cluster/mesh/envoy-binary.ts'
import { namespaceProblem } from '../../local-cluster/mesh/net-namespace.ts'
import { type NetworkPod, podNetwork } from '../../local-cluster/mesh/network.ts'
import { type Container, environmentOf, type Pod } from '../../local-cluster/mesh/pod.ts'
import { tokenOf } from '../../local-cluster/mesh/volumes.ts'
import type { Part } from '../../local-cluster/supervise.ts'
import { waitReady } from '../../local-cluster/wait.ts'
import { messageOf, openLogStream } from '../../test/helpers/access-log.ts'
import { startGlobalSidecar } from '../../test/helpers/mesh/global-sidecar.ts'

const MAIN = join(import.meta.dirname, '../../lazyload/main.ts')
const PORT = 9080
export const SERVICES = ['details', 'reviews'] as const
type Service = (typeof SERVICES)[number]

/** What productpage does. */
export interface Calls extends AsyncDisposable {
  readonly lazyload: Part
  /** Why the calls are only simulated; undefined: they are real. */
  readonly simulated: string | undefined
  /** productpage calls this service through the global-sidecar; resolves with what to say about it. */
  readonly call: (service: Service) => Promise<string>
}

export const hostOf = (service: string): string => `${service}.default.svc.cluster.local`

/** Starts lazyload and what the calls need. */
export async function startPods(cluster: Cluster): Promise<Calls> {
  const problem = await realProblem()
  return problem === undefined ? await startReal(cluster) : await startSimulated(cluster, problem)
}

async function realProblem(): Promise<string | undefined> {
  const problem = namespaceProblem()
  if (problem !== undefined) return problem
  return await envoyBinary().then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
}

/** Each pod is a network namespace with the address that kwok gave it; an Envoy is the global-sidecar. */
async function startReal(cluster: Cluster): Promise<Calls> {
  const network = await podNetwork(cluster)
  try {
    const attach = async (namespace: string, labels: string): Promise<NetworkPod> => {
      const { metadata, status } = await podWith(cluster, namespace, labels)
      return await network.attachPod({ name: metadata.name, namespace, ip: status?.podIP ?? '' })
    }
    const [lazyload, globalSidecar, productpage, ...apps] = await Promise.all([
      attach('mesh-operator', 'app=lazyload'),
      attach('default', 'app=qz-ingress'),
      attach('default', 'app=productpage'),
      ...SERVICES.map(async (service) => await attach('default', `app=${service},version=v1`)),
    ])
    network.addNames(lazyload.ip, ['lazyload.mesh-operator.svc.cluster.local'])
    const { args, env } = await lazyloadCommand(cluster, network.kubeconfigInside, (config) => config)
    const part = lazyload.start('lazyload', process.execPath, args, { env })
    await Promise.all([untilLearning(part), ...apps.map(async (app) => await app.app().serve(PORT))])
    const services = SERVICES.map((service, index) => ({ host: hostOf(service), ports: [PORT], address: apps[index]!.ip }))
    await startGlobalSidecar(network, { shape: 'stock', mode: 'namespaced', namespace: 'default', pod: globalSidecar, services })
    return {
      lazyload: part,
      simulated: undefined,
      call: async (service) => {
        const url = `http://${globalSidecar.ip}:${PORT}/${service}/0`
        const { status } = await productpage.app().call(url, { headers: { host: `${service}:${PORT}` } })
        return `answered ${status} through Envoy ${envoyVersion()} as global-sidecar`
      },
      [Symbol.asyncDispose]: network.dispose,
    }
  } catch (error) {
    await network.dispose()
    throw error
  }
}

/** Without a network of pods nobody calls; only what the global-sidecar would log of a call is sent to lazyload's port. */
async function startSimulated(cluster: Cluster, why: string): Promise<Calls> {
  const productpage = await podWith(cluster, 'default', 'app=productpage')
  const { args, env } = await lazyloadCommand(cluster, (kubeconfig) => kubeconfig, onThisMachine)
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const part = cluster.supervise('lazyload', { file: 'env', args: [...variables, process.execPath, ...args] })
  const port = await untilLearning(part)
  return {
    lazyload: part,
    simulated: why,
    call: async (service) => {
      const stream = openLogStream(port, '127.0.0.1')
      stream.send(messageOf([{ directRemote: productpage.status?.podIP ?? '', upstreamCluster: `outbound|${PORT}||${hostOf(service)}` }]))
      await stream.end()
      return 'SIMULATED, only the line of the access log was sent'
    },
    [Symbol.asyncDispose]: async () => await part.stop('SIGTERM'),
  }
}

/** Node's arguments and the environment, as the pod has them: rendered configuration, token of the ServiceAccount. */
async function lazyloadCommand(
  cluster: Cluster,
  kubeconfigHere: (kubeconfig: string) => string,
  configHere: (config: Record<string, any>) => object,
): Promise<{ readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> }> {
  const pod = await podWith(cluster, 'mesh-operator', 'app=lazyload')
  const container = pod.spec.containers[0] as Container
  const { body } = await cluster.request('GET', '/api/v1/namespaces/mesh-operator/configmaps/lazyload')
  const file = join(cluster.dir, 'lazyload.json')
  writePrivate(file, JSON.stringify(configHere(JSON.parse(body.data.cfg))))
  const kubeconfig = kubeconfigHere(cluster.kubeconfigFor(await tokenOf(cluster, pod)))
  const flags = ['--config', file, '--kubeconfig', kubeconfig, '--log-format', 'text']
  return { args: [MAIN, ...(container.args ?? []), ...flags], env: environmentOf(pod, container) }
}

/** Free ports, and access logs from this machine, which no EndpointSlice can name. */
function onThisMachine(config: Record<string, any>): object {
  const misc = { ...config['global']?.misc, 'aux-addr': '127.0.0.1:0', 'metrics-addr': '0', log_source_port: ':0' }
  return { ...config, global: { ...config['global'], misc }, general: { ...config['general'], checkLogSource: false } }
}

/** Its port for access logs, once it listens there. */
async function untilLearning(part: Part): Promise<number> {
  const port = (): number => Number(/receiving access logs.*port=(\d+)/.exec(readFileSync(part.logFile, 'utf8'))?.[1])
  await waitReady('lazyload', [part], async () => !Number.isNaN(port()))
  return port()
}

/** The first pod with these labels, once it has an address. */
async function podWith(cluster: Pick<Cluster, 'request'>, namespace: string, labels: string): Promise<Pod> {
  let found: Pod | undefined
  await waitReady(`a pod with ${labels}`, [], async () => {
    const { body } = await cluster.request('GET', `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(labels)}`)
    found = (body.items as readonly Pod[]).find(({ status }) => status?.podIP !== undefined && status.phase === 'Running')
    return found !== undefined
  })
  return found as Pod
}
