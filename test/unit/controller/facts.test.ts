/** Facts about the cluster, and what follows from them before Kubernetes 1.30. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile } from '../../../operator/controller/compile.ts'
import { createFactReader } from '../../../operator/controller/facts.ts'
import { bootWith, validSpec } from '../../helpers/specs.ts'

const reader = (minor: number, operatorNamespace?: string) =>
  createFactReader(
    {
      version: async () => ({ major: 1, minor, gitVersion: `v1.${minor}.0` }),
      get: async () => undefined,
      list: async () => ({ resourceVersion: '1', items: [] }),
    },
    operatorNamespace,
  )
const boot = bootWith(validSpec())

test('before Kubernetes 1.30 an operator in a pod honours SlimeBoots in its own namespace only', async () => {
  const elsewhere = await reader(29, 'operators').read(boot)
  assert.equal(elsewhere.honouredNamespace, 'operators')
  assert.throws(() => compile(boot, { facts: elsewhere }), { reason: 'NamespaceNotHonoured', retry: 'heals' })
  compile(boot, { facts: await reader(29, 'mesh-operator').read(boot) })
})

test('from 1.30 on, where admission policies ask for the rights of who writes, and outside a pod, it honours all', async () => {
  assert.equal((await reader(30, 'operators').read(boot)).honouredNamespace, undefined)
  assert.equal((await reader(36, 'operators').read(boot)).honouredNamespace, undefined)
  assert.equal((await reader(29).read(boot)).honouredNamespace, undefined)
})
