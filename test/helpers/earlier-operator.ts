/** A cluster on which the earlier, Helm-based operator installed lazyload (spec 9): the state before ours takes over. */
import assert from 'node:assert/strict'
import { loadAll } from 'js-yaml'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { SLIMEBOOT } from '../../operator/api/kinds.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { objectPath, refOf } from '../../runtime/resource.ts'
import { eventually } from './eventually.ts'
import { adminClient } from './stage.ts'

const FOLDER = join(import.meta.dirname, '..', 'fixtures', 'earlier-operator')
export const EARLIER_SLIMEBOOT = join(FOLDER, 'slimeboot.yaml')

/** One release: its SlimeBoot, what the chart rendered, and the finalizer of its operator's version. */
export interface Release {
  readonly boot: KubeObject
  readonly objects: readonly KubeObject[]
  readonly finalizer: string
}

const read = (file: string): readonly KubeObject[] => loadAll(readFileSync(join(FOLDER, file), 'utf8')) as KubeObject[]

/** The tutorial's installation. */
export function tutorialRelease(): Release {
  const [boot] = read('slimeboot.yaml')
  return { boot: boot!, objects: read('release.yaml'), finalizer: 'helm.sdk.operatorframework.io/uninstall-release' }
}

/**
 * Another one, mode no, of an operator so old that its finalizer has the first name: the same controller under the name `name`, and a
 * ConfigMap that nobody renders any more.
 */
export function oldestRelease(name = 'other'): Release {
  const { boot, objects } = tutorialRelease()
  const { module, component: _, ...spec } = boot['spec'] as { readonly module: readonly object[]; readonly component: unknown }
  const rename = (object: KubeObject): KubeObject => JSON.parse(JSON.stringify(object).replaceAll('lazyload"', `${name}"`)) as KubeObject
  const leftover = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `${name}-leftover`, namespace: 'istio-system' },
    data: { a: 'b' },
  }
  return {
    boot: {
      ...boot,
      metadata: { ...boot.metadata, name },
      spec: { ...spec, module: [{ ...module[0], name, global: { misc: { 'global-sidecar-mode': 'no' } } }] },
    },
    objects: [...objects.filter(({ metadata }) => metadata.name === 'lazyload').map(rename), leftover],
    finalizer: 'uninstall-helm-release',
  }
}

/** Makes it all, as kubectl and the operator did; resolves when every workload is available. */
export async function installEarlierOperator(cluster: ClusterAccess, releases: readonly Release[]): Promise<void> {
  const operator = read('operator.yaml')
  for (const object of operator)
    if (object.kind !== 'Namespace' || !(await exists(cluster, object))) await create(cluster, object, 'kubectl-create')
  for (const release of releases) await installRelease(cluster, release)
  const deployments = [...operator, ...releases.flatMap(({ objects }) => objects)].filter(({ kind }) => kind === 'Deployment')
  const client = adminClient(cluster)
  await eventually(
    async () => {
      for (const deployment of deployments) {
        const live = await client.get(
          refOf({ apiVersion: 'apps/v1', kind: 'Deployment', plural: 'deployments', namespaced: true }, deployment),
        )
        assert.equal((live?.['status'] as { availableReplicas?: number } | undefined)?.availableReplicas, 1, deployment.metadata.name)
      }
    },
    { timeout: 30_000 },
  )
}

async function installRelease(cluster: ClusterAccess, { boot, objects, finalizer }: Release): Promise<void> {
  const { name, namespace = '' } = boot.metadata
  const stored = await eventually(
    async () => await create(cluster, { ...boot, metadata: { ...boot.metadata, finalizers: [finalizer] } }, 'kubectl-create'),
  )
  const marked = objects.map((object) => marksOfHelm(object, stored))
  for (const object of marked) await create(cluster, object, 'helm-operator')
  await create(cluster, releaseSecret(name, namespace), 'helm-operator')
  const status = {
    conditions: [
      { type: 'Initialized', status: 'True', lastTransitionTime: '2022-01-01T00:00:00Z' },
      { type: 'Deployed', status: 'True', reason: 'InstallSuccessful', lastTransitionTime: '2022-01-01T00:00:00Z' },
    ],
    deployedRelease: { name, manifest: marked.map((object) => JSON.stringify(object)).join('\n---\n') },
  }
  const { status: code, body } = await cluster.request('PATCH', `${objectPath(refOf(SLIMEBOOT, boot))}/status?fieldManager=helm-operator`, {
    body: { status },
    contentType: 'application/merge-patch+json',
  })
  assert.equal(code, 200, body.message)
}

function marksOfHelm(object: KubeObject, boot: KubeObject): KubeObject {
  const { name, namespace = '', uid = '' } = boot.metadata
  const { metadata } = object
  const near = metadata.namespace === namespace
  return {
    ...object,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: {
        ...metadata.annotations,
        'meta.helm.sh/release-name': name,
        'meta.helm.sh/release-namespace': namespace,
        ...(near
          ? {}
          : {
              'operator-sdk/primary-resource': `${namespace}/${name}`,
              'operator-sdk/primary-resource-type': 'SlimeBoot.config.netease.com',
            }),
      },
      ...(near
        ? { ownerReferences: [{ apiVersion: boot.apiVersion, kind: boot.kind, name, uid, controller: true, blockOwnerDeletion: true }] }
        : {}),
    },
  }
}

function releaseSecret(name: string, namespace: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `sh.helm.release.v1.${name}.v1`, namespace, labels: { owner: 'helm', name, status: 'deployed', version: '1' } },
    type: 'helm.sh/release.v1',
    data: { release: Buffer.from('H4sI').toString('base64') },
  }
}

async function exists({ request }: ClusterAccess, namespace: KubeObject): Promise<boolean> {
  return (await request('GET', `/api/v1/namespaces/${namespace.metadata.name}`)).status === 200
}

async function create(cluster: ClusterAccess, object: KubeObject, manager: string): Promise<KubeObject> {
  const { apiVersion, kind, metadata } = object
  const plural = `${kind.toLowerCase().replace(/y$/, 'ie')}s`
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const place = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
  const { status, body } = await cluster.request('POST', `${base}${place}/${plural}?fieldManager=${manager}`, { body: object })
  assert.equal(status, 201, `${kind}/${metadata.name}: ${body.message ?? body}`)
  return body as KubeObject
}
