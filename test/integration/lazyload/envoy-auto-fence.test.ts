/** Fences by label with a real Envoy: acceptance step 12. An automatic fence learns, and one that its user took over keeps what it has. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CREATED_BY_LABEL, FENCED_LABEL } from '../../../lazyload/auto-fence/decision.ts'
import { NAMESPACE, SERVICE, SERVICE_FENCE, SIDECAR } from '../../../lazyload/kinds.ts'
import type { ResourceType } from '../../../runtime/resource.ts'
import { sharedCluster } from '../../helpers/cluster.ts'
import { eventually } from '../../helpers/eventually.ts'
import { dependenciesOf } from '../../helpers/lazyload.ts'
import { startBookinfo } from '../../helpers/mesh/bookinfo.ts'

const cluster = await sharedCluster()

test("the tutorial's example: fences come and go with labels, learn meanwhile, and the one without its label stays with all that it learned", async () => {
  await using bookinfo = await startBookinfo(cluster, { services: ['svc1', 'svc2', 'svc3'] })
  const { client, namespace, network, host } = bookinfo
  await bookinfo.startLazyload()
  const label = async (type: ResourceType, name: string, key: string, value: string | null): Promise<unknown> =>
    await client.mergePatch(
      { type, name, ...(type.namespaced ? { namespace } : {}) },
      { metadata: { labels: { [key]: value } } },
      'kubectl-label',
    )
  async function fencesAre(...names: readonly string[]): Promise<void> {
    for (const type of [SERVICE_FENCE, SIDECAR]) {
      await eventually(async () => {
        const { items } = await client.list(type, { namespace })
        assert.deepEqual(items.map(({ metadata }) => metadata.name).sort(), names)
      })
    }
  }
  const svc3 = await network.createPod({ name: 'svc3-v1', namespace, labels: { app: 'svc3' } })

  await label(SERVICE, 'productpage', FENCED_LABEL, 'false')
  await label(NAMESPACE, namespace, FENCED_LABEL, 'true')
  await fencesAre('svc1', 'svc2', 'svc3')

  await eventually(async () => {
    await bookinfo.call('svc1:9080', { from: svc3 })
    assert.deepEqual(await dependenciesOf(client, namespace, 'svc3'), [host('svc1')])
  })

  await label(SERVICE, 'svc2', FENCED_LABEL, 'false')
  await fencesAre('svc1', 'svc3')

  await label(SERVICE, 'svc2', FENCED_LABEL, null)
  await fencesAre('svc1', 'svc2', 'svc3')

  await label(SERVICE_FENCE, 'svc3', CREATED_BY_LABEL, null)
  await label(NAMESPACE, namespace, FENCED_LABEL, null)
  await fencesAre('svc3')
  assert.deepEqual(await dependenciesOf(client, namespace, 'svc3'), [host('svc1')])

  await bookinfo.call('svc2:9080', { from: svc3 })
  await eventually(async () => assert.deepEqual(await dependenciesOf(client, namespace, 'svc3'), [host('svc1'), host('svc2')]))
})
