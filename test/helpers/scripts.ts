/** The scripts as a user runs them, and a cluster of their own: with Istio's CRDs, an istiod Deployment, and pods that run the operator. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { startCluster, type Cluster, type ClusterOptions } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import type { User } from '../../local-cluster/users.ts'
import { operatorProgram } from './deployed-operator.ts'
import { assembleImage } from './image.ts'
import { createPodRunner, type PodRunner } from './pod-runner.ts'

export const ROOT = join(import.meta.dirname, '..', '..')
export const INSTALL = join(ROOT, 'scripts', 'easy_install_lazyload.sh')
export const UNINSTALL = join(ROOT, 'scripts', 'easy_uninstall_lazyload.sh')
/** Longer than any script may take here. */
const LIMIT_MS = 240_000

export interface ScriptRun {
  readonly code: number | null
  /** Standard output and error together, as on a terminal. */
  readonly output: string
}

export interface ScriptOptions {
  /** Absent: a kubeconfig that leads nowhere. */
  readonly kubeconfig?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs `bash ARGS…` with the kubeconfig; never throws because of an exit code. */
export async function runBash(args: readonly string[], options: ScriptOptions = {}): Promise<ScriptRun> {
  return await runCommand('bash', args, options)
}

export async function runCommand(
  file: string,
  args: readonly string[],
  { kubeconfig = '/nonexistent', env = {} }: ScriptOptions = {},
): Promise<ScriptRun> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'slimeboot-script-'))
  const child = spawn(file, [...args], {
    cwd: folder.path,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], KUBECONFIG: kubeconfig, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  })
  const [out, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, output: out + errors }
}

export interface ScriptStage extends AsyncDisposable {
  readonly cluster: Cluster
  /** Ends the operator's processes: it is dead, its Deployment does not know. */
  readonly killOperator: () => Promise<void>
  /** Its pods run again. */
  readonly reviveOperator: () => Promise<void>
  readonly install: (...args: readonly string[]) => Promise<ScriptRun>
  readonly uninstall: (...args: readonly string[]) => Promise<ScriptRun>
  readonly uninstallAs: (user: User) => Promise<ScriptRun>
}

export interface ScriptStageOptions extends ClusterOptions {
  /** What runs the pods of the operator's Deployment, from the beginning on. */
  readonly runPods?: (cluster: Cluster) => Promise<AsyncDisposable>
}

/** A cluster as people have it before they install lazyload. */
export async function setScriptStage(
  name: string,
  { runPods = runOperatorPods, ...options }: ScriptStageOptions = {},
): Promise<ScriptStage> {
  const cluster = await startCluster({ name, ...options })
  let pods: AsyncDisposable | undefined
  try {
    await Promise.all([installCrds(cluster, { own: false }), createIstiod(cluster), runPods(cluster).then((runner) => (pods = runner))])
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return {
    cluster,
    killOperator: async () => await pods?.[Symbol.asyncDispose](),
    reviveOperator: async () => void (pods = await runPods(cluster)),
    install: async (...args) => await runBash([INSTALL, '--timeout', '120', ...args], { kubeconfig: cluster.kubeconfig }),
    uninstall: async (...args) =>
      await runBash([UNINSTALL, '--timeout', '60', '--mesh-settle', '0', ...args], { kubeconfig: cluster.kubeconfig }),
    uninstallAs: async (user) => await runBash([UNINSTALL], { kubeconfig: cluster.kubeconfigFor(user) }),
    [Symbol.asyncDispose]: async () => {
      await pods?.[Symbol.asyncDispose]()
      await cluster.stop()
    },
  }
}

/** Pods of the earlier operator have the same label, but other arguments. */
async function runOperatorPods(cluster: Cluster): Promise<PodRunner> {
  const program = operatorProgram(await assembleImage(), { SLIMEBOOT_MESH_SETTLE: '300ms' })
  return createPodRunner({
    cluster,
    match: ({ metadata, spec }) =>
      metadata.labels?.['name'] === 'slime-boot' && spec.containers[0]?.args?.includes('run') === true ? program : undefined,
  })
}

async function createIstiod(cluster: Pick<ClusterAccess, 'request'>): Promise<void> {
  await cluster.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'istio-system' } } })
  await cluster.request('POST', '/apis/apps/v1/namespaces/istio-system/deployments', {
    body: {
      metadata: { name: 'istiod', labels: { app: 'istiod', 'istio.io/rev': 'default' } },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'istiod' } },
        template: {
          metadata: { labels: { app: 'istiod' } },
          spec: { containers: [{ name: 'discovery', image: 'docker.io/istio/pilot:1.27.1' }] },
        },
      },
    },
  })
}

interface ResourceList {
  readonly resources: readonly { readonly name: string; readonly verbs: readonly string[] }[]
}

/** Comes and goes by itself. */
const RESTLESS: ReadonlySet<string> = new Set([
  'events',
  'leases',
  'componentstatuses',
  'nodes',
  'apiservices',
  'endpoints',
  'endpointslices',
])

/** Every object of every kind that the API server lists, as `resource/namespace/name`, sorted. */
export async function snapshot(cluster: Pick<ClusterAccess, 'request'>): Promise<readonly string[]> {
  const { body: core } = await cluster.request('GET', '/api/v1')
  const { body: groups } = await cluster.request('GET', '/apis')
  const versions = (groups.groups as readonly { readonly preferredVersion: { readonly groupVersion: string } }[]).map(
    ({ preferredVersion }) => preferredVersion.groupVersion,
  )
  const lists = await Promise.all(
    versions.map(async (version) => ({
      path: `/apis/${version}`,
      list: (await cluster.request('GET', `/apis/${version}`)).body as ResourceList,
    })),
  )
  const collections = [{ path: '/api/v1', list: core as ResourceList }, ...lists].flatMap(({ path, list }) =>
    list.resources
      .filter(({ name, verbs }) => verbs.includes('list') && !name.includes('/') && !RESTLESS.has(name))
      .map(({ name }) => `${path}/${name}`),
  )
  const found = await Promise.all(
    collections.map(async (path) => {
      const { body } = await cluster.request('GET', path)
      return ((body.items ?? []) as readonly { readonly metadata: { readonly name: string; readonly namespace?: string } }[]).map(
        ({ metadata }) => `${path}/${metadata.namespace ?? ''}/${metadata.name}`,
      )
    }),
  )
  return found.flat().sort()
}

/** What came (`+`) and went (`-`) since the snapshot was taken. */
export async function changesSince(cluster: Pick<ClusterAccess, 'request'>, before: readonly string[]): Promise<readonly string[]> {
  const now = await snapshot(cluster)
  return [
    ...now.filter((object) => !before.includes(object)).map((object) => `+ ${object}`),
    ...before.filter((object) => !now.includes(object)).map((object) => `- ${object}`),
  ]
}
