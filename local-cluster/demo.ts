/**
 * `npm run demo`: a local cluster, the operator, one SlimeBoot, and the objects that it becomes. Stays until Ctrl-C; with `--once`
 * it ends when the SlimeBoot is Ready.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { load } from 'js-yaml'
import { startCluster, type Cluster } from './cluster.ts'
import { installCrds } from './crds.ts'
import { lineOf, listOwned, treeOf, type SeenObject } from './objects.ts'
import { elapsed, startProgress } from './setup/progress.mjs'
import { untilSignal } from './signals.ts'
import { partFailure, type Part } from './supervise.ts'

const ROOT = join(import.meta.dirname, '..')
const SAMPLE = join(ROOT, 'samples', 'slimeboot_lazyload.yaml')
const BOOT_PATH = '/apis/config.netease.com/v1alpha1/namespaces/mesh-operator/slimeboots/lazyload'
const READY_WITHIN_MS = 60_000
const LOOK_EVERY_MS = 150

const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } })
const startedAt = Date.now()
using end = untilSignal()
try {
  await using cluster = await step('Cluster', startCluster({ name: 'demo' }))
  await step('CustomResourceDefinitions', installCrds(cluster))
  await step('Namespaces mesh-operator and istio-system', createNamespaces(cluster, ['mesh-operator', 'istio-system']))
  const operator = startOperator(cluster)
  console.log(`✔ Operator started, its log: ${operator.logFile}`)
  console.log(`✔ ${await applySample(cluster)}\n`)
  await watchUntilReady(cluster, operator)
  console.log(`\nReady after ${elapsed(Date.now() - startedAt)}, cluster included.`)
  if (!values.once) {
    console.log(whatNext(cluster))
    await end.received
    console.log('\nEnding.')
  }
  await operator.stop('SIGTERM')
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** Shows progress while `work` goes on, then a line with its duration; resolves with its result. */
async function step<Result>(label: string, work: Promise<Result>): Promise<Result> {
  const progress = startProgress(label, { quietMs: process.stderr.isTTY ? 0 : 5000 })
  const from = Date.now()
  try {
    const result = await work
    progress.print(`✔ ${label} (${elapsed(Date.now() - from)})\n`)
    return result
  } finally {
    progress.stop()
  }
}

async function createNamespaces({ request }: Cluster, names: readonly string[]): Promise<void> {
  await Promise.all(names.map(async (name) => await request('POST', '/api/v1/namespaces', { body: { metadata: { name } } })))
}

function startOperator(cluster: Cluster): Part {
  const args = [join(ROOT, 'operator', 'cli', 'main.ts'), 'run', '--kubeconfig', cluster.kubeconfig, '--log-format', 'text']
  return cluster.supervise('operator', { file: process.execPath, args })
}

/** Applies the sample as a user would, or through the API where there is no kubectl; returns what to say about it. */
async function applySample(cluster: Cluster): Promise<string> {
  const file = relative(process.cwd(), SAMPLE)
  const command = ['apply', '-f', file]
  const kubectl = spawnSync('kubectl', command, { env: { ...process.env, KUBECONFIG: cluster.kubeconfig }, encoding: 'utf8' })
  if (kubectl.error === undefined) {
    if (kubectl.status !== 0) throw new Error(`kubectl ${command.join(' ')} failed:\n${kubectl.stderr}`)
    return `kubectl ${command.join(' ')}: ${kubectl.stdout.trim()}`
  }
  const { status, body } = await cluster.request('PATCH', `${BOOT_PATH}?fieldManager=demo`, {
    body: load(readFileSync(SAMPLE, 'utf8')),
    contentType: 'application/apply-patch+yaml',
  })
  if (status >= 300) throw new Error(`SlimeBoot/mesh-operator/lazyload: apply refused: ${body.message ?? status}`)
  return `${file} applied (through the API: there is no kubectl here)`
}

/** Shows the objects as they appear: a tree that is redrawn on a terminal, one line per change elsewhere and the tree at the end. */
async function watchUntilReady(cluster: Cluster, operator: Part): Promise<void> {
  const from = Date.now()
  let drawn = 0
  let before = new Set<string>()
  for (;;) {
    const [objects, boot] = await Promise.all([listOwned(cluster), cluster.request('GET', BOOT_PATH)])
    const { ready, summary } = readinessOf(boot.body)
    const tree = treeOf(`SlimeBoot mesh-operator/lazyload  ${summary}  (${elapsed(Date.now() - from)})`, objects)
    if (process.stdout.isTTY) {
      // A line that wraps would spoil the count of lines to go up.
      const lines = tree.map((line) => line.slice(0, process.stdout.columns - 1))
      process.stdout.write(`${drawn === 0 ? '' : `\x1b[${drawn}A\x1b[J`}${lines.join('\n')}\n`)
      drawn = lines.length
    } else {
      before = printChanges(objects, before, Date.now() - from)
      if (ready) console.log(`\n${tree.join('\n')}`)
    }
    if (ready) return
    if (operator.ended() !== undefined) throw partFailure(operator, `ended (${operator.ended()})`)
    if (Date.now() - from > READY_WITHIN_MS)
      throw partFailure(operator, `did not make the SlimeBoot Ready in ${READY_WITHIN_MS / 1000} s: ${summary}`)
    if (await Promise.race([end.received, sleep(LOOK_EVERY_MS)])) throw new Error('Ended before the SlimeBoot was Ready.')
  }
}

function printChanges(objects: readonly SeenObject[], before: ReadonlySet<string>, ms: number): Set<string> {
  const now = new Set(objects.map((object) => `${lineOf(object)}${object.namespace === '' ? '' : `  (${object.namespace})`}`))
  for (const line of now) {
    if (!before.has(line)) console.log(`${elapsed(ms).padStart(8)}  ${line}`)
  }
  return now
}

interface Boot {
  readonly metadata: { readonly generation?: number }
  readonly status?: {
    readonly observedGeneration?: number
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string; readonly message?: string }[]
  }
}

function readinessOf({ metadata, status }: Boot): { ready: boolean; summary: string } {
  const condition = status?.conditions?.find(({ type }) => type === 'Ready')
  if (condition === undefined || status?.observedGeneration !== metadata.generation)
    return { ready: false, summary: 'not seen by the operator yet' }
  const ready = condition.status === 'True'
  return { ready, summary: ready ? '✔ Ready' : `${condition.reason}: ${condition.message}` }
}

function whatNext(cluster: Cluster): string {
  return `
Try in another terminal:

export KUBECONFIG=${cluster.kubeconfig}
kubectl -n mesh-operator get slimeboot
kubectl -n default get deployment,service,sidecar,envoyfilter
kubectl -n default delete envoyfilter to-global-sidecar     # it is back at once
kubectl -n mesh-operator get events --field-selector involvedObject.kind=SlimeBoot
kubectl -n mesh-operator patch slimeboot lazyload --type merge -p '{"spec":{"component":{"globalSidecar":{"type":"cluster"}}}}'
kubectl -n mesh-operator delete slimeboot lazyload          # removes all of it

Ctrl-C ends the operator and the cluster, and leaves nothing behind.`
}
