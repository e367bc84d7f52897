/** The operator as a workload: `deploy/slimeboot.yaml` on a real API server, replicas as processes with their pods' tokens. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Cluster, startCluster } from '../../local-cluster/cluster.ts'
import { installCrds } from '../../local-cluster/crds.ts'
import { render } from '../../operator/render/render.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { deployObjects, OPERATOR_USER, runOperatorPods } from '../helpers/deployed-operator.ts'
import { eventually } from '../helpers/eventually.ts'
import type { PodRunner } from '../helpers/pod-runner.ts'
import { SHAPES, valuesOf } from '../helpers/shapes.ts'
import { adminClient, bootRef, createBoot, isGone, isReady, newInstallation, readyIs, specOf, type Stage } from '../helpers/stage.ts'

const NAMESPACE = 'mesh-operator'
const FILE = join(import.meta.dirname, '..', '..', 'deploy', 'slimeboot.yaml')
const DEPLOYMENT = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/slime-boot`
const LEASE = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/slime-boot`
const SLOW = { timeout: 60_000, interval: 200 }

/** The earlier operator's Deployment (spec/behaviour 9, 15.5), as its users applied it. */
const EARLIER = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'slime-boot', namespace: NAMESPACE },
  spec: {
    replicas: 1,
    selector: { matchLabels: { name: 'slime-boot' } },
    template: {
      metadata: { labels: { name: 'slime-boot' } },
      spec: {
        serviceAccountName: 'slime-boot',
        containers: [
          {
            name: 'slime-boot',
            image: 'docker.io/slimeio/slime-boot:v0.2.3-5bf313f',
            imagePullPolicy: 'Always',
            env: [
              { name: 'WATCH_NAMESPACE', value: '' },
              { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              { name: 'OPERATOR_NAME', value: 'slime-boot' },
            ],
          },
        ],
      },
    },
  },
}

let cluster: Cluster
let runner: PodRunner
let stage: Stage

before(async () => {
  cluster = await startCluster({ name: 'deploy' })
  await installCrds(cluster, { own: false })
  stage = {
    cluster,
    client: adminClient(cluster),
    namespace: NAMESPACE,
    operator: () => assert.fail('the operator runs in pods'),
    restart: () => assert.fail('the operator runs in pods'),
    eventually,
    [Symbol.asyncDispose]: async () => {},
  }
})

after(async () => {
  await runner?.stop()
  await cluster?.stop()
})

test('an apply replaces the earlier operator in place, once its binding to cluster-admin is deleted', async () => {
  kubectl(['create', 'namespace', NAMESPACE])
  kubectl(['apply', '-f', '-'], JSON.stringify(EARLIER))
  kubectl(['create', 'clusterrolebinding', 'slime-boot', '--clusterrole', 'cluster-admin', '--serviceaccount', `${NAMESPACE}:slime-boot`])
  const { body: old } = await cluster.request('GET', DEPLOYMENT)
  // A binding's role cannot be changed: better a refusal than an operator that goes on as cluster-admin.
  assert.throws(
    () => kubectl(['apply', '--server-side', '--force-conflicts', '-f', FILE]),
    /ClusterRoleBinding "slime-boot" is invalid.*cannot change roleRef/s,
  )
  kubectl(['delete', 'clusterrolebinding', 'slime-boot'])
  kubectl(['apply', '--server-side', '--force-conflicts', '-f', FILE])
  const { body } = await cluster.request('GET', DEPLOYMENT)
  assert.equal(body.metadata.uid, old.metadata.uid)
  const [wanted] = deployObjects().filter(({ kind }) => kind === 'Deployment') as any[]
  const [container] = body.spec.template.spec.containers
  const [wantedContainer] = wanted.spec.template.spec.containers
  assert.deepEqual(
    container.env.map(({ name }: { name: string }) => name),
    ['POD_NAME', 'POD_NAMESPACE'],
  )
  for (const key of ['image', 'imagePullPolicy', 'args', 'ports', 'resources', 'securityContext']) {
    assert.deepEqual(
      key === 'ports' ? container.ports.map((port: any) => port.containerPort) : container[key],
      key === 'ports' ? [8080] : wantedContainer[key],
      key,
    )
  }
  assert.equal(body.spec.replicas, 2)
})

test('of two replicas one leads; another one takes over when its process dies, and the dead one is started again', async () => {
  runner = await runOperatorPods(cluster, {
    SLIMEBOOT_MESH_SETTLE: '300ms',
    SLIMEBOOT_LOG_FORMAT: 'text',
    SLIMEBOOT_LEASE_DURATION: '3s',
    SLIMEBOOT_RENEW_DEADLINE: '2s',
    SLIMEBOOT_RETRY_PERIOD: '500ms',
  })
  const leader = await eventually(async () => {
    assert.equal(runner.processes().length, 2)
    return await holder()
  }, SLOW)
  const process = runner.processes().find(({ pod }) => leader.startsWith(pod))
  assert.ok(process !== undefined, `${leader} is not one of the pods`)
  process.kill('SIGKILL')
  await eventually(async () => {
    const next = await holder()
    assert.notEqual(next, leader)
    assert.equal(process.starts, 2)
  }, SLOW)
})

test('a drained replica ends by itself and gives the Lease back', async () => {
  const leader = await holder()
  const pod = runner.processes().find((each) => leader.startsWith(each.pod))
  assert.ok(pod !== undefined)
  await cluster.request('DELETE', `/api/v1/namespaces/${NAMESPACE}/pods/${pod.pod}`)
  await eventually(() => assert.match(pod.log(), /ended: exit code 0/), SLOW)
  await eventually(async () => assert.ok(!(await holder()).startsWith(pod.pod)), SLOW)
})

test('bound namespace by namespace the operator installs there, and tells what it may not write elsewhere before it writes', async () => {
  const mine = await newInstallation(stage, 'confined')
  const other = await newInstallation(stage, 'elsewhere')
  await cluster.request('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/slime-boot-objects')
  for (const namespace of [mine.home, ...mine.apps]) {
    kubectl([
      'create',
      'rolebinding',
      'slime-boot-objects',
      '-n',
      namespace,
      '--clusterrole',
      'slime-boot-objects',
      '--serviceaccount',
      `${NAMESPACE}:slime-boot`,
    ])
  }
  await createBoot(stage, mine.name, specOf(mine))
  await isReady(stage, mine.name, SLOW)

  const since = new Date()
  await createBoot(stage, other.name, specOf(other))
  const { message } = await readyIs(stage, other.name, 'False', 'Forbidden', SLOW)
  assert.match(message ?? '', new RegExp(`create, patch, delete deployments\\.apps in namespace ${other.home}`))
  assert.match(message ?? '', new RegExp(`envoyfilters\\.networking\\.istio\\.io in namespace ${other.apps[0]}`))
  const tried = (await cluster.auditEvents(since)).filter(
    ({ user, verb }) => user === OPERATOR_USER && ['create', 'patch', 'delete'].includes(verb),
  )
  assert.deepEqual(
    tried.filter(({ namespace }) => namespace === other.home || other.apps.includes(namespace)),
    [],
  )

  for (const { name } of [mine, other]) {
    await stage.client.remove(bootRef(stage, name))
    await isGone(stage, name, SLOW)
  }
})

test('the Pod Security level of mesh-operator lets every pod in that a SlimeBoot renders, but no access to the host', async () => {
  const create = async (spec: unknown): Promise<string> => {
    const { status, body } = await cluster.request('POST', `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`, {
      body: { metadata: { name: 'probe' }, spec },
    })
    return status === 201 ? 'created' : body.message
  }
  const deployments = SHAPES.flatMap((shape) => render(valuesOf(shape)).map(({ object }) => object)).filter(
    ({ kind }) => kind === 'Deployment',
  )
  for (const deployment of deployments) {
    const { serviceAccountName: _, serviceAccount: __, ...spec } = templateOf(deployment)
    assert.equal(await create(spec), 'created', deployment.metadata.name)
  }
  const { serviceAccountName: _, ...pod } = templateOf(deployments[0]!)
  const hostPath = { name: 'host', hostPath: { path: '/' } }
  for (const more of [{ hostNetwork: true }, { volumes: [...(pod['volumes'] as unknown[]), hostPath] }]) {
    assert.match(await create({ ...pod, ...more }), /violates PodSecurity "baseline/)
  }
})

async function holder(): Promise<string> {
  const { body } = await cluster.request('GET', LEASE)
  assert.ok(body.spec?.holderIdentity, 'nobody leads')
  return body.spec.holderIdentity as string
}

function templateOf(deployment: KubeObject): Record<string, unknown> {
  return (deployment['spec'] as { template: { spec: Record<string, unknown> } }).template.spec
}

function kubectl(args: readonly string[], input = ''): string {
  return execFileSync('kubectl', args, { input, encoding: 'utf8', env: { ...process.env, KUBECONFIG: cluster.kubeconfig } })
}
