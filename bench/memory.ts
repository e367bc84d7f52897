/** Resident memory at rest: the bundle without a cluster, after the start, with 50 and 1,000 SlimeBoots, and with 10,000 foreign objects. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CONFIG_MAP, DEPLOYMENT } from '../operator/api/kinds.ts'
import { freePort } from '../local-cluster/ports.ts'
import { kubeconfig } from '../local-cluster/files.ts'
import type { KubeObject } from '../runtime/object.ts'
import { names } from './harness/boots.ts'
import { large } from './harness/large.ts'
import { median } from './harness/numbers.ts'
import { startOperator } from './harness/operator.ts'
import { peerNumbers } from './harness/peer-numbers.ts'
import type { Result, Row } from './harness/report.ts'
import type { Run } from './harness/run.ts'
import type { Stage } from './harness/stage.ts'
import { restingMiB } from './harness/usage.ts'

const REST_MS = 15_000
const FOREIGN = 10_000
const CHUNK = 500

export async function memory(run: Run): Promise<Result> {
  const peer = await peerNumbers(run)
  const { stage, operator, mib, few, all } = await large(run)
  run.show('the bundle without a cluster')
  const alone = await withoutCluster(stage)
  const { pid } = operator()
  const before = await restingMiB(pid, REST_MS)
  const count = run.size(FOREIGN)
  await createForeign(stage, count, run)
  run.show('memory with foreign objects')
  const after = await restingMiB(pid, REST_MS)
  const unit = 'MiB'
  const rows: Row[] = [
    { what: 'after the start', value: mib.start, unit, reference: { name: 'without a cluster', value: alone }, target: { most: 1.2 } },
    {
      what: `with ${few} SlimeBoots`,
      value: mib.few,
      unit,
      reference: { name: 'after the start', value: mib.start },
      by: 'difference',
      target: { most: 20 },
    },
    {
      what: `with ${all} SlimeBoots`,
      value: mib.all,
      unit,
      reference: { name: 'after the start', value: mib.start },
      by: 'difference',
      target: { most: 60 },
    },
    {
      what: `${count} foreign ConfigMaps and ${count} Deployments`,
      value: after,
      unit,
      reference: { name: 'before', value: before },
      by: 'difference',
      target: { most: 3 },
    },
  ]
  const bars = [{ name: 'slimeboot', value: mib.few }]
  if (peer !== undefined) {
    rows.push({
      what: `with ${few} SlimeBoots`,
      value: mib.few,
      unit,
      reference: { name: 'Helm operator', value: peer.mib },
      target: { most: 1 },
    })
    bars.push({ name: 'Helm operator', value: peer.mib })
  }
  return {
    name: 'memory',
    title: 'Resident memory at rest',
    rows,
    bars: [{ group: `Memory with ${few} SlimeBoots`, unit, bars }],
    notes: [],
  }
}

/** The same process with an API server that does not answer. */
async function withoutCluster(stage: Stage): Promise<number> {
  const file = join(stage.cluster.dir, 'kubeconfig-nowhere')
  writeFileSync(file, kubeconfig({ server: `https://127.0.0.1:${await freePort()}`, user: 'nobody', token: 'none' }))
  const found: number[] = []
  for (let count = 0; count < 3; count++) {
    const operator = await startOperator(stage, { kubeconfig: file })
    found.push(await restingMiB(operator.pid, 5000))
    await operator.stop()
  }
  return median(found)
}

/** What other people have in the cluster, of the kinds that the operator watches. */
async function createForeign(stage: Stage, count: number, run: Run): Promise<void> {
  await stage.createNamespaces(['foreign'])
  const [labels, namespace] = [{ app: 'foreign' }, 'foreign']
  const containers = [{ name: 'app', image: 'registry.example/app:1', env: [{ name: 'LEVEL', value: 'info' }] }]
  const configMap = (name: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, labels },
    data: { text: 'x'.repeat(1000) },
  })
  const deployment = (name: string): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  })
  for (let from = 0; from < count; from += CHUNK) {
    run.show(`foreign objects: ${2 * from} of ${2 * count}`)
    const some = names('foreign', Math.min(CHUNK, count - from), from)
    await Promise.all(
      some.flatMap((name) => [stage.client.create(CONFIG_MAP, configMap(name)), stage.client.create(DEPLOYMENT, deployment(name))]),
    )
  }
}
