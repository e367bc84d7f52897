/**
 * Ten hosts under load while each is learned: the proxy of the caller gets clusters and routes all the time, and no call may fail. What
 * never becomes known still fails.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { INSTALL, ROOT, runBash } from '../helpers/scripts.ts'
import { setStage, type Stage } from './stage.ts'

const HOSTS = Array.from({ length: 10 }, (_, index) => `host-${index}`)
/** Two cores carry the mesh, its control plane and both ends of the load; more would only measure how they queue. */
const CALLS_A_SECOND = 100
const BETWEEN_HOSTS_MS = 1500
/** Long enough to be learned meanwhile. */
const PER_HOST_MS = 3000

const LOAD = join(ROOT, 'local-cluster/mesh/programs/load.ts')
const ECHO = join(ROOT, 'local-cluster/mesh/programs/echo.ts')
const SAMPLE = join(ROOT, 'samples/slimeboot_lazyload_accesslog.yaml')

const deployment = (name: string) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'default' },
  spec: {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'app', image: 'echo:1', args: [name, 'http:9080'] }] },
    },
  },
})
const service = (name: string, app: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { selector: { app }, ports: [{ name: 'http', port: 9080 }] },
})
const APPLICATIONS = [
  deployment('caller'),
  deployment('server'),
  service('caller', 'caller'),
  service('nowhere', 'server'),
  ...HOSTS.map((host) => service(host, 'server')),
]
const MISSING_SUBSET = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'nowhere', namespace: 'default' },
  spec: { hosts: ['nowhere'], http: [{ route: [{ destination: { host: 'nowhere', subset: 'missing' } }] }] },
}
const FENCE = {
  apiVersion: 'microservice.slime.io/v1alpha1',
  kind: 'ServiceFence',
  metadata: { name: 'caller', namespace: 'default' },
  spec: { enable: true },
}

let stage: Stage
let load: Load

interface Load {
  readonly end: () => Promise<{ readonly calls: number; readonly failed: readonly string[] }>
}

before(async () => {
  const applications = join(tmpdir(), `slimeboot-no-call-lost-${process.pid}.json`)
  writeFileSync(applications, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: APPLICATIONS }))
  const node = '/usr/local/bin/node'
  const program = '/usr/local/lib/echo.ts'
  stage = await setStage({
    applications,
    image: (name) =>
      name === 'echo:1' ? { entrypoint: [node, program], files: { [node]: process.execPath, [program]: ECHO } } : undefined,
  })
  const { code, output } = await runBash([INSTALL, '-f', SAMPLE], { kubeconfig: stage.mesh.cluster.kubeconfig })
  assert.equal(code, 0, output)
  await stage.mesh.apply([FENCE])
  await stage.eventually(async () => assert.deepEqual(await knownHosts(), []))
})
after(async () => await stage?.[Symbol.asyncDispose]())

test('ten hosts are learned, each under load', async () => {
  load = await startLoad()
  await stage.eventually(async () => assert.deepEqual(await knownHosts(), HOSTS))
})

test('no call has failed meanwhile', async () => {
  const { calls, failed } = await load.end()
  assert.ok(calls > 2000, `${calls} calls`)
  assert.deepEqual(failed, [])
})

test('a call whose route leads to a cluster that is nowhere fails, and does not ask istiod again and again', async () => {
  await stage.mesh.apply([MISSING_SUBSET])
  const address = (await stage.get('service', 'nowhere', '-n', 'default')).spec.clusterIP
  const call = async (): Promise<number> =>
    (
      await stage
        .pod('caller')
        .place.app()
        .call(`http://${address}:9080/`, { headers: { host: 'nowhere:9080' } })
    ).status
  const asked = (): number =>
    stage
      .pod('istiod')
      .log('discovery')
      .split('\n')
      .filter((line) => line.includes('CDS: PUSH request for ')).length
  await stage.eventually(async () => assert.equal(await call(), 503))
  const earlier = asked()
  for (let round = 0; round < 8; round++) assert.equal(await call(), 503)
  // once each for the caller's proxy and the global-sidecar
  assert.ok(asked() - earlier <= 2, `${asked() - earlier} requests`)
})

/** What the caller's proxy has clusters for. */
async function knownHosts(): Promise<readonly string[]> {
  const clusters = await stage.admin('caller', '/clusters')
  return HOSTS.filter((host) => clusters.includes(`outbound|9080||${host}.default.svc.cluster.local::`))
}

async function startLoad(): Promise<Load> {
  const { items } = await stage.get('services', '-n', 'default')
  const addresses = new Map<string, string>(items.map(({ metadata, spec }: any) => [metadata.name, spec.clusterIP]))
  const targets = HOSTS.map((host) => `${host}=${addresses.get(host)}:9080`)
  const { place } = stage.pod('caller')
  const { file, args } = place.command(process.execPath, [
    LOAD,
    String(CALLS_A_SECOND),
    String(BETWEEN_HOSTS_MS),
    String(PER_HOST_MS),
    ...targets,
  ])
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return {
    end: async () => {
      const ended = new Promise((resolve) => child.once('close', resolve))
      child.stdin.end()
      await ended
      return JSON.parse(text) as Awaited<ReturnType<Load['end']>>
    },
  }
}
