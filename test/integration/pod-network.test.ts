/** Pods as network namespaces: what the tests with a real Envoy stand on. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { podNetwork } from '../../local-cluster/mesh/network.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { createService } from '../helpers/lazyload.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { adminClient } from '../helpers/stage.ts'

const MODULE = join(import.meta.dirname, '../../local-cluster/mesh/network.ts')
const cluster = await sharedCluster()

test('pods reach each other by address and by name, and see from whom a call comes', async () => {
  const namespace = await createNamespace(cluster, 'pods')
  await using network = await podNetwork(cluster)
  const server = await network.createPod({ name: 'details', namespace, names: [`details.${namespace}.svc.cluster.local`] })
  const caller = await network.createPod({ name: 'productpage', namespace })
  await server.app().serve(9080)
  const { status, text } = await caller.app().call('http://details:9080/details/0')
  assert.equal(status, 200)
  assert.deepEqual(JSON.parse(text), { host: 'details:9080', path: '/details/0', from: caller.ip })
  assert.equal((await caller.app().call(`http://details.${namespace}:9080/`)).status, 200)
  await assert.rejects(caller.app().call('http://ratings:9080/'), /ENOTFOUND/)
  const forged = await caller.app().call(`http://${server.ip}:9080/`, { headers: { host: 'x', 'x-forwarded-for': '10.0.0.9' } })
  assert.deepEqual(JSON.parse(forged.text), { host: 'x', path: '/', from: caller.ip, forwardedFor: '10.0.0.9' })
})

test('a pod is an endpoint of the Services that select it, ready or not, until it goes', async () => {
  const namespace = await createNamespace(cluster, 'pods')
  await createService(adminClient(cluster), namespace, 'details')
  await using network = await podNetwork(cluster)
  const pod = await network.createPod({ name: 'details-v1', namespace, labels: { app: 'details' } })
  const endpoints = async (): Promise<unknown> => {
    const { body } = await cluster.request('GET', `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`)
    return body.items.flatMap((slice: any) => (slice.endpoints ?? []).map((each: any) => [each.addresses[0], each.conditions.ready]))
  }
  await eventually(async () => assert.deepEqual(await endpoints(), [[pod.ip, true]]))
  await pod.setReady(false)
  await eventually(async () => assert.deepEqual(await endpoints(), [[pod.ip, false]]))
  await pod.dispose()
  await eventually(async () => assert.deepEqual(await endpoints(), []))
})

test('a program in a pod reaches the API server with a kubeconfig, and nothing of the machine', async () => {
  const namespace = await createNamespace(cluster, 'pods')
  await using network = await podNetwork(cluster)
  const pod = await network.createPod({ name: 'client', namespace })
  const kubeconfig = network.kubeconfigInside(cluster.kubeconfig)
  assert.match(await pod.run('kubectl', ['--kubeconfig', kubeconfig, 'get', '--raw', '/readyz']), /ok/)
  const { port } = new URL(cluster.server)
  await assert.rejects(pod.app().call(`http://127.0.0.1:${port}/`), /ECONNREFUSED/)
})

test('a network whose owner is killed (kill -9) leaves no process behind, also none that a program of a pod started', async (t) => {
  const namespace = await createNamespace(cluster, 'pods')
  const script = `
    const { podNetwork } = await import(${JSON.stringify(MODULE)})
    const { openCluster } = await import(${JSON.stringify(join(MODULE, '../../access.ts'))})
    const network = await podNetwork(openCluster(${JSON.stringify(cluster.dir)}))
    const pod = await network.createPod({ name: 'one', namespace: ${JSON.stringify(namespace)} })
    await pod.app().serve(80)
    const part = pod.start('parent', 'sh', ['-c', 'sleep 1000 & wait'])
    console.log(network.dir, part.pid)
    setInterval(() => {}, 1000)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => owner.kill('SIGKILL'))
  const [line] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string]
  const [dir = '', pid = ''] = line.split(' ')
  const pod = await eventually(() => {
    assert.notEqual(networkOf(pid), networkOf('self'))
    return networkOf(pid)
  })
  // the holder, the agent, the program and what it started
  await eventually(() => assert.equal(processesIn(pod).length, 4))
  owner.kill('SIGKILL')
  await eventually(() => assert.deepEqual(processesIn(pod), []))
  await eventually(() => assert.equal(existsSync(dir), false))
})

function processesIn(network: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && networkOf(pid) === network)
}

function networkOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return ''
  }
}
