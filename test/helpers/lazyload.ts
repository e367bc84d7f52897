/** The lazyload controller as its Deployment runs it: `/manager` as a process of its own, for tests. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { randomBytes } from 'node:crypto'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import type { NetworkPod, PodNetwork } from '../../local-cluster/mesh/network.ts'
import {
  CATCH_ALL,
  CATCH_ALL_ANNOTATION,
  ENDPOINT_SLICE,
  ENVOY_FILTER,
  GLOBAL_SIDECAR,
  SERVICE,
  SERVICE_FENCE,
  SIDECAR,
} from '../../lazyload/kinds.ts'
import type { FenceStatus } from '../../lazyload/fence/fence.ts'
import { type Client, createClient } from '../../runtime/client.ts'
import { hasCode } from '../../runtime/errors.ts'
import { loadKubeConfig } from '../../runtime/kubeconfig.ts'
import type { JsonObject, KubeObject } from '../../runtime/object.ts'
import { createTransport } from '../../runtime/transport.ts'
import { eventually } from './eventually.ts'

const MAIN = join(import.meta.dirname, '../../lazyload/main.ts')
const LOG_LINES = 60

export interface LazyloadOptions {
  /** Served namespaces, so that tests can share a cluster. */
  readonly namespaces: readonly string[]
  /** The module's JSON; ports are free ones unless it says otherwise. */
  readonly config?: JsonObject
  readonly user?: string
  readonly groups?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** False: the namespaces get no global-sidecar (Service, catch-all, ready endpoint), which the operator makes elsewhere. */
  readonly globalSidecar?: boolean
  /** Runs inside this pod, on its usual ports. */
  readonly inside?: { readonly network: Pick<PodNetwork, 'kubeconfigInside'>; readonly pod: Pick<NetworkPod, 'command' | 'app'> }
}

export interface Lazyload extends AsyncDisposable {
  /** Who it is in the audit log. */
  readonly user: string
  readonly log: () => string
  readonly stdout: () => string
  /** Port of the auxiliary server. */
  readonly auxPort: number
  /** Port for access logs; resolves when it listens. */
  readonly logPort: () => Promise<number>
  /** Resolves with the first log line that has `text`. */
  readonly logs: (text: string) => Promise<string>
  readonly signal: (signal: NodeJS.Signals) => void
  readonly exited: Promise<number | null>
  /** SIGTERM; fails when it does not end by itself with exit code 0. */
  readonly stop: () => Promise<void>
  /** GET of the auxiliary server. */
  readonly get: (path: string, method?: string) => Promise<{ readonly status: number; readonly text: string }>
}

const ACCESS_LOG: JsonObject = { name: 'lazyload', global: { misc: { metric_source_type: 'accesslog' } } }

/** Starts it; resolves when its auxiliary server listens. */
export async function startLazyload(cluster: Pick<ClusterAccess, 'kubeconfigFor' | 'dir'>, options: LazyloadOptions): Promise<Lazyload> {
  const {
    namespaces,
    config = ACCESS_LOG,
    user = `lazyload-${namespaces.join('-')}`,
    groups = ['system:masters'],
    args = [],
    env = {},
    inside,
    globalSidecar = inside === undefined,
  } = options
  if (globalSidecar) await createGlobalSidecars(cluster, namespaces)
  const file = join(cluster.dir, `lazyload-${randomBytes(4).toString('hex')}.json`)
  const quick = { ...config, general: { autoFenceGrace: '50ms', ...(config['general'] as JsonObject | undefined) } }
  writeFileSync(file, JSON.stringify(inside === undefined ? withFreePorts(quick) : quick))
  const outside = cluster.kubeconfigFor({ name: user, groups })
  const kubeconfig = inside?.network.kubeconfigInside(outside) ?? outside
  const flags = ['--config', file, '--kubeconfig', kubeconfig, '--namespaces', namespaces.join(','), '--log-format', 'text']
  const here = { file: process.execPath, args: [MAIN, ...flags, ...args] }
  const command = inside?.pod.command(here.file, here.args) ?? here
  const child = spawn(command.file, command.args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'close').then(([code]) => code as number | null)
  const lines: string[] = []
  const out: string[] = []
  const heard = new EventTarget()
  for (const [stream, sink] of [
    [child.stdout, out],
    [child.stderr, []],
  ] as const) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      ;(sink as string[]).push(line)
      heard.dispatchEvent(new Event('line'))
    })
  }
  const log = (): string => `Lazyload's last lines:\n${lines.slice(-LOG_LINES).join('\n')}`
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)

  async function logs(text: string): Promise<string> {
    return await eventually(
      () => {
        const found = lines.find((line) => line.includes(text))
        if (child.exitCode !== null && found === undefined) throw new Error(`ended with exit code ${child.exitCode}. ${log()}`)
        assert.ok(found !== undefined, `no log line with "${text}". ${log()}`)
        return found
      },
      { timeout: 60_000 },
    )
  }

  async function stop(): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      const timer = setTimeout(kill, 15_000)
      child.kill('SIGTERM')
      const code = await exited
      clearTimeout(timer)
      assert.equal(code, 0, `lazyload did not end cleanly. ${log()}`)
    }
    process.removeListener('exit', kill)
  }

  const serving = await logs('serving /modules/livez')
  const auxPort = Number(/ports=\[(\d+)/.exec(serving)?.[1])
  return {
    user,
    log,
    stdout: () => out.join('\n'),
    auxPort,
    logPort: async () => Number(/port=(\d+)/.exec(await logs('receiving access logs'))?.[1]),
    logs,
    signal: (signal) => void child.kill(signal),
    exited,
    stop,
    get: async (path, method = 'GET') => {
      if (inside !== undefined) return await inside.pod.app().call(`http://127.0.0.1:${auxPort}${path}`, { method })
      const response = await fetch(`http://127.0.0.1:${auxPort}${path}`, { method })
      return { status: response.status, text: await response.text() }
    },
    [Symbol.asyncDispose]: stop,
  }
}

async function createGlobalSidecars(cluster: Pick<ClusterAccess, 'kubeconfigFor'>, namespaces: readonly string[]): Promise<void> {
  const kubeconfig = cluster.kubeconfigFor({ name: 'slimeboot', groups: ['system:masters'] })
  const transport = createTransport({ loadConfig: () => loadKubeConfig(kubeconfig), userAgent: 'test' })
  const client = createClient(transport)
  for (const namespace of namespaces) await createGlobalSidecar(client, namespace)
  transport.close()
}

/** All that a Sidecar waits for, as the operator and the controller manager make it; what is there already is left as it is. */
export async function createGlobalSidecar(client: Client, namespace: string): Promise<void> {
  const exists = await client.get({ type: SERVICE, namespace, name: GLOBAL_SIDECAR })
  if (exists === undefined) await createService(client, namespace, GLOBAL_SIDECAR, {}, { app: 'qz-ingress' })
  const labelSelector = `kubernetes.io/service-name=${GLOBAL_SIDECAR}`
  const { items } = await client.list(ENDPOINT_SLICE, { namespace, labelSelector })
  // the controller manager makes an empty one for the Service
  const filled = items.filter(({ endpoints }) => ((endpoints ?? []) as readonly unknown[]).length > 0)
  if (filled.length === 0) await createEndpoints(client, namespace, GLOBAL_SIDECAR, ['192.0.2.80'])
  await createCatchAll(client, namespace)
}

/** The catch-all that sends the proxies of a namespace to its own global-sidecar, or to that of `scope=namespace`. */
export async function createCatchAll(client: Client, namespace: string, mark: string | null = `${namespace}=${namespace}`): Promise<void> {
  const annotations = mark === null ? {} : { [CATCH_ALL_ANNOTATION]: mark }
  const { apiVersion, kind } = ENVOY_FILTER
  try {
    await client.create(
      ENVOY_FILTER,
      { apiVersion, kind, metadata: { name: CATCH_ALL, namespace, annotations }, spec: { configPatches: [] } },
      'slimeboot',
    )
  } catch (error) {
    if (!hasCode(error, 409)) throw error
  }
}

function withFreePorts(config: JsonObject): JsonObject {
  const global = (config['global'] ?? {}) as JsonObject
  const misc = (global['misc'] ?? {}) as JsonObject
  return { ...config, global: { ...global, misc: { 'aux-addr': '127.0.0.1:0', 'metrics-addr': '0', log_source_port: ':0', ...misc } } }
}

/** A fence as `kubectl apply` creates it. */
export async function createFence(
  client: Client,
  namespace: string,
  name: string,
  spec: JsonObject = { enable: true },
  labels: Readonly<Record<string, string>> = {},
): Promise<KubeObject> {
  const { apiVersion, kind } = SERVICE_FENCE
  return await client.create(SERVICE_FENCE, { apiVersion, kind, metadata: { name, namespace, labels }, spec }, 'kubectl-create')
}

export async function fenceOf(client: Client, namespace: string, name: string): Promise<KubeObject & { readonly status?: FenceStatus }> {
  const fence = await client.get({ type: SERVICE_FENCE, namespace, name })
  assert.ok(fence !== undefined, `ServiceFence/${namespace}/${name} is not there`)
  return fence
}

export async function sidecarOf(client: Client, namespace: string, name: string): Promise<KubeObject> {
  const sidecar = await client.get({ type: SIDECAR, namespace, name })
  assert.ok(sidecar !== undefined, `Sidecar/${namespace}/${name} is not there`)
  return sidecar
}

export function hostsOf(sidecar: KubeObject): readonly string[] {
  return (sidecar['spec'] as { readonly egress: readonly { readonly hosts: readonly string[] }[] }).egress[0]!.hosts
}

/** The hosts of the Sidecar that are not in every Sidecar, without what comes before their names: those that the fence depends on. */
export async function dependenciesOf(client: Client, namespace: string, name: string): Promise<readonly string[]> {
  const hosts = hostsOf(await sidecarOf(client, namespace, name)).filter(
    (host) => host.startsWith('*/') && !host.startsWith('*/global-sidecar.'),
  )
  return hosts.map((host) => host.slice(2))
}

/** A sample of lazyload's metrics, by its name with labels; 0 when it is not there. */
export async function metricOf({ get }: Pick<Lazyload, 'get'>, name: string): Promise<number> {
  const { text } = await get('/metrics')
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1) ?? 0,
  )
}

export function conditionOf(
  fence: { readonly status?: FenceStatus },
  type: string,
): { readonly status?: string; readonly reason?: string; readonly message?: string } {
  return fence.status?.conditions?.find((condition) => condition.type === type) ?? {}
}

/** A Service with one HTTP port, selecting `app: <name>` unless told otherwise. */
export async function createService(
  client: Client,
  namespace: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
  selector: Readonly<Record<string, string>> | null = { app: name },
): Promise<KubeObject> {
  const type = { apiVersion: 'v1', kind: 'Service', plural: 'services', namespaced: true }
  const spec = { ports: [{ name: 'http', port: 9080 }], ...(selector === null ? {} : { selector }) }
  return await client.create(type, { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace, labels }, spec }, 'kubectl-create')
}

/** An EndpointSlice of a Service, as the controller manager makes it for pods with these addresses. */
export async function createEndpoints(
  client: Client,
  namespace: string,
  service: string,
  addresses: readonly string[],
  ready = true,
): Promise<KubeObject> {
  const type = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', plural: 'endpointslices', namespaced: true }
  return await client.create(
    type,
    {
      apiVersion: type.apiVersion,
      kind: type.kind,
      metadata: {
        name: `${service}-${randomBytes(3).toString('hex')}`,
        namespace,
        labels: { 'kubernetes.io/service-name': service, 'endpointslice.kubernetes.io/managed-by': 'test' },
      },
      addressType: 'IPv4',
      endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready } })),
      ports: [{ name: 'http', port: 9080 }],
    },
    'test',
  )
}
