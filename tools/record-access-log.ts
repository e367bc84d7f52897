/**
 * Records what a real Envoy sends when many pods call through it: `node tools/record-access-log.ts`. Writes the file that benchmarks
 * replay: the messages of one stream, the first with the description of the node.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeBatch } from '../lazyload/accesslog/decode.ts'
import { podNetwork } from '../local-cluster/mesh/network.ts'
import { eventually } from '../test/helpers/eventually.ts'
import type { MeshService } from '../test/helpers/mesh/envoy-config.ts'
import { startGlobalSidecar } from '../test/helpers/mesh/global-sidecar.ts'

const TARGET = join(import.meta.dirname, '../bench/lazyload/harness/envoy-access-log.grpc')
const PROGRAM = join(import.meta.dirname, '../local-cluster/mesh/programs/record-stream.ts')
const CALLS = 220
const NAMESPACES = ['default', 'shop', 'payments']
const CALLERS = Array.from({ length: 24 }, (_, index) => `10.244.7.${index + 10}`)
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/92.0.4515.107 Safari/537.36',
  'Go-http-client/1.1',
  'Java-http-client/21',
  'python-requests/2.31.0',
]
const PATHS = [
  '/',
  '/details/0',
  '/api/v1/orders?state=open&page=2',
  '/reviews/0',
  '/healthz',
  '/cart/items/8f14e45f-ceea-467f-a8d8-7a3b6c9d2e10',
]

/** Requests are chosen in a fixed order, so that two recordings differ in times and ids only. */
function pick<Item>(items: readonly Item[], turn: number, stride: number): Item {
  return items[(turn * stride) % items.length]!
}

const dir = mkdtempSync(join(tmpdir(), 'record-access-log-'))
try {
  await using network = await podNetwork({ dir, server: 'https://127.0.0.1:1', request: async () => ({ status: 503, body: {} }) })
  const open = async (name: string, ip: string, names: readonly string[] = []) =>
    await network.attachPod({ name, namespace: 'default', ip, names })
  const lazyload = await open('lazyload', '10.244.7.2', ['lazyload.mesh-operator.svc.cluster.local'])
  const apps = await open('apps', '10.244.7.3')
  const callers = await open('callers', '10.244.7.4')
  for (const address of CALLERS) await callers.run('ip', ['addr', 'add', `${address}/32`, 'dev', 'eth0'])
  const file = join(dir, 'stream')
  const recorder = lazyload.start('recorder', process.execPath, [PROGRAM, '8082', file])
  await eventually(() => assert.match(readFileSync(recorder.logFile, 'utf8'), /receiving/))

  const services: MeshService[] = NAMESPACES.flatMap((namespace) =>
    ['details', 'reviews', 'ratings', 'cart', 'orders', 'recommendations-v2'].map((name, index) => ({
      host: `${name}.${namespace}.svc.cluster.local`,
      ports: index % 2 === 0 ? [9080] : [80],
      address: apps.ip,
    })),
  )
  services.push({ host: 'api.example.com', ports: [80], address: apps.ip })
  for (const port of [80, 9080]) await apps.app().serve(port)
  const globalSidecar = await startGlobalSidecar(network, {
    name: 'global-sidecar-59f4c5f989-ccjjg',
    pod: await open('global-sidecar', '10.244.7.5'),
    shape: 'stock',
    mode: 'namespaced',
    namespace: 'default',
    services,
    workers: 1,
  })
  for (let turn = 0; turn < CALLS; turn++) {
    const { host, ports } = pick(services, turn, 7)
    const [name, namespace] = host.split('.')
    const authority = pick(
      [host, namespace === 'default' ? name! : `${name}.${namespace}`, `${host}:${ports[0]}`, 'unknown.example.org'],
      turn,
      1,
    )
    const headers = {
      host: host.endsWith('.com') ? host : authority,
      'user-agent': pick(AGENTS, turn, 3),
      'x-request-id': `48257260-1f5f-42fa-a18f-${String(turn).padStart(12, '0')}`,
      ...(turn % 5 === 0 ? { 'x-forwarded-for': '203.0.113.7' } : {}),
    }
    const url = `http://${globalSidecar.pod.ip}:${ports[0]}${pick(PATHS, turn, 5)}`
    await callers.app().call(url, { headers, localAddress: pick(CALLERS, turn, 11), method: turn % 9 === 0 ? 'POST' : 'GET' })
    // a quiet time after every tenth call: messages of many sizes
    if (turn % 10 === 9 && turn > CALLS / 2) await sleep(150)
  }
  await eventually(() => assert.equal(entriesIn(file), CALLS))
  writeFileSync(TARGET, readFileSync(file))
  console.log(`${relative(process.cwd(), TARGET)}: ${CALLS} entries, ${framesOf(file).length} messages, ${statSync(TARGET).size} bytes`)
} finally {
  rmSync(dir, { recursive: true })
}

function entriesIn(file: string): number {
  return framesOf(file).reduce((sum, frame) => sum + decodeBatch(frame).entries.length, 0)
}

function framesOf(file: string): readonly Buffer[] {
  const bytes = existsSync(file) ? readFileSync(file) : Buffer.alloc(0)
  const frames: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1)
    frames.push(bytes.subarray(at + 5, end))
    at = end
  }
  return frames
}
