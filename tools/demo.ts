/**
 * `npm run demo`: lazyload from its installation to its removal, on a local cluster: one SlimeBoot and the objects that it becomes, a
 * fence and its Sidecar, a call and what is learned from it. On a terminal it waits before it removes everything; with `--once` it does not.
 */
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startCluster, type Cluster } from '../local-cluster/cluster.ts'
import { installCrds } from '../local-cluster/crds.ts'
import { elapsed } from '../local-cluster/setup/progress.mjs'
import { untilSignal } from '../local-cluster/signals.ts'
import { type Part, partFailure } from '../local-cluster/supervise.ts'
import { withClient } from '../operator/cli/connect.ts'
import { objectPath } from '../runtime/resource.ts'
import { applyObjects, deployObjects, OPERATOR_USER } from '../test/helpers/deployed-operator.ts'
import { applySample, deleteObject, showObjects } from './demo/kubectl.ts'
import { type Calls, hostOf, SERVICES, startPods } from './demo/pods.ts'
import { chapter, showNotes, step } from './demo/terminal.ts'
import { BOOT, showUntilReady, untilGone } from './demo/tree.ts'

const FENCES = '/apis/microservice.slime.io/v1alpha1/namespaces/default/servicefences'
const SIDECAR = '/apis/networking.istio.io/v1beta1/namespaces/default/sidecars/productpage'
const LOOK_EVERY_MS = 20
const LOOK_WITHIN_MS = 30_000
/** On a cluster the proxies get ten seconds to hear that the catch-all is gone; here are none. */
const SETTLE = '1s'

/** Why a host is in every Sidecar. */
const WHY: Readonly<Record<string, string>> = {
  'istio-system/*': 'Istio itself',
  'mesh-operator/*': 'lazyload itself',
  [`*/${hostOf('global-sidecar')}`]: 'for calls to everything else',
}

const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } })
const stays = !values.once && process.stdin.isTTY && process.stdout.isTTY
const startedAt = Date.now()
/** For Enter or Ctrl-C: all is told but how it goes. */
let waits = false
const started = new AsyncDisposableStack()
using end = untilSignal()
const outcome = await Promise.race([
  tell().then(
    () => 'told' as const,
    (error: unknown) => {
      console.error(error instanceof Error ? error.message : error)
      process.exitCode = 1
      return 'failed' as const
    },
  ),
  end.received.then(() => 'ended' as const),
])
if (outcome === 'ended') {
  console.log('\nEnding.')
  // what was going on has nothing to tell any more
  console.log = console.error = () => {}
}
await started.disposeAsync()
// Nobody waits for what was going on.
if (outcome === 'ended') process.exit(waits ? 0 : 130)

async function tell(): Promise<void> {
  const cluster = started.use(await step('Cluster', startCluster({ name: 'demo' })))
  await step("Istio's CustomResourceDefinitions", prepareMesh(cluster))
  await step('Operator: kubectl apply --server-side -f deploy/slimeboot.yaml', applyObjects(cluster, deployObjects()))
  const operator = startOperator(cluster)
  console.log(`✔ Operator started, its log: ${operator.logFile}`)

  chapter('One SlimeBoot becomes everything that lazyload needs')
  await applySample(cluster, 'slimeboot_lazyload_accesslog.yaml')
  console.log()
  await withClient(cluster.kubeconfig, 'demo', async (client) => await showUntilReady(client, operator))

  chapter('An application: bookinfo. Its productpage calls details and reviews')
  await applySample(cluster, 'bookinfo.yaml', (lines) => `${lines} objects created`)
  const calls = started.use(await step('lazyload, with the configuration and the rights of its pod', startPods(cluster)))
  console.log(aboutPods(calls))

  chapter('Switch lazyload on for productpage: a fence')
  await applySample(cluster, 'servicefence_productpage.yaml')
  const own = await hostsOnce(cluster, calls, ({ length }) => length > 0)
  console.log('It became a Sidecar. Istio now sends the proxy of productpage the configuration of these, not of the whole mesh:')
  showNotes(own.map((host) => [host, WHY[host] ?? '']))

  chapter('The first calls')
  console.log(`The proxy does not know details and reviews any more. Its catch-all route sends such calls to the global-sidecar, which
knows every service: it passes them on, and tells lazyload in its access log who called whom.`)
  for (const service of SERVICES) await showCall(cluster, calls, service)

  chapter('What was learned')
  await showObjects(cluster, 'svf -n default', FENCES)
  console.log('The Sidecar has grown. The next calls to what was learned are direct, without a hop:')
  const grown = await hostsOnce(cluster, calls, ({ length }) => length === own.length + SERVICES.length)
  showNotes(grown.map((host) => [host, WHY[host] ?? '← learned']))
  console.log(`\nTold in ${elapsed(Date.now() - startedAt)}, the start of the cluster included.`)
  if (stays) await enter(whatNext(cluster))

  chapter('And all of it goes away again')
  await deleteObject(cluster, ['servicefence', 'productpage', '-n', 'default'], `${FENCES}/productpage`)
  await hostsOnce(cluster, calls, ({ length }) => length === 0)
  console.log('The Sidecar is gone with its fence: productpage gets the whole mesh again.')
  await deleteObject(cluster, ['slimeboot', 'lazyload', '-n', 'mesh-operator'], objectPath(BOOT))
  const { had, left } = await withClient(cluster.kubeconfig, 'demo', async (client) => await untilGone(client, operator))
  if (left.length > 0) throw new Error(`The SlimeBoot is gone, but these are left: ${left.join(', ')}`)
  console.log(
    `All ${had} objects that it had become are gone. The catch-all route went first: no call may meet a global-sidecar that has left.`,
  )
  await operator.stop('SIGTERM')
}

/** What Istio would have brought, as far as the API server is concerned. */
async function prepareMesh(cluster: Cluster): Promise<void> {
  await Promise.all([
    installCrds(cluster, { own: false }),
    cluster.request('POST', '/api/v1/namespaces', { body: { metadata: { name: 'istio-system' } } }),
  ])
}

/** With the rights that deploy/ gives it. */
function startOperator(cluster: Cluster): Part {
  const main = join(import.meta.dirname, '..', 'operator', 'cli', 'main.ts')
  const groups = ['system:serviceaccounts', 'system:serviceaccounts:mesh-operator']
  const kubeconfig = cluster.kubeconfigFor({ name: OPERATOR_USER, groups })
  const args = [main, 'run', '--kubeconfig', kubeconfig, '--mesh-settle', SETTLE, '--log-format', 'text']
  return cluster.supervise('operator', { file: process.execPath, args })
}

function aboutPods({ simulated }: Calls): string {
  const real =
    simulated === undefined
      ? `lazyload, an Envoy as global-sidecar, and the three applications, each at the address of its pod. There is no istiod, so productpage
calls the global-sidecar itself, as its proxy would for a service that it does not know.`
      : `lazyload. The calls are SIMULATED: the demo writes the lines that a global-sidecar would log of them. For real calls:
${simulated}`
  return `Pods are only played here, so that the demo is quick. What really runs is ${real}`
}

/** Calls, and waits until the Sidecar has the service. */
async function showCall(cluster: Cluster, calls: Calls, service: (typeof SERVICES)[number]): Promise<void> {
  const said = await calls.call(service)
  const from = Date.now()
  await hostsOnce(cluster, calls, (hosts) => hosts.includes(`*/${hostOf(service)}`))
  console.log(`  productpage → ${service}: ${said}; it was in the Sidecar ${Date.now() - from} ms later`)
}

/** The hosts of productpage's Sidecar (none without one) as soon as `wanted` says so. */
async function hostsOnce(
  { request }: Cluster,
  { lazyload }: Calls,
  wanted: (hosts: readonly string[]) => boolean,
): Promise<readonly string[]> {
  const deadline = performance.now() + LOOK_WITHIN_MS
  for (;;) {
    const { body } = await request('GET', SIDECAR)
    const hosts: readonly string[] = body.spec?.egress[0].hosts ?? []
    if (wanted(hosts)) return hosts
    if (lazyload.ended() !== undefined) throw partFailure(lazyload, `ended (${lazyload.ended()})`)
    if (performance.now() > deadline) throw partFailure(lazyload, `left Sidecar default/productpage with the hosts [${hosts.join(', ')}]`)
    await sleep(LOOK_EVERY_MS)
  }
}

/** Waits for the Enter key. */
async function enter(text: string): Promise<void> {
  const lines = createInterface({ input: process.stdin })
  console.log(text)
  waits = true
  await new Promise<void>((resolve) => lines.once('line', () => resolve()).once('close', () => resolve()))
  lines.close()
  waits = false
}

function whatNext(cluster: Cluster): string {
  return `
Try in another terminal:

export KUBECONFIG=${cluster.kubeconfig}
kubectl -n mesh-operator get slimeboot
kubectl -n default get svf,sidecar,envoyfilter
kubectl -n default delete sidecar productpage               # it is back at once, with what was learned
kubectl -n default delete envoyfilter to-global-sidecar     # this one too
kubectl -n mesh-operator get events --field-selector involvedObject.kind=SlimeBoot
kubectl -n default get svf productpage -o yaml              # what was learned, from where, when

Enter shows how all of it is removed. Ctrl-C ends it now and leaves nothing behind.`
}
