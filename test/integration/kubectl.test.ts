/** What people see with kubectl: columns, conditions to wait for, Events. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { Agent, request } from 'undici'
import { EVENT } from '../../operator/api/kinds.ts'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { sharedCluster } from '../helpers/cluster.ts'
import { changeSpec, createBoot, isReady, newInstallation, readBoot, refTo, setStage, specOf, type Stage } from '../helpers/stage.ts'

let cluster: ClusterAccess
let stage: Stage
before(async () => {
  cluster = await sharedCluster()
  stage = await setStage(cluster, 'kubectl')
})
after(async () => await stage[Symbol.asyncDispose]())

/** The table that `kubectl get` prints, asked for as kubectl does (https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables). */
async function table(name: string): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetchTable(`${cluster.server}/apis/config.netease.com/v1alpha1/namespaces/${stage.namespace}/slimeboots/${name}`)
  const { columnDefinitions, rows } = response
  // priority 0: shown without -o wide
  return Object.fromEntries(
    columnDefinitions.flatMap((column, index) => (column.priority === 0 ? [[column.name.toUpperCase(), rows[0]!.cells[index]]] : [])),
  )
}

interface Table {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[]
  readonly rows: readonly { readonly cells: readonly unknown[] }[]
}

async function fetchTable(url: string): Promise<Table> {
  const dispatcher = new Agent({ connect: { ca: await readFile(cluster.caFile, 'utf8') } })
  const { body } = await request(url, {
    headers: { authorization: `Bearer ${cluster.adminToken}`, accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    dispatcher,
  })
  const answer = (await body.json()) as Table
  await dispatcher.close()
  return answer
}

/** The Events of a SlimeBoot, as `kubectl describe` lists them: type, reason, message. */
async function events(name: string): Promise<readonly (readonly [unknown, unknown, string])[]> {
  const { uid } = (await readBoot(stage, name)).metadata
  const { items } = await stage.client.list(EVENT, {
    namespace: stage.namespace,
    fieldSelector: `involvedObject.uid=${uid},involvedObject.kind=SlimeBoot`,
  })
  return items.map((event) => [event['type'], event['reason'], String(event['message'])] as const)
}

async function eventSaid(name: string, type: 'Normal' | 'Warning', reason: string, message: RegExp): Promise<void> {
  await stage.eventually(async () => {
    const all = await events(name)
    assert.ok(
      all.some(([itsType, itsReason, text]) => itsType === type && itsReason === reason && message.test(text)),
      `no ${type} ${reason} ${message} in:\n${all.map((event) => event.join(' ')).join('\n')}`,
    )
  })
}

describe('a SlimeBoot as kubectl shows it', { concurrency: true }, () => {
  test('has the columns READY, REASON, MODE, MODULES and AGE', async () => {
    const installation = await newInstallation(stage, 'columns')
    await createBoot(stage, 'columns', specOf(installation))
    await isReady(stage, 'columns')
    const { NAME, AGE, ...columns } = await table('columns')
    assert.equal(NAME, 'columns')
    assert.match(String(AGE), /^\d+[smh]/)
    assert.deepEqual(columns, { READY: 'True', REASON: 'Ready', MODE: 'namespaced', MODULES: installation.module })
    await createBoot(stage, 'wrong', {})
    await stage.eventually(async () => {
      const { READY, REASON } = await table('wrong')
      assert.deepEqual([READY, REASON], ['False', 'InvalidSpec'])
    })
  })

  test('has the short names sb and slb and a status of its own', async () => {
    const { body } = await cluster.request('GET', '/apis/config.netease.com/v1alpha1')
    const { resources } = body as { resources: readonly { name: string; shortNames?: readonly string[] }[] }
    assert.deepEqual(
      resources.map(({ name, shortNames }) => [name, shortNames]),
      [
        ['slimeboots', ['sb', 'slb']],
        ['slimeboots/status', undefined],
      ],
    )
  })

  test('has Events that tell what was applied, repaired, pruned, and when it became Ready', async () => {
    const installation = await newInstallation(stage, 'story', 2)
    await createBoot(stage, 'story', specOf(installation))
    await isReady(stage, 'story')
    await eventSaid('story', 'Normal', 'Applied', /^\d+ created, 0 configured in \d+ ms: /)
    await eventSaid('story', 'Normal', 'Ready', /objects are as rendered, every workload is available/)
    await stage.client.mergePatch(
      refTo('Service', installation.home, installation.module),
      { spec: { selector: { app: 'x' } } },
      'kubectl-edit',
    )
    await eventSaid(
      'story',
      'Normal',
      'DriftRepaired',
      new RegExp(`^Service/${installation.home}/${installation.module}: /spec/selector/app$`),
    )
    await changeSpec(stage, 'story', specOf(installation, { namespaces: [installation.apps[0]!] }))
    await eventSaid('story', 'Normal', 'Pruned', new RegExp(`EnvoyFilter/${installation.apps[1]}/to-global-sidecar`))
    await eventSaid('story', 'Normal', 'Pruned', new RegExp(`Deployment/${installation.apps[1]}/global-sidecar`))
    await isReady(stage, 'story')
  })

  test('has a Warning for each refusal, once', async () => {
    const installation = await newInstallation(stage, 'refusal')
    const missing = `${installation.root}-missing`
    await createBoot(stage, 'refusal', specOf(installation, { namespaces: [missing] }))
    await eventSaid('refusal', 'Warning', 'NamespaceMissing', new RegExp(missing))
    await createBoot(stage, 'invalid', { ...specOf(installation), namespace: 'Not-A-Label' })
    await eventSaid('invalid', 'Warning', 'InvalidSpec', /spec\.namespace/)
    assert.equal((await events('refusal')).filter(([, reason]) => reason === 'NamespaceMissing').length, 1)
  })
})
