/** CustomResourceDefinitions for a local cluster: this project's and Istio's. */
import { loadAll } from 'js-yaml'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterAccess } from './access.ts'
import { istioCrds } from './binaries.ts'
import { waitReady } from './wait.ts'

const CRDS_PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const OWN_FOLDER = join(import.meta.dirname, '..', 'crds')

interface Definition {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly group: string; readonly names: { readonly plural: string }; readonly versions: readonly Version[] }
}

interface Version {
  readonly name: string
  readonly served: boolean
}

export interface CrdSources {
  /** `crds/*.yaml` of this project (default true). */
  readonly own?: boolean
  /** Istio's, at the version of control-plane/go.mod (default true). */
  readonly istio?: boolean
}

/** Installs them by server-side apply (again is harmless); resolves when the API server serves every one. */
export async function installCrds(cluster: Pick<ClusterAccess, 'request'>, { own = true, istio = true }: CrdSources = {}): Promise<void> {
  const definitions = [...(own ? ownCrds() : []), ...(istio ? definitionsIn(await istioCrds()) : [])]
  await Promise.all(definitions.map(async (definition) => await apply(cluster, definition)))
  await waitReady('CustomResourceDefinitions', [], async () => {
    const served = await Promise.all(definitions.map(async (definition) => await isServed(cluster, definition)))
    return served.every(Boolean)
  })
}

function ownCrds(): Definition[] {
  const files = readdirSync(OWN_FOLDER).filter((file) => file.endsWith('.yaml'))
  return files.flatMap((file) => definitionsIn(join(OWN_FOLDER, file)))
}

function definitionsIn(file: string): Definition[] {
  return (loadAll(readFileSync(file, 'utf8')) as (Definition | null)[]).filter((document) => document !== null)
}

async function apply(cluster: Pick<ClusterAccess, 'request'>, definition: Definition): Promise<void> {
  const { name } = definition.metadata
  const { status, body } = await cluster.request('PATCH', `${CRDS_PATH}/${name}?fieldManager=local-cluster&force=true`, {
    body: definition,
    contentType: 'application/apply-patch+yaml',
  })
  if (status >= 300) throw new Error(`CustomResourceDefinition/${name}: apply refused: ${body.message ?? status}`)
}

/** Established alone is not enough: for a moment more the API server answers 429 ("storage is (re)initializing", seen with 1.36). */
async function isServed(cluster: Pick<ClusterAccess, 'request'>, { spec }: Definition): Promise<boolean> {
  const paths = spec.versions.filter(({ served }) => served).map(({ name }) => `/apis/${spec.group}/${name}/${spec.names.plural}?limit=1`)
  const answers = await Promise.all(paths.map(async (path) => await cluster.request('GET', path)))
  return answers.every(({ status }) => status === 200)
}
