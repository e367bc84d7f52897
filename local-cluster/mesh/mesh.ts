/**
 * Istio as it is installed on a cluster, on this machine: the manifests of its own charts, istiod in its Deployment, injection and
 * validation by its webhooks, mTLS by its CA. The proxies are Envoy's own builds, without Istio's filters.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { loadAll } from 'js-yaml'
import type { ClusterAccess } from '../access.ts'
import { type Cluster, startCluster } from '../cluster.ts'
import { installCrds } from '../crds.ts'
import { clusterFiles } from '../files.ts'
import { startProgress } from '../setup/progress.mjs'
import { waitReady } from '../wait.ts'
import { takeAddresses } from './addresses.ts'
import { envoyBinary } from './envoy-binary.ts'
import { type IstioFiles, istioFiles } from './istio-binary.ts'
import { type Kubelet, startKubelet } from './kubelet.ts'
import { type PodNetwork, podNetwork } from './network.ts'
import type { Image } from './pod.ts'

const TUNNEL = join(import.meta.dirname, 'programs/tunnel.ts')

/** A small installation, and what Envoy without Istio's filters needs, as settings of `istioctl install --set`. */
const SETTINGS = [
  'profile=minimal',
  'values.telemetry.enabled=false',
  'values.pilot.autoscaleEnabled=false',
  'values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE=false',
]

/** Sidecars' outbound listeners have this filter, which only Istio's build of Envoy knows. */
const WITHOUT_ALPN = {
  apiVersion: 'networking.istio.io/v1alpha3',
  kind: 'EnvoyFilter',
  metadata: { name: 'without-istio-alpn', namespace: 'istio-system' },
  spec: {
    configPatches: [
      {
        applyTo: 'HTTP_FILTER',
        match: {
          listener: {
            filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager', subFilter: { name: 'istio.alpn' } } },
          },
        },
        patch: { operation: 'REMOVE' },
      },
    ],
  },
}

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

export interface Mesh extends AsyncDisposable {
  readonly cluster: Cluster
  readonly network: PodNetwork
  readonly kubelet: Kubelet
  /** Server-side apply, in order. Throws at the first refusal. */
  readonly apply: (manifests: readonly Manifest[]) => Promise<void>
  /** Installs Istio over the one that is there, as `istioctl install --set SETTING…` does; resolves when istiod is ready. */
  readonly install: (settings: readonly string[]) => Promise<void>
}

export interface MeshOptions {
  /** How the images of applications run here. */
  readonly image: (name: string) => Image | undefined
  /** Install this project's CRDs too (default false). */
  readonly ownCrds?: boolean
  /** Further settings of the installation. */
  readonly settings?: readonly string[]
}

/** Starts a cluster whose pods really run, and Istio in it; resolves when istiod is ready. */
export async function startMesh({ image, ownCrds = false, settings = [] }: MeshOptions): Promise<Mesh> {
  const problem = process.getuid?.() === 0 ? undefined : 'sidecars run as a user of their own, which only root can start: run it with sudo'
  if (problem !== undefined) throw new Error(`The mesh cannot be started: ${problem}.`)
  const [istio, envoy] = await Promise.all([istioFiles(), envoyBinary()])
  const progress = startProgress('Starting the mesh', { quietMs: 5000 })
  const cluster = await startCluster({ name: 'mesh', pods: 'nobody' })
  const ends: (() => Promise<void>)[] = [cluster.stop]
  const stop = async (): Promise<void> => {
    for (const end of ends.toReversed()) await end()
  }
  try {
    const [network] = await Promise.all([podNetwork(cluster), installCrds(cluster, { own: ownCrds })])
    ends.push(network.dispose)
    await openTunnel(cluster, network)
    const images = istioImages(istio, envoy)
    const kubelet = await startKubelet({ cluster, network, image: (name) => images(name) ?? image(name) })
    ends.push(kubelet.stop)
    const apply: Mesh['apply'] = async (manifests) => {
      for (const manifest of manifests) await applyManifest(cluster, manifest)
    }
    const install: Mesh['install'] = async (wanted) => {
      await apply(await istioManifests(istio, wanted))
      await waitReady('istiod', [], async () => {
        const { body } = await cluster.request('GET', '/apis/apps/v1/namespaces/istio-system/deployments/istiod')
        const { observedGeneration, updatedReplicas, availableReplicas, replicas } = body.status ?? {}
        return (
          observedGeneration === body.metadata.generation && [updatedReplicas, availableReplicas, replicas].every((count) => count === 1)
        )
      })
    }
    progress.update('istiod')
    await install(settings)
    await apply([WITHOUT_ALPN])
    progress.stop()
    return { cluster, network, kubelet, apply, install, [Symbol.asyncDispose]: stop }
  } catch (error) {
    progress.stop()
    await stop()
    throw error
  }
}

/** The API server reaches webhooks through it. */
async function openTunnel(cluster: Pick<ClusterAccess, 'dir'>, network: PodNetwork): Promise<void> {
  const place = await network.attachPod({ name: 'tunnel', namespace: 'kube-system', ip: takeAddresses(cluster.dir).next() })
  const part = place.start('tunnel', process.execPath, [TUNNEL, clusterFiles(cluster.dir).podsSocket])
  await waitReady('the tunnel', [part], async () => readFileSync(part.logFile, 'utf8').includes('listening'))
}

function istioImages({ program, bootstrap }: IstioFiles, envoy: string): MeshOptions['image'] {
  const agent = '/usr/local/bin/pilot-agent'
  const discovery = '/usr/local/bin/pilot-discovery'
  return (name) => {
    if (/\/proxyv2:/.test(name)) {
      const files = { [agent]: program, '/usr/local/bin/envoy': envoy, '/var/lib/istio/envoy/envoy_bootstrap_tmpl.json': bootstrap }
      return { entrypoint: [agent], files }
    }
    return /\/pilot:/.test(name) ? { entrypoint: [discovery], files: { [discovery]: program } } : undefined
  }
}

/** What `istioctl manifest generate` prints, without the CRDs, which the cluster has. */
async function istioManifests({ program }: IstioFiles, settings: readonly string[]): Promise<readonly Manifest[]> {
  const { stdout } = await promisify(execFile)(program, ['manifests', ...SETTINGS, ...settings], { maxBuffer: 2 ** 26 })
  // log lines come first
  const manifests = loadAll(stdout.slice(stdout.indexOf('---'))) as (Manifest | null)[]
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } }
  const order = ['Namespace', 'ServiceAccount', 'ClusterRole', 'Role', 'ConfigMap', 'Service']
  const rank = ({ kind }: Manifest): number => (order.includes(kind) ? order.indexOf(kind) : order.length)
  return [namespace, ...(manifests.filter((each) => each !== null && each.kind !== 'CustomResourceDefinition') as Manifest[])].sort(
    (a, b) => rank(a) - rank(b),
  )
}

async function applyManifest({ request }: Pick<ClusterAccess, 'request'>, manifest: Manifest): Promise<void> {
  const { apiVersion, kind, metadata } = manifest
  const plural = `${kind.toLowerCase().replace(/y$/, 'ie')}s`
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const place = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
  const { status, body } = await request('PATCH', `${group}${place}/${plural}/${metadata.name}?fieldManager=mesh&force=true`, {
    body: manifest,
    contentType: 'application/apply-patch+yaml',
  })
  if (status >= 300) throw new Error(`${kind}/${metadata.name}: apply refused: ${body.message ?? status}`)
}
