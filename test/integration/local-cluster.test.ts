/** The local cluster itself: what every other integration test stands on. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openCluster } from '../../local-cluster/access.ts'
import { startCluster } from '../../local-cluster/cluster.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { createNamespace } from '../helpers/namespace.ts'

const CLUSTER_MODULE = join(import.meta.dirname, '../../local-cluster/cluster.ts')

test('two clusters run at once and know nothing of each other', async () => {
  const options = { controllers: false }
  await using one = await startCluster({ ...options, name: 'one' })
  await using two = await startCluster({ ...options, name: 'two' })
  const namespace = await createNamespace(one)
  assert.equal((await one.request('GET', `/api/v1/namespaces/${namespace}`)).status, 200)
  assert.equal((await two.request('GET', `/api/v1/namespaces/${namespace}`)).status, 404)
})

test('stop ends every process and removes the folder', async () => {
  const cluster = await startCluster({ controllers: false })
  const pids = pidsOf(cluster.dir)
  assert.equal(pids.length, 2)
  await cluster.stop()
  assert.deepEqual(pids.filter(isAlive), [])
  assert.equal(existsSync(cluster.dir), false)
})

test('a killed owner (kill -9) leaves no process and no folder behind', async () => {
  const owner = ownerOfCluster('killed')
  const [dir] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string]
  const pids = pidsOf(dir)
  assert.equal(pids.length, 5)
  assert.deepEqual(pids.filter(isAlive), pids)
  owner.kill('SIGKILL')
  await eventually(() => {
    assert.deepEqual(pids.filter(isAlive), [])
    assert.equal(existsSync(dir), false)
  })
})

test('an owner that is killed while its cluster starts leaves nothing behind either', async () => {
  for (const delay of [0, 10, 50, 200]) {
    const name = `early-${process.pid}-${delay}`
    const owner = ownerOfCluster(name)
    const dir = await eventually(() => clusterFolder(name) ?? assert.fail('no folder yet'), { interval: 1 })
    await sleep(delay)
    owner.kill('SIGKILL')
    await eventually(() => {
      assert.equal(clusterFolder(name), undefined)
      assert.doesNotMatch(execFileSync('ps', ['-Ao', 'args'], { encoding: 'utf8' }), new RegExp(dir))
    })
  }
})

test('the audit log counts requests, with user, agent and object', async () => {
  const cluster = await sharedCluster()
  const since = new Date()
  const token = cluster.createUser('counter', ['counters'])
  const namespace = await createNamespace(cluster)
  for (let i = 0; i < 3; i++) await cluster.request('GET', `/api/v1/namespaces/${namespace}/configmaps/none`, { token })
  const events = (await cluster.auditEvents(since)).filter(({ user }) => user === 'counter')
  const { verb, resource, name, code, userAgent, subresource, group } = events[0]!
  assert.equal(events.length, 3)
  assert.deepEqual(
    { verb, group, resource, name, subresource, code, userAgent },
    { verb: 'get', group: '', resource: 'configmaps', name: 'none', subresource: '', code: 403, userAgent: 'local-cluster' },
  )
})

test('a user has the groups it was created with and no rights', async () => {
  const cluster = await sharedCluster()
  const token = cluster.createUser('jane', ['devs'])
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
  const { body } = await cluster.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { token, body: review })
  assert.deepEqual(body.status.userInfo, { username: 'jane', groups: ['devs', 'system:authenticated'] })
  assert.equal((await cluster.request('GET', '/api/v1/secrets', { token })).status, 403)
  assert.equal((await cluster.request('GET', '/api/v1/secrets', { token: `${token}x` })).status, 401)
})

test('another process opens the cluster by its folder', async () => {
  const { dir } = await sharedCluster()
  const { body } = await openCluster(dir).request('GET', '/version')
  assert.match(body.gitVersion, /^v1\.\d+\.\d+/)
})

test('the API server comes back after a kill with its data', async () => {
  await using cluster = await startCluster({ controllers: false })
  const namespace = await createNamespace(cluster)
  await cluster.stopPart('kube-apiserver')
  await assert.rejects(cluster.request('GET', '/version'))
  await cluster.startPart('kube-apiserver')
  assert.equal((await cluster.request('GET', `/api/v1/namespaces/${namespace}`)).status, 200)
})

test('a part that does not start ends in an error with its log', async () => {
  const options = { controllers: false, name: `broken-${process.pid}`, apiServerArgs: ['--no-such-flag'] }
  await assert.rejects(startCluster(options), /kube-apiserver ended .*unknown flag/s)
  assert.equal(clusterFolder(options.name), undefined)
})

test("kwok's node makes the pods of a Deployment available", async () => {
  const cluster = await sharedCluster()
  const namespace = await createNamespace(cluster)
  const labels = { app: 'web' }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web' }] } }
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
  await cluster.request('POST', path, {
    body: { metadata: { name: 'web' }, spec: { replicas: 2, selector: { matchLabels: labels }, template } },
  })
  await eventually(async () => assert.equal((await cluster.request('GET', `${path}/web`)).body.status.availableReplicas, 2))
})

/** A process that starts a cluster, prints its folder and stays. */
function ownerOfCluster(name: string) {
  const script = `
    const { startCluster } = await import(${JSON.stringify(CLUSTER_MODULE)})
    console.log((await startCluster({ name: ${JSON.stringify(name)} })).dir)
    setInterval(() => {}, 1000)`
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
}

function clusterFolder(name: string): string | undefined {
  return readdirSync(tmpdir()).find((file) => file.startsWith(`slimeboot-${name}-`))
}

function pidsOf(dir: string): number[] {
  return readdirSync(join(dir, 'pids')).map((name) => Number(readFileSync(join(dir, 'pids', name), 'utf8')))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
