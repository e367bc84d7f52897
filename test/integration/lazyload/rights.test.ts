/** Lazyload with the rights of its ClusterRole and no others: nothing is denied. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FENCED_LABEL } from '../../../lazyload/auto-fence/decision.ts'
import { SERVICE, SERVICE_FENCE } from '../../../lazyload/kinds.ts'
import { LAZYLOAD_ROLE } from '../../../operator/rights/module-roles.ts'
import { grantsOf, qualified } from '../../../operator/rights/rule.ts'
import { messageOf, openLogStream, OWN_ADDRESS } from '../../helpers/access-log.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { createEndpoints, createService, fenceOf, hostsOf, sidecarOf, startLazyload } from '../../helpers/lazyload.ts'
import { createNamespace } from '../../helpers/namespace.ts'
import { adminClient } from '../../helpers/stage.ts'

test('learning, auto fences, reset, leader election: all allowed', async () => {
  const cluster = await sharedCluster()
  const client = adminClient(cluster)
  const namespace = await createNamespace(cluster, 'rights')
  const user = `${namespace}-lazyload`
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  const rules = LAZYLOAD_ROLE.rules.map((rule) => ({ ...rule, reason: undefined }))
  await cluster.request('POST', `${rbac}/clusterroles`, { body: { metadata: { name: user }, rules } })
  await cluster.request('POST', `${rbac}/clusterrolebindings`, {
    body: {
      metadata: { name: user },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: user },
      subjects: [{ kind: 'User', name: user }],
    },
  })
  await createService(client, namespace, 'caller', { [FENCED_LABEL]: 'true' })
  await createEndpoints(client, namespace, 'caller', ['172.17.0.80'])
  await createEndpoints(client, namespace, 'global-sidecar', [OWN_ADDRESS])
  const lazyload = await startLazyload(cluster, {
    namespaces: [namespace],
    user,
    groups: [],
    args: ['--enable-leader-election'],
    env: { WATCH_NAMESPACE: namespace, POD_NAME: 'lazyload-0' },
  })
  await eventually(async () => await sidecarOf(client, namespace, 'caller'), { timeout: 30_000 })
  const stream = openLogStream(await lazyload.logPort())
  stream.send(messageOf([{ directRemote: '172.17.0.80', upstreamCluster: 'outbound|80||www.example.com' }]))
  await stream.end()
  await eventually(async () => assert.equal(hostsOf(await sidecarOf(client, namespace, 'caller')).length, 4))
  assert.equal((await lazyload.get(`/lazyload/debug/svfReset?ns=${namespace}`)).text, 'succeed\n')
  await client.mergePatch({ type: SERVICE_FENCE, namespace, name: 'caller' }, { spec: { enable: false } }, 'kubectl-edit')
  await eventually(async () => assert.equal((await fenceOf(client, namespace, 'caller')).status?.observedGeneration, 2))
  await client.remove({ type: SERVICE, namespace, name: 'caller' })
  await eventually(async () => assert.equal(await client.get({ type: SERVICE_FENCE, namespace, name: 'caller' }), undefined))
  await lazyload.stop()

  const events = (await cluster.auditEvents()).filter((event) => event.user === user && event.resource !== '')
  assert.deepEqual(
    events.filter(({ code }) => code === 403).map(({ verb, requestURI }) => `${verb} ${requestURI}`),
    [],
  )
  const used = new Set(
    events.map(
      ({ verb, group, resource, subresource }) =>
        `${verb} ${qualified(group, subresource === '' ? resource : `${resource}/${subresource}`)}`,
    ),
  )
  // server-side apply that creates is a patch that also needs create
  if (used.has('patch sidecars.networking.istio.io')) used.add('create sidecars.networking.istio.io')
  const granted = LAZYLOAD_ROLE.rules.flatMap(grantsOf)
  assert.deepEqual(
    [...used].filter((grant) => !granted.includes(grant)),
    [],
  )
})
