/** How the operator's process ends. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { LEASE, type LeaseSpec } from '../../runtime/lease.ts'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { eventually } from '../helpers/eventually.ts'
import { createNamespace } from '../helpers/namespace.ts'
import { startReplica } from '../helpers/replica.ts'
import { adminClient } from '../helpers/stage.ts'

let cluster: ClusterAccess
before(async () => {
  cluster = await sharedCluster()
})

test('a second SIGTERM ends the process at once', async () => {
  const namespace = await createNamespace(cluster, 'twice')
  await using first = startReplica(cluster, { name: namespace, namespace, args: ['--lease-duration', '3600s', '--renew-deadline', '60s'] })
  await first.logs('leading')
  // a server that is asked to release, and does not answer soon, is played by a process that gets both signals in one go
  first.signal('SIGSTOP')
  first.signal('SIGTERM')
  first.signal('SIGINT')
  first.signal('SIGCONT')
  assert.equal(await first.exited, 1, first.log())
  // not released: no time was left for that
  const lease = await adminClient(cluster).get({ type: LEASE, namespace, name: 'slime-boot' })
  const { holderIdentity = '' } = (lease?.['spec'] ?? {}) as LeaseSpec
  assert.match(holderIdentity, new RegExp(`^${namespace}_`))
})

test('errors that nobody handles are logged with their stack and counted, and the process goes on', async () => {
  const namespace = await createNamespace(cluster, 'rejection')
  const bugs = `setInterval(() => Promise.reject(new Error("a bug of ours")), 500).unref();
    setInterval(() => { throw new TypeError("another bug") }, 500).unref()`
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(bugs)}` }
  await using first = startReplica(cluster, { name: namespace, namespace, args: ['--leader-elect=false'], env })
  for (const bug of [
    'unhandledRejection error="Error: a bug of ours\\n    at ',
    'uncaughtException error="TypeError: another bug\\n    at ',
  ])
    await first.logs('unexpected error; going on', `place=${bug}`)
  const server = await first.healthServer()
  await eventually(async () => {
    const count = Number(/callback="process"\} (\d+)/.exec(await (await fetch(`${server}/metrics`)).text())?.[1])
    assert.ok(count > 6, `${count}`)
  })
  assert.equal(first.log().split('a bug of ours').length, 2, 'told once')
  assert.equal((await fetch(`${server}/livez`)).status, 200)
  first.signal('SIGTERM')
  assert.equal(await first.exited, 0, first.log())
})

test('a signal that comes before the Lease is held, or before anything is watched, ends the process cleanly', async () => {
  const namespace = await createNamespace(cluster, 'early')
  await using first = startReplica(cluster, { name: namespace, namespace })
  await first.logs('starting')
  first.signal('SIGTERM')
  assert.equal(await first.exited, 0, first.log())
})
