/** What the demo does with kubectl, or where there is none with the API that kubectl uses. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { loadAll } from 'js-yaml'
import type { Cluster } from '../../local-cluster/cluster.ts'
import { columns } from '../../operator/cli/text.ts'
import type { KubeObject } from '../../runtime/object.ts'
import { applyObjects } from '../../test/helpers/deployed-operator.ts'
import { showCommand } from './terminal.ts'

const SAMPLES = join(import.meta.dirname, '..', '..', 'samples')
const NAMESPACE = 'default'
const AS_TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'

/** What `kubectl get` prints is made by the API server: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables */
interface Table {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[]
  readonly rows: readonly { readonly cells: readonly (string | number | boolean | null)[] }[]
}

/** Applies a file of samples/ as a user would, and shows it; `summary` stands for many lines of output. Throws with what kubectl said. */
export async function applySample(cluster: Cluster, name: string, summary?: (lines: number) => string): Promise<void> {
  const file = join(SAMPLES, name)
  const command = ['apply', '-f', relative(process.cwd(), file)]
  const said = await kubectl(cluster, command, async () => {
    const objects = loadAll(readFileSync(file, 'utf8')) as KubeObject[]
    const placed = objects.map((object) => ({ ...object, metadata: { namespace: NAMESPACE, ...object.metadata } }))
    await applyObjects(cluster, placed)
    return placed.map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name} applied`).join('\n')
  })
  showCommand(`kubectl ${command.join(' ')}`, summary === undefined ? said : summary(said.trimEnd().split('\n').length))
}

/** Deletes an object, without waiting until it is gone; `path` is its path in the API. */
export async function deleteObject(cluster: Cluster, words: readonly string[], path: string): Promise<void> {
  const said = await kubectl(cluster, ['delete', ...words, '--wait=false'], async () => {
    const { status, body } = await cluster.request('DELETE', path)
    if (status >= 300) throw new Error(`${path}: delete refused: ${body.message ?? status}`)
    return `${words.slice(0, 2).join(' ')} deleted`
  })
  showCommand(`kubectl delete ${words.join(' ')}`, said)
}

/** Shows the objects of a kind in namespace default. */
export async function showObjects(cluster: Cluster, words: string, path: string): Promise<void> {
  const { body } = await cluster.request('GET', path, { accept: AS_TABLE })
  const { columnDefinitions, rows } = body as Table
  const shown = [...columnDefinitions.keys()].filter((index) => columnDefinitions[index]?.priority === 0)
  // kubectl has three spaces between columns
  const heads = shown.map((index) => `${columnDefinitions[index]!.name.toUpperCase()} `)
  const table = rows.map(({ cells }) => shown.map((index) => `${String(cells[index] ?? '<none>')} `))
  showCommand(`kubectl get ${words}`, columns([heads, ...table]).join('\n'))
}

/** Never in a way that holds this process up: pods reach the API server through it. */
async function kubectl({ kubeconfig }: Cluster, args: readonly string[], otherwise: () => Promise<string>): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('kubectl', args, { env: { ...process.env, KUBECONFIG: kubeconfig } })
    return stdout
  } catch (error) {
    const { code, stderr } = error as { readonly code?: unknown; readonly stderr?: string }
    if (code === 'ENOENT') return `${await otherwise()}\n(through the API: there is no kubectl here)`
    throw new Error(`kubectl ${args.join(' ')} failed:\n${stderr}`, { cause: error })
  }
}
