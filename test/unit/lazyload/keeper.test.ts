/** Which Services are kept while it is not known whether their namespace is in the mesh. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKeeper } from '../../../lazyload/keep/keeper.ts'
import { slimService } from '../../../lazyload/mesh/known-hosts.ts'
import type { Membership } from '../../../module/in-mesh.ts'
import type { KubeObject } from '../../../runtime/object.ts'

const mysql: KubeObject = slimService({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'mysql', namespace: 'db' },
  spec: { selector: { app: 'mysql' }, ports: [{ name: 'tcp-mysql', port: 3306 }] },
})

test('a label that leaves open whether a namespace is in the mesh takes nothing out; only what its pods say does', async () => {
  let membership: Membership = 'unknown'
  const asked: string[] = []
  const keeper = createKeeper({
    inMesh: { of: () => membership, ask: (namespace) => asked.push(namespace), whenKnown: async () => {} },
    everywhere: new Set(),
    viewOf: (namespace) => ({ namespace, home: namespace, ports: new Set([80]) }),
    callerRoutes: () => [],
    meshConfig: () => undefined,
    resolve: () => undefined,
    fences: () => 0,
    onChange: () => {},
  })
  const kept = async (now: Membership): Promise<number> => {
    membership = now
    keeper.touch()
    await keeper.settle()
    return keeper.of('shop').hosts.length
  }
  keeper.changeService(undefined, mysql)
  assert.equal(await kept('unknown'), 0, 'nobody has said that it is in the mesh')
  assert.equal(await kept('in'), 1)
  assert.equal(await kept('unknown'), 1)
  assert.equal(await kept('unknown'), 1, 'for as long as that lasts')
  assert.equal(await kept('out'), 0)
  assert.equal(await kept('unknown'), 0)
  assert.deepEqual(new Set(asked), new Set(['db']))
  keeper.close()
})
