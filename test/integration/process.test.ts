/** How the operator's process ends. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { LEASE, type LeaseSpec } from '../../runtime/lease.ts'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { sharedCluster } from '../helpers/cluster.ts'
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

test('a rejection that nobody handles is logged with its stack, and ends the process with code 1', async () => {
  const namespace = await createNamespace(cluster, 'rejection')
  const bug = 'setTimeout(() => Promise.reject(new Error("a bug of ours")), 4000)'
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(bug)}` }
  await using first = startReplica(cluster, { name: namespace, namespace, args: ['--leader-elect=false'], env })
  assert.equal(await first.exited, 1, first.log())
  assert.match(first.log(), /error unhandledRejection.*a bug of ours.*at /)
})

test('a signal that comes before the Lease is held, or before anything is watched, ends the process cleanly', async () => {
  const namespace = await createNamespace(cluster, 'early')
  await using first = startReplica(cluster, { name: namespace, namespace })
  await first.logs('starting')
  first.signal('SIGTERM')
  assert.equal(await first.exited, 0, first.log())
})
