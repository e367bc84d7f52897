/** The operator as users deploy it: `deploy/slimeboot.yaml` applied, its pods run from the image's files with their ServiceAccount's token. */
import { loadAll } from 'js-yaml'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import { OPERATOR_NAME } from '../../operator/rights/names.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { objectPath, refOf } from '../../runtime/resource.ts'
import { assembleImage, type Image } from './image.ts'
import { createPodRunner, type PodProgram, type PodRunner } from './pod-runner.ts'

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy')

/** Objects of a file of `deploy/`. */
export function deployObjects(file = 'slimeboot.yaml'): readonly KubeObject[] {
  return loadAll(readFileSync(join(DEPLOY, file), 'utf8')) as KubeObject[]
}

/** Applies them as `kubectl apply --server-side --force-conflicts` does, in order. Throws at the first refusal. */
export async function applyObjects(cluster: Pick<ClusterAccess, 'request'>, objects: readonly KubeObject[]): Promise<void> {
  for (const object of objects) {
    const plural = `${object.kind.toLowerCase().replace(/y$/, 'ie')}s`
    const namespaced = object.metadata.namespace !== undefined
    const path = objectPath(refOf({ apiVersion: object.apiVersion, kind: object.kind, plural, namespaced }, object))
    const { status, body } = await cluster.request('PATCH', `${path}?fieldManager=kubectl&force=true`, {
      body: object,
      contentType: 'application/apply-patch+yaml',
    })
    if (status >= 300) throw new Error(`${object.kind}/${object.metadata.name}: apply refused: ${body.message ?? status}`)
  }
}

/** Runs every pod of the operator's Deployment; `env` is added to each. Each pod gets a health port of its own. */
export async function runOperatorPods(cluster: ClusterAccess, env: Readonly<Record<string, string>> = {}): Promise<PodRunner> {
  const image = await assembleImage()
  return createPodRunner({
    cluster,
    match: (pod) => (pod.metadata.labels?.['name'] === OPERATOR_NAME ? operatorProgram(image, env) : undefined),
  })
}

/** How a pod of the operator's image runs here. */
export function operatorProgram({ entrypoint, cmd, commandHere }: Image, env: Readonly<Record<string, string>> = {}): PodProgram {
  return { entrypoint, cmd, commandHere, env: { SLIMEBOOT_HEALTH_ADDRESS: '127.0.0.1:0', ...env } }
}

/** The user that the operator is in the audit log. */
export const OPERATOR_USER = `system:serviceaccount:mesh-operator:${OPERATOR_NAME}`
